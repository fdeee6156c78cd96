r"""Predictions of a fitted density: distance of replicated data, each gene given all others.

With :math:`\Theta = V^{-1}`, :math:`u = \Theta r` and :math:`Q = r^\top u`:

* the Mahalanobis distance of replicated data is :math:`Q \sim \chi^2_G`, under a multivariate t
  with :math:`\nu` degrees of freedom :math:`Q / G \sim F(G, \nu)`;
* gene ``g`` given all others is normal with residual :math:`u_g / \Theta_{gg}` and variance
  :math:`1 / \Theta_{gg}` (Buerkner, Gabry and Vehtari 2021, doi:10.1007/s00180-020-01045-4); under
  the t it is a t with :math:`\nu + G - 1` degrees of freedom and that variance times
  :math:`(\nu + Q - u_g^2 / \Theta_{gg}) / (\nu + G - 1)`.
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln
from scipy.stats import chi2
from scipy.stats import f as f_law

from bayesdecov.algebra.dense import Dense
from bayesdecov.algebra.linalg import cholesky, inverse
from bayesdecov.algebra.lowrank import LowRank
from bayesdecov.algebra.terms import Array


def misfit_probability(quad: Array, n_genes: int, df: float | None) -> Array:
    """Probability that replicated data lie farther from the fit than ``quad``."""
    if df is None:
        return np.asarray(chi2.sf(quad, n_genes))
    return np.asarray(f_law.sf(quad / n_genes, n_genes, df))


def conditionals(density: Dense | LowRank, q: Array, y: Array, phi: Array) -> tuple[Array, Array]:
    """``u`` and the diagonal of ``Theta``, both (sample, gene), for a dense or low-rank density."""
    if isinstance(density, LowRank):
        mean, d, P, *_ = density.factorise(q, phi)
        r = y - mean
        u = r / d - (P @ (P.transpose(0, 2, 1) @ r[:, :, None]))[:, :, 0]
        return u, 1 / d - np.einsum("ngk,ngk->ng", P, P)
    Theta = inverse(cholesky(density.covariance(q, phi)))
    u = (Theta @ (y - q @ density.mu.T)[:, :, None])[:, :, 0]
    return u, np.diagonal(Theta, axis1=1, axis2=2)


def leave_one_out(
    density: Dense | LowRank, q: Array, y: Array, phi: Array, df: float | None
) -> tuple[Array, Array]:
    """Log-density of every gene given all others, and its standardised residual, (sample, gene)."""
    u, diagonal = conditionals(density, q, y, phi)
    squares = np.square(u) / diagonal
    if df is None:
        value = -0.5 * (np.log(2 * np.pi) - np.log(diagonal) + squares)
        return value, u / np.sqrt(diagonal)
    r = y - q @ density.mu.T
    quad = np.einsum("ng,ng->n", r, u)[:, None]
    tail = df + y.shape[1] - 1
    scale2 = (df + quad - squares) / tail
    value = gammaln((tail + 1) / 2) - gammaln(tail / 2) - 0.5 * np.log(tail * np.pi * scale2)
    value = value + 0.5 * np.log(diagonal)
    value = value - 0.5 * (tail + 1) * np.log1p(squares / scale2 / tail)
    return value, u / np.sqrt(diagonal * scale2)
