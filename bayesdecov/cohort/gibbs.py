r"""Gibbs sampling of the cohort model.

.. math::
    z_i &\sim N(B^\top x_i + u_{s(i)},\; \Omega), \qquad u_s \sim N(0, \Psi), \qquad
    B_{lj} \sim N(0, \tau_l^2) \\
    \Omega &\sim \mathrm{IW}(d + 1, a I), \quad a \sim \mathrm{Gamma}(1, 1)

with the same prior for :math:`\Psi` as for :math:`\Omega`. A sample's likelihood is
normal (`Sites`), or represented by its posterior draws over their prior density (`Particles`). All
full conditionals have a known form, so that no step is rejected. The model is invariant to
rotations of the log-ratios, so that all cell types are treated alike.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import invwishart

from bayesdecov.algebra.terms import Array


class Likelihoods(Protocol):
    """The samples' likelihoods of their log-ratios."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of samples and log-ratios."""

    def start(self) -> Array:
        """Initial log-ratios, (n, d)."""

    def draw(self, centre: Array, precision: Array, rng: np.random.Generator) -> Array:
        """Draws given the cohort's prior ``N(centre_i, precision^-1)``, (n, d)."""


class Sites(NamedTuple):
    r"""Normal likelihoods :math:`-\tfrac12 z^\top P_i z + r_i^\top z`."""

    precision: Array  # P (n, d, d)
    shift: Array  # r (n, d)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of samples and log-ratios."""
        return self.shift.shape[0], self.shift.shape[1]

    def start(self) -> Array:
        """Means, shrunk slightly towards zero."""
        wide = self.precision + 0.5 * np.eye(self.shift.shape[1])
        mean: Array = np.linalg.solve(wide, self.shift[:, :, None])[..., 0]
        return mean

    def draw(self, centre: Array, precision: Array, rng: np.random.Generator) -> Array:
        """Draws from the product of the sample's normal and the cohort's."""
        return _normal(self.precision + precision, self.shift + centre @ precision, rng)


class Particles(NamedTuple):
    """Draws ``z`` (n, draw, d) of posteriors whose priors have log-density ``log_prior``."""

    z: Array
    log_prior: Array

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of samples and log-ratios."""
        return self.z.shape[0], self.z.shape[2]

    def start(self) -> Array:
        """Means."""
        mean: Array = self.z.mean(axis=1)
        return mean

    def draw(self, centre: Array, precision: Array, rng: np.random.Generator) -> Array:
        """One draw of each sample, weighted by the cohort's density over that of the prior."""
        total = np.cumsum(self.weights(centre, precision), axis=1)
        mark = rng.random((len(total), 1)) * total[:, -1:]
        chosen = (total < mark).sum(axis=1)
        return self.z[np.arange(len(total)), np.minimum(chosen, total.shape[1] - 1)]

    def weights(self, centre: Array, precision: Array) -> Array:
        """Weights of the draws, scaled to a maximum of 1 in each sample."""
        white = (self.z - centre[:, None]) @ np.linalg.cholesky(precision)
        log_w = -0.5 * np.einsum("nkd,nkd->nk", white, white) - self.log_prior
        weights: Array = np.exp(log_w - log_w.max(axis=1, keepdims=True))
        return weights


class Prior(NamedTuple):
    """``slope_sd`` (column,) of the coefficients; shape and rate of the covariances' scale."""

    slope_sd: Array
    shape: float = 1.0
    rate: float = 1.0


class Chain(NamedTuple):
    """Draws: coefficients (draw, column, d), covariances (draw, d, d), log-ratios' mean (n, d)."""

    coefficients: Array
    covariance: Array
    between_subjects: Array  # (draw, d, d); of size 0 without subjects
    mean: Array
    spread: Array  # standard deviations of the log-ratios, (n, d)
    centre: Array  # posterior mean of each sample's linear predictor, (n, d)


