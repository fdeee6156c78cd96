r"""NUTS over all samples and the cohort jointly, with the exact likelihood of the bulks.

The model of `gibbs` with the exact likelihood of `deconvolve` in place of its normal approximation.
With :math:`A A^\top \sim \mathrm{Wishart}(d + 1, I)` (Bartlett's factor) the covariance is
:math:`\Omega = a (A A^\top)^{-1}`. Coordinates are centred and scaled by a chain of `gibbs`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayesdecov.algebra import simplex
from bayesdecov.algebra.density import Density, evaluate
from bayesdecov.algebra.terms import Array, log_density
from bayesdecov.cohort.gibbs import Prior


class Bulks(NamedTuple):
    """The likelihood of a deconvolution: density, projected bulks, noise, df, size factor.

    It is raised to ``power``.
    """

    density: Density
    y: Array
    phi: Array
    df: float | None
    free_size: bool
    log_per_cell: Array | None  # if proportions of cells are modelled
    power: float = 1.0


class Sizes(NamedTuple):
    """Layout of the flat parameter vector."""

    n: int
    columns: int
    d: int
    free_size: bool

    @property
    def ends(self) -> Array:
        """End positions of coefficients, factor, scale, log-ratios and size factors."""
        d = self.d
        parts = [self.columns * d, d * (d + 1) // 2, 1, self.n * d, self.n * self.free_size]
        return np.cumsum(parts)


class Parts(NamedTuple):
    """Parts of the vector: ``B``, Bartlett's factor ``A``, ``log a``, ``z``, ``log s``."""

    B: Array
    A: Array
    log_scale: float
    z: Array
    log_size: Array


def take_apart(x: Array, sizes: Sizes) -> Parts:
    """Views of a flat vector; the diagonal of ``A`` is stored as logarithms."""
    coefficients, factor, scale, z, log_size = np.split(x, sizes.ends[:-1])
    d = sizes.d
    A = np.zeros((d, d))
    A[np.tril_indices(d)] = factor
    A[np.diag_indices(d)] = np.exp(np.diagonal(A))
    return Parts(coefficients.reshape(-1, d), A, float(scale[0]), z.reshape(-1, d), log_size)


def log_joint(x: Array, X: Array, bulks: Bulks, prior: Prior, sizes: Sizes) -> tuple[float, Array]:
    """Joint log-density, up to a constant, and its gradient."""
    B, A, log_scale, z, log_size = take_apart(x, sizes)
    n, d = z.shape
    scale, nu = np.exp(log_scale), d + 1
    e = z - X @ B
    half = e @ A
    quad = float(np.square(half).sum()) / scale
    log_diagonal = np.log(np.diagonal(A))
    value = n * log_diagonal.sum() - 0.5 * n * d * log_scale - 0.5 * quad
    pull = -(half @ A.T) / scale  # of z
    grad_B = -X.T @ pull - B / prior.slope_sd[:, None] ** 2
    value -= 0.5 * float(np.square(B / prior.slope_sd[:, None]).sum())
    grad_A = -e.T @ half / scale - A
    value -= 0.5 * float(np.square(A).sum())
    # chi-distributed diagonal with nu - k degrees of freedom, on the log scale; log|Omega^-1|
    degrees = nu - np.arange(d)
    value += float((degrees * log_diagonal).sum())
    corner = np.diagonal(grad_A) * np.diagonal(A) + degrees + n
    grad_A[np.diag_indices(d)] = corner
    grad_scale = -0.5 * n * d + 0.5 * quad + prior.shape - prior.rate * scale
    value += prior.shape * log_scale - prior.rate * scale
    likelihood, own, grad_size = _bulks(z, log_size, bulks)
    gradient = np.concatenate(
        [
            grad_B.ravel(),
            grad_A[np.tril_indices(d)],
            [grad_scale],
            (pull + own).ravel(),
            grad_size,
        ]
    )
    return value + likelihood, gradient


def _bulks(z: Array, log_size: Array, bulks: Bulks) -> tuple[float, Array, Array]:
    """Log-likelihood of the bulks and its gradients in log-ratios and log size factors."""
    V = simplex.log_ratio_basis(z.shape[1] + 1)
    F = V[:-1] - V[-1]
    theta = z @ F.T
    if bulks.log_per_cell is not None:
        theta = theta + (bulks.log_per_cell[:-1] - bulks.log_per_cell[-1])
    p = simplex.proportions(theta)
    size = np.exp(log_size) if bulks.free_size else None
    q = p if size is None else size[:, None] * p
    pieces = evaluate(bulks.density, q, bulks.y, bulks.phi, order=1)
    term = simplex.pull_back(log_density(pieces, bulks.density.n_genes, df=bulks.df), p, size)
    k = theta.shape[1]
    slope = bulks.power * term.gradient
    return bulks.power * float(term.value.sum()), slope[:, :k] @ F, slope[:, k:].ravel()
