r"""The two parts of every Gaussian log-density, and their combination.

With ``V(q)`` the covariance and ``r = y - mu q`` the residual, a convolution density needs only

.. math:: \log|V(q)| \quad\text{and}\quad Q(q) = r^\top V(q)^{-1} r .

Each covariance structure (`dense`, `lowrank`, `compressed`) supplies both with gradient and
Hessian; `log_density` turns them into the Gaussian likelihood (DeCovarT Eq. 7), the criterion the
paper maximised (DeCovarT Eq. 8, the log-determinant counted twice), or a multivariate t.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Array = NDArray[np.floating[Any]]


class Term(NamedTuple):
    """A scalar function of ``q`` for every sample, with its derivatives.

    ``value`` is ``(sample,)``, ``gradient`` ``(sample, k)`` and ``hessian`` ``(sample, k, k)``;
    derivatives that were not requested are empty arrays.
    """

    value: Array
    gradient: Array
    hessian: Array


class Pieces(NamedTuple):
    """``log|V|``, the Mahalanobis form ``Q``, and the expected information split in two."""

    logdet: Term
    quad: Term
    information_mean: Array  # mu' Theta mu
    information_covariance: Array  # 1/2 tr(Theta B_i Theta B_j)


class Contractions(NamedTuple):
    """Quantities that a covariance structure must compute for `assemble`.

    ``B_j = dV/dq_j`` and ``S_j = 1/2 d2V/dq_j2``; ``u = Theta r``; ``c_j = mu_j + B_j u``.
    """

    logdet: Array  # (n,)
    quad: Array  # (n,)          r' u
    trace_b: Array  # (n, J)     tr(Theta B_j)
    trace_bb: Array  # (n, J, J) tr(Theta B_i Theta B_j)
    trace_s: Array  # (n, J)     tr(Theta S_j)
    mu_u: Array  # (n, J)        mu_j' u
    u_b_u: Array  # (n, J)       u' B_j u
    u_s_u: Array  # (n, J)       u' S_j u
    cross: Array  # (n, J, J)    c_i' Theta c_j
    mean_information: Array  # (n, J, J) mu_i' Theta mu_j


def assemble(parts: Contractions) -> Pieces:
    r"""Derivatives of ``log|V|`` and ``Q`` from the contractions.

    DeCovarT Eq. 9 and 10, with the log-determinant counted once.

    .. math::
        \partial_j \log|V| = \mathrm{tr}(\Theta B_j), \qquad
        \partial_{ij} \log|V| = -\mathrm{tr}(\Theta B_i \Theta B_j)
                               + [i=j]\, 2\,\mathrm{tr}(\Theta S_j)

        \partial_j Q = -2 \mu_j^\top u - u^\top B_j u, \qquad
        \partial_{ij} Q = 2 c_i^\top \Theta c_j - [i=j]\, 2\, u^\top S_j u
    """
    logdet = Term(parts.logdet, parts.trace_b, add_diagonal(-parts.trace_bb, 2 * parts.trace_s))
    quad = Term(
        parts.quad, -2 * parts.mu_u - parts.u_b_u, add_diagonal(2 * parts.cross, -2 * parts.u_s_u)
    )
    return Pieces(logdet, quad, parts.mean_information, 0.5 * parts.trace_bb)


_NONE = np.empty(0)


def values_only(logdet: Array, quad: Array) -> Pieces:
    """Pieces without derivatives, for line searches and scans over starting points."""
    return Pieces(Term(logdet, _NONE, _NONE), Term(quad, _NONE, _NONE), _NONE, _NONE)


def with_gradients(
    logdet: Array, quad: Array, *, trace_b: Array, mu_u: Array, u_b_u: Array
) -> Pieces:
    """Pieces with first derivatives only (`Contractions` has the names), for samplers."""
    slope = -2 * mu_u - u_b_u
    return Pieces(Term(logdet, trace_b, _NONE), Term(quad, slope, _NONE), _NONE, _NONE)


def log_density(
    pieces: Pieces, n_genes: int, *, logdet_weight: float = 0.5, df: float | None = None
) -> Term:
    r"""Log-density and derivatives from the two pieces.

    Parameters
    ----------
    pieces
        Output of a covariance structure.
    n_genes
        Number of genes G, for the constant and the tail.
    logdet_weight
        1/2 for the Gaussian likelihood (DeCovarT Eq. 7); 1 for DeCovarT Eq. 8, which equals the
        likelihood times the improper prior :math:`|V|^{-1/2}`.
    df
        None for the Gaussian; otherwise the degrees of freedom of a multivariate t, which is the
        Gaussian with a per-sample scale :math:`\kappa_i \sim \mathrm{InvGamma}(df/2, df/2)`
        integrated out.
    """
    logdet, quad = pieces.logdet, pieces.quad
    if df is None:
        constant = -0.5 * n_genes * np.log(2 * np.pi)
        value = constant - logdet_weight * logdet.value - 0.5 * quad.value
        slope, curvature = np.full_like(quad.value, -0.5), np.zeros_like(quad.value)
    else:
        constant = (
            gammaln((df + n_genes) / 2) - gammaln(df / 2) - 0.5 * n_genes * np.log(df * np.pi)
        )
        total = df + quad.value
        value = constant - logdet_weight * logdet.value
        value = value - 0.5 * (df + n_genes) * np.log1p(quad.value / df)
        slope = -0.5 * (df + n_genes) / total
        curvature = 0.5 * (df + n_genes) / total**2
    if quad.gradient.size == 0:
        return Term(value, quad.gradient, quad.hessian)
    gradient = -logdet_weight * logdet.gradient + slope[:, None] * quad.gradient
    if quad.hessian.size == 0:
        return Term(value, gradient, quad.hessian)
    hessian = -logdet_weight * logdet.hessian + slope[:, None, None] * quad.hessian
    outer = quad.gradient[:, :, None] * quad.gradient[:, None, :]
    return Term(value, gradient, hessian + curvature[:, None, None] * outer)


def scale_weight(quad: Array, n_genes: int, df: float | None) -> Array:
    """Posterior mean of 1/kappa: what a misfitting sample's residuals are weighted by (1: none)."""
    if df is None:
        return np.ones_like(quad)
    return (df + n_genes) / (df + quad)


def information(pieces: Pieces, n_genes: int, *, df: float | None = None) -> Array:
    r"""Expected (Fisher) information in ``q``: positive semi-definite by construction.

    :math:`F_{ij} = \mu_i^\top\Theta\mu_j + \tfrac12\mathrm{tr}(\Theta B_i \Theta B_j)`; under the
    t the part of the mean is weighted by the sample's estimated scale.
    """
    weight = scale_weight(pieces.quad.value, n_genes, df)[:, None, None]
    return weight * pieces.information_mean + pieces.information_covariance


def add_diagonal(matrix: Array, diagonal: Array) -> Array:
    """Add ``diagonal`` (n, k) onto a batch of matrices (n, k, k), in place on a fresh array."""
    index = np.arange(matrix.shape[-1])
    matrix[..., index, index] += diagonal
    return matrix
