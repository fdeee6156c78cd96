r"""Posterior of the cohort's parameters with the samples' log-ratios integrated out.

With normal likelihoods :math:`-\tfrac12z^\top P_iz + r_i^\top z` of the samples (`Sites`) and
:math:`z_i \sim N(\mu_i, \Omega)`, :math:`\mu_i = B^\top x_i`,

.. math:: \log p = \sum_i -\tfrac12\log|\Omega| - \tfrac12\log|Q_i|
          - \tfrac12\mu_i^\top\Omega^{-1}\mu_i + \tfrac12 s_i^\top Q_i^{-1}s_i, \qquad
          Q_i = \Omega^{-1} + P_i,\; s_i = \Omega^{-1}\mu_i + r_i ,

and the scale of the prior :math:`\Omega \sim \mathrm{IW}(d + 1, aI)`, :math:`a \sim
\mathrm{Gamma}(1, 1)` is also integrated out. A Gibbs sampler mixes slowly where samples provide
little information about a rare cell type. This density has a few dozen parameters and thousands of
samples, so that the normal at its mode is close to the posterior. Draws of it are importance
weighted with the density, and rejected if too few are effective.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from bayesdecov.algebra.terms import Array
from bayesdecov.cohort.gibbs import Prior, Sites

_CHECKED = 100  # draws with importance weights
_EFFECTIVE = 0.3  # smallest effective share of them
_STEP = 1e-4  # of the finite differences of the gradient


class Mode(NamedTuple):
    """Coefficients and covariance, and the samples' log-ratios given them."""

    B: Array  # (column, d)
    Omega: Array
    mean: Array  # (sample, d)
    spread: Array  # their standard deviations


class Collapsed(NamedTuple):
    """Independent draws of the posterior, and its mode."""

    coefficients: Array  # (draw, column, d)
    covariance: Array  # (draw, d, d)
    mode: Mode


def find_mode(X: Array, sites: Sites, prior: Prior, start: Mode | None, steps: int = 200) -> Mode:
    """The mode of the posterior."""
    return _at(_mode(X, sites, prior, start, steps), X, sites)


def collapsed(
    X: Array, sites: Sites, prior: Prior, start: Mode, draws: int, rng: np.random.Generator
) -> Collapsed | None:
    """Draws of the normal at the mode; None if it does not approximate the density."""
    x = _mode(X, sites, prior, start, 500)
    k = len(x)
    H = np.empty((k, k))
    for j in range(k):
        step = np.zeros(k)
        step[j] = _STEP
        up, down = (_density(x + sign * step, X, sites, prior)[1] for sign in (1, -1))
        H[j] = (down - up) / (2 * _STEP)
    try:
        root = np.linalg.cholesky((H + H.T) / 2)
    except np.linalg.LinAlgError:
        return None
    normals = rng.standard_normal((draws, k))
    points = x + np.linalg.solve(root.T, normals.T).T
    top = _density(x, X, sites, prior)[0]
    log_w = np.array(
        [
            _density(point, X, sites, prior)[0] - top + 0.5 * float(normal @ normal)
            for point, normal in zip(points[:_CHECKED], normals, strict=False)
        ]
    )
    weights = np.exp(log_w - log_w.max())
    effective = weights.sum() ** 2 / np.square(weights).sum() / len(weights)
    if not effective > _EFFECTIVE:
        return None
    parts = [_parts(point, X.shape[1]) for point in points]
    return Collapsed(
        np.stack([B for B, _ in parts]), np.stack([L @ L.T for _, L in parts]), _at(x, X, sites)
    )


def _mode(X: Array, sites: Sites, prior: Prior, start: Mode | None, steps: int) -> Array:
    if start is None:
        z = sites.start()
        B = np.linalg.lstsq(X, z, rcond=None)[0]
        d = z.shape[1]
        Omega: Array = np.cov(z - X @ B, rowvar=False).reshape(d, d) + 0.05 * np.eye(d)
    else:
        B, Omega = start.B, start.Omega
    scale = float(len(X))

    def criterion(x: Array) -> tuple[float, Array]:
        value, gradient = _density(x, X, sites, prior)
        return -value / scale, -gradient / scale

    found = minimize(
        criterion,
        _packed(B, Omega),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": steps, "ftol": 1e-14, "gtol": 1e-8},
    )
    return np.asarray(found.x)


def _packed(B: Array, Omega: Array) -> Array:
    L = np.linalg.cholesky(Omega)
    j = np.arange(len(L))
    L[j, j] = np.log(L[j, j])
    return np.concatenate([B.ravel(), L[np.tril_indices(len(L))]])


def _parts(x: Array, columns: int) -> tuple[Array, Array]:
    """``B`` (column, d) and the Cholesky factor of ``Omega``."""
    # columns d + d (d + 1) / 2 numbers
    d = round((np.sqrt((2 * columns + 1) ** 2 + 8 * len(x)) - (2 * columns + 1)) / 2)
    B = x[: columns * d].reshape(columns, d)
    L = np.zeros((d, d))
    L[np.tril_indices(d)] = x[columns * d :]
    j = np.arange(d)
    L[j, j] = np.exp(L[j, j])
    return B, L


def _density(x: Array, X: Array, sites: Sites, prior: Prior) -> tuple[float, Array]:
    """Log-density of the packed parameters and its gradient."""
    B, L = _parts(x, X.shape[1])
    n, d = len(X), len(L)
    inverse = np.linalg.inv(L @ L.T)
    mu = X @ B
    own = np.linalg.inv(inverse + sites.precision)
    shift = mu @ inverse + sites.shift
    z = np.einsum("ide,ie->id", own, shift)
    log_diagonal = np.log(np.diagonal(L))
    value = -n * log_diagonal.sum() + 0.5 * np.linalg.slogdet(own)[1].sum()
    value += 0.5 * float((shift * z).sum() - ((mu @ inverse) * mu).sum())
    rest = z - mu
    of_B = X.T @ rest @ inverse - B / prior.slope_sd[:, None] ** 2
    value -= 0.5 * float(np.square(B / prior.slope_sd[:, None]).sum())
    moment = rest.T @ rest + own.sum(axis=0)
    of_Omega = 0.5 * (inverse @ moment @ inverse - n * inverse)
    # the inverse Wishart with its scale integrated out
    nu = d + 1
    trace, power = float(np.trace(inverse)), prior.shape + 0.5 * nu * d
    value -= (nu + d + 1) * log_diagonal.sum() + power * np.log(prior.rate + 0.5 * trace)
    of_Omega += -0.5 * (nu + d + 1) * inverse
    of_Omega += power * 0.5 / (prior.rate + 0.5 * trace) * inverse @ inverse
    # d Omega / d L, with logarithms on the diagonal
    jacobian = d - np.arange(d) + 1.0
    value += float((jacobian * log_diagonal).sum())
    of_L = 2 * of_Omega @ L
    j = np.arange(d)
    of_L[j, j] = of_L[j, j] * L[j, j] + jacobian
    return float(value), np.concatenate([of_B.ravel(), of_L[np.tril_indices(d)]])


def _at(x: Array, X: Array, sites: Sites) -> Mode:
    B, L = _parts(x, X.shape[1])
    inverse = np.linalg.inv(L @ L.T)
    own = np.linalg.inv(inverse + sites.precision)
    mean = np.einsum("ide,ie->id", own, (X @ B) @ inverse + sites.shift)
    return Mode(B, L @ L.T, mean, np.sqrt(np.einsum("idd->id", own)))
