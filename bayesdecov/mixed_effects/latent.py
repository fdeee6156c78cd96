r"""Estimation of the true proportions from the measured ones and all genes.

.. math::
    \phi_i^{\text{meas}} \sim N(\phi_i, \kappa^2\Delta_i), \qquad
    \phi_i \sim N(M^\top z_i, S), \qquad y_g \sim N(X(\phi)\beta, X\Psi X^\top + \sigma^2\Omega)

``phi`` are the proportions in the directions that have errors, :math:`\Delta_i` the stated error
covariances, :math:`\kappa` the ratio of true to stated errors and ``z`` the covariates of the
cohort. Thousands of genes share the rows of ``X``, so expression determines the proportions up to
one linear map common to all samples; only the measured values determine that map. They enter as
measurements and not as the mean of a prior, which would shrink effects again.

The density is maximised in ``phi`` (effects, ``Psi`` and noise are profiled out, see
`bayesdecov.algebra.subspace`) with the volume term :math:`-\tfrac12\sum_i\log|\Lambda_i|` of the
remaining uncertainty in each sample, without which all proportions would shrink together. ``M``,
``S`` and ``kappa`` (log-normal prior around 1 with scale log 2) are estimated by EM. Correlated
genes count as fewer independent ones (`bayesdecov.mixed_effects.hidden.effective_genes`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from bayesdecov.algebra.shared_design import without_noise
from bayesdecov.algebra.subspace import Moments, Subspace, subspace, subspace_hessian
from bayesdecov.algebra.terms import Array

_NEWTON = 60
_GAIN = 1e-3  # of the log-density at which Newton stops
_EM = 40
_SETTLED = 0.02  # change of log scale, distribution and values (in errors) at which EM stops
_EXACT = 1e-6  # smallest squared scale of the errors
_LONGEST = 0.95  # largest ratio of two EM steps used for extrapolation
_LARGEST_DAMPING = 1e8
_LEAST = 0.05  # of the errors' variance: smallest initial variance of the cohort
_SMALL = 1e-6  # of the mean error variance: the smallest error of a sample


class Anchors(NamedTuple):
    """Measured values, and how the design depends on the true ones.

    ``value`` (sample, d) and ``covariance`` (sample, d, d) of the measured values; ``lifts``
    (sample, column, d) and ``design`` (sample, column) at the measured values; ``cohort``
    (sample, z) covariates of the distribution in the cohort; ``directions`` (cell_type, d).
    """

    value: Array
    covariance: Array
    lifts: Array
    design: Array
    cohort: Array
    directions: Array

    def X(self, phi: Array) -> Array:
        """The design at other values."""
        return self.design + np.einsum("iad,id->ia", self.lifts, phi - self.value)

    def rows(self, chosen: NDArray[np.intp]) -> Anchors:
        """A subset of the samples."""
        value, covariance, lifts, design, cohort = (part[chosen] for part in self[:5])
        return Anchors(value, covariance, lifts, design, cohort, self.directions)


class Latent(NamedTuple):
    """Values (sample, d), their distribution in the cohort, scale of the errors, convergence."""

    phi: Array
    mean: Array  # (z, d)
    spread: Array  # (d, d)
    scale2: float
    converged: bool = True


def anchors(F: Array, covariance: Array, lifts: Array, design: Array, covariates: Array) -> Anchors:
    """Anchors from proportions (sample, cell_type), error covariances and design derivative."""
    values, vectors = np.linalg.eigh(covariance.mean(axis=0))
    U = vectors[:, values > 1e-8 * values[-1]]
    projected = U.T @ covariance @ U
    least = _SMALL * np.trace(projected.mean(axis=0)) / U.shape[1]
    n, d = len(F), U.shape[1]
    Z = np.ones((n, 1))
    if n - covariates.shape[1] - 1 >= d + 5:
        Z = np.hstack([Z, covariates])
    return Anchors(F @ U, projected + least * np.eye(d), lifts @ U, design, Z, U)


def cohort_distribution(at: Anchors, iterations: int = 200) -> Latent:
    """The cohort's normal distribution from measured values alone, and expectations under it.

    Regression calibration: effects estimated at these values are not attenuated by errors.
    """
    Z, value, d = at.cohort, at.value, at.value.shape[1]
    mean = np.linalg.lstsq(Z, value, rcond=None)[0]
    rest = value - Z @ mean
    noise = at.covariance.mean(axis=0)
    w, v = np.linalg.eigh(rest.T @ rest / max(len(Z) - Z.shape[1], 1) - noise)
    S = (v * np.maximum(w, _LEAST * np.trace(noise) / d)) @ v.T
    phi = value
    for _ in range(iterations):
        gain = S @ np.linalg.inv(S + at.covariance)
        phi = Z @ mean + np.einsum("ijk,ik->ij", gain, value - Z @ mean)
        left = S - gain @ S
        mean = np.linalg.lstsq(Z, phi, rcond=None)[0]
        rest = phi - Z @ mean
        new = (rest.T @ rest + left.sum(axis=0)) / len(Z)
        settled = np.abs(new - S).max() < 1e-6 * np.trace(S)
        S = new
        if settled:
            break
    return Latent(phi, mean, S, 1.0)


class _Evaluation(NamedTuple):
    value: float
    gradient: Array
    at: Subspace
    local: Array  # covariance of each sample's values given the others, (sample, d, d)


def _evaluate(phi: Array, state: Latent, anchors: Anchors, sums: Moments) -> _Evaluation:
    """The log-density and its gradient (the volume's own for a fixed residual variance)."""
    weight = np.linalg.inv(state.scale2 * anchors.covariance)
    prior = np.linalg.inv(state.spread)
    at = subspace(anchors.X(phi), sums)
    s2, m = at.sigma2, sums.genes
    gram_b = at.onto @ sums.gram @ at.onto.T
    effects = m * without_noise(gram_b / m, at.V, s2)
    own = sums.power * np.square(sums.whitener).sum(axis=0) / s2  # of each sample
    information = (
        np.einsum("i,iad,ab,ibe->ide", own, anchors.lifts, effects, anchors.lifts, optimize=True)
        + weight
        + prior
    )
    local = np.linalg.inv(information)
    off, rest = phi - anchors.value, phi - anchors.cohort @ state.mean
    value = sums.power * at.value - 0.5 * np.einsum("id,ide,ie->", off, weight, off)
    value -= 0.5 * np.einsum("id,de,ie->", rest, prior, rest)
    value += 0.5 * np.linalg.slogdet(local)[1].sum()
    # the volume depends on the design through the effects' Gram matrix
    P = np.einsum("i,iad,ide,ibe->ab", own, anchors.lifts, local, anchors.lifts, optimize=True)
    of_volume = at.onto.T @ P @ gram_b - at.left_gram @ at.onto.T @ P @ at.V
    of_volume -= m * s2 * at.X @ at.V @ P @ at.V
    slope = sums.power * at.gradient + sums.whitener.T @ of_volume
    gradient = np.einsum("ia,iad->id", slope, anchors.lifts)
    gradient -= np.einsum("ide,ie->id", weight, off) + rest @ prior
    return _Evaluation(float(value), gradient.ravel(), at, local)


def _curvature(
    now: _Evaluation, state: Latent, anchors: Anchors, sums: Moments, onto: Array
) -> Array:
    """Minus the Hessian; the cohort's prior counts in the directions ``onto`` (sample, sample)."""
    n, d = anchors.value.shape
    H = -sums.power * subspace_hessian(now.at, sums, anchors.lifts)
    weight = np.linalg.inv(state.scale2 * anchors.covariance)
    for i in range(n):
        H[i * d : (i + 1) * d, i * d : (i + 1) * d] += weight[i]
    return np.asarray(H + np.kron(onto, np.linalg.inv(state.spread)))


def refine(anchors: Anchors, sums: Moments, start: Latent, *, least: float = 0.0) -> Latent:
    """The most probable proportions, and their distribution in the cohort.

    ``least`` is the smallest scale of the errors. EM steps of the scale, which
    become small towards the end, are extrapolated (Aitken).
    """
    state, phi, last = start, start.phi, 0.0
    n, d = phi.shape
    identity, settled = np.eye(n), False
    inverse = np.linalg.inv(anchors.covariance)
    lowest = float(np.log(max(_EXACT, least**2)))
    for _ in range(_EM):
        before = phi
        phi, now, climbed = _climb(phi, state, anchors, sums, identity)
        log_scale2, off = np.log(state.scale2), phi - anchors.value
        total = np.einsum("id,ide,ie->", off, inverse, off)
        total += np.einsum("ide,ied->", inverse, now.local)
        step = max(_log_scale2(float(total), n * d), lowest) - log_scale2
        ratio = min(max(step / last, 0.0), _LONGEST) if last else 0.0
        last, step = step, max(step / (1 - ratio), lowest - log_scale2)
        mean = np.linalg.lstsq(anchors.cohort, phi, rcond=None)[0]
        rest = phi - anchors.cohort @ mean
        spread = (rest.T @ rest + now.local.sum(axis=0)) / n
        grown = np.abs(spread - state.spread).max() / np.trace(spread)
        moved = float((np.abs(phi - before) * np.sqrt(np.einsum("idd->id", inverse))).max())
        state = Latent(phi, mean, spread, float(np.exp(log_scale2 + step)))
        settled = climbed and max(abs(step), float(grown), moved) < _SETTLED
        if settled:
            break
    return state._replace(converged=bool(settled))


def _log_scale2(total: float, count: int) -> float:
    r"""The M-step of :math:`\log\kappa^2` under :math:`\log\kappa \sim N(0, (\log 2)^2)`.

    ``total`` is the expected sum of ``count`` squared errors in units of those stated.
    """
    low, high = -30.0, 30.0
    for _ in range(100):  # bisection: the slope decreases
        x = 0.5 * (low + high)
        slope = 0.5 * (total * np.exp(-x) - count) - 0.25 * x / np.log(2.0) ** 2
        low, high = (x, high) if slope > 0 else (low, x)
    return 0.5 * (low + high)


def _climb(
    phi: Array, state: Latent, anchors: Anchors, sums: Moments, identity: Array
) -> tuple[Array, _Evaluation, bool]:
    """Damped Newton steps at a fixed state."""
    now, damping = _evaluate(phi, state, anchors, sums), 0.0
    for _ in range(_NEWTON):
        H = _curvature(now, state, anchors, sums, identity)
        size = np.maximum(np.diag(H), 1.0)
        new = None
        while damping < _LARGEST_DAMPING:
            step = _solved(H + np.diag(damping * size), now.gradient)
            if step is not None:
                there = phi + step.reshape(phi.shape)
                tried = _evaluate(there, state, anchors, sums)
                if tried.value >= now.value - 1e-9 * abs(now.value):
                    new = tried
                    break
            damping = max(4 * damping, 1e-3)
        if new is None:
            return phi, now, False
        gain, phi, now = new.value - now.value, there, new
        damping = damping / 10 if damping > 1e-3 else 0.0
        if gain < _GAIN:
            return phi, now, True
    return phi, now, False


def _solved(H: Array, gradient: Array) -> Array | None:
    try:
        return np.asarray(cho_solve(cho_factor(H, lower=True), gradient))
    except np.linalg.LinAlgError:
        return None


def log_density(anchors: Anchors, sums: Moments, at: Latent) -> float:
    """Log-density of genes and measured values, integrated over each sample's uncertainty."""
    n = len(at.phi)
    _, log_det = np.linalg.slogdet(at.scale2 * anchors.covariance)
    log_dets = log_det.sum() + n * np.linalg.slogdet(at.spread)[1]
    return _evaluate(at.phi, at, anchors, sums).value - 0.5 * float(log_dets)


def uncertainty(anchors: Anchors, sums: Moments, at: Latent) -> Array:
    """Covariance of the refined values, (sample d, sample d).

    The cohort's prior is estimated from the same values, so it carries no information on the map
    that all samples share: it only acts orthogonally to the values and the covariates.
    """
    n = len(at.phi)
    Q = np.linalg.qr(np.hstack([at.phi, anchors.cohort]))[0]
    now = _evaluate(at.phi, at, anchors, sums)
    H = _curvature(now, at, anchors, sums, np.eye(n) - Q @ Q.T)
    values, vectors = np.linalg.eigh(H)
    widest = float(np.linalg.eigvalsh(at.scale2 * anchors.covariance)[:, -1].max())
    values = np.maximum(values, 1.0 / widest)  # measured values give at least this precision
    return np.asarray((vectors / values) @ vectors.T)