def sample(
    X: Array,
    samples: Likelihoods,
    prior: Prior,
    subjects: NDArray[np.intp] | None,
    *,
    draws: int,
    tune: int,
    rng: np.random.Generator,
) -> Chain:
    """One chain; ``subjects`` is the index of the subject of each sample, or None."""
    n, d = samples.shape
    count = 0 if subjects is None else int(subjects.max()) + 1
    sizes: Array = np.bincount([] if subjects is None else subjects, minlength=count).astype(float)
    z: Array = samples.start() + 0.1 * rng.standard_normal((n, d))
    B: Array = np.linalg.lstsq(X, z, rcond=None)[0]
    U: Array = np.zeros((count, d))
    Omega: Array = np.cov(z - X @ B, rowvar=False).reshape(d, d) + 0.05 * np.eye(d)
    Psi: Array = 0.2 * np.eye(d)
    scale, scale_u = 1.0, 1.0
    gram = X.T @ X
    kept_B = np.empty((draws, X.shape[1], d))
    kept_O, kept_P = np.empty((draws, d, d)), np.empty((draws if count else 0, d, d))
    total, square, expected = np.zeros((n, d)), np.zeros((n, d)), np.zeros((n, d))
    for step in range(-tune, draws):
        inverse = np.linalg.inv(Omega)
        centre = X @ B if subjects is None else X @ B + U[subjects]
        z = samples.draw(centre, inverse, rng)
        if subjects is not None:
            lack = np.zeros((count, d))
            np.add.at(lack, subjects, z - X @ B)
            own = sizes[:, None, None] * inverse + np.linalg.inv(Psi)
            U = _normal(own, lack @ inverse, rng)
            Psi, scale_u = _covariance(U, scale_u, prior, rng)
        rest = z if subjects is None else z - U[subjects]
        B = _coefficients(X, gram, rest, inverse, prior, rng)
        Omega, scale = _covariance(rest - X @ B, scale, prior, rng)
        if step >= 0:
            kept_B[step], kept_O[step] = B, Omega
            if count:
                kept_P[step] = Psi
            total += z
            square += z * z
            expected += X @ B if subjects is None else X @ B + U[subjects]
    mean = total / draws
    spread = np.sqrt(np.maximum(square / draws - mean**2, 0))
    return Chain(kept_B, kept_O, kept_P, mean, spread, expected / draws)


def _normal(precision: Array, shift: Array, rng: np.random.Generator) -> Array:
    """Draws of ``N(P^-1 r, P^-1)``, batched."""
    L = np.linalg.cholesky(precision)
    noise = rng.standard_normal(shift.shape)
    # L' z = L^-1 r + noise
    half = np.linalg.solve(L, shift[..., None]) + noise[..., None]
    drawn: Array = np.linalg.solve(np.swapaxes(L, -1, -2), half)[..., 0]
    return drawn


def _coefficients(
    X: Array, gram: Array, z: Array, inverse: Array, prior: Prior, rng: np.random.Generator
) -> Array:
    """``B`` given all else: a joint normal of all its entries."""
    columns, d = X.shape[1], z.shape[1]
    precision = np.kron(gram, inverse)
    precision[np.diag_indices_from(precision)] += np.repeat(prior.slope_sd**-2.0, d)
    drawn = _normal(precision[None], (X.T @ z @ inverse).reshape(1, -1), rng)
    return drawn.reshape(columns, d)


def _covariance(
    e: Array, scale: float, prior: Prior, rng: np.random.Generator
) -> tuple[Array, float]:
    """A covariance given deviations ``e``, and then the scale of its prior."""
    d = e.shape[1]
    nu = d + 1
    Omega = np.asarray(
        invwishart.rvs(nu + len(e), e.T @ e + scale * np.eye(d), random_state=rng)
    ).reshape(d, d)
    shape = prior.shape + 0.5 * nu * d
    rate = prior.rate + 0.5 * float(np.trace(np.linalg.inv(Omega)))
    return Omega, float(rng.gamma(shape, 1 / rate))
