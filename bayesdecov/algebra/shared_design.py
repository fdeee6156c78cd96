r"""Least squares of every gene on one design, and its summaries for a mixed model.

With :math:`y_g = X(\beta + \gamma_g) + \varepsilon_g` and the same ``X`` for all genes,
:math:`b_g = (X^\top X)^{-1}X^\top y_g` and the residual sums of squares are sufficient, and the
log-likelihood of everything needs only the mean and the scatter of ``b`` and the sum of the RSS:
its cost does not depend on the number of genes (FastMix, medRxiv 2021.09.14.21263182, Eq. 4-12).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from bayesdecov.algebra.terms import Array

_CHUNK = 2048  # genes at a time, to bound the memory of residuals


class LeastSquares(NamedTuple):
    r"""Gene-wise least squares, reduced to the columns that have random effects.

    Attributes
    ----------
    b
        Coefficients, (gene, column).
    mean
        Their mean over genes: least squares on all data.
    V
        :math:`(X^\top X)^{-1}`, (column, column).
    rss
        Residual sums of squares, (gene,).
    df
        Residual degrees of freedom, ``n - L``.
    random
        Indices of the columns with random effects, (q,).
    c
        Coefficients of :math:`y_g - X\bar b` on the random columns alone, (gene, q).
    Vz
        :math:`(Z^\top Z)^{-1}` of the random columns, (q, q).
    onto
        :math:`Vz Z^\top X`, (q, column): coefficients on Z of a change of the fixed effects.
    """

    b: Array
    mean: Array
    V: Array
    rss: Array
    df: int
    random: NDArray[np.intp]
    c: Array
    Vz: Array
    onto: Array


def least_squares(X: Array, Y: Array, random: NDArray[np.intp] | None = None) -> LeastSquares:
    """Fit ``Y`` (gene, sample) on ``X`` (sample, column) of full rank, all genes at once."""
    return assembled(X, *coefficients(X, Y), random)


def coefficients(X: Array, Y: Array) -> tuple[Array, Array]:
    """Coefficients (gene, column) and residual sums of squares (gene,) of any of the genes."""
    Q, R = np.linalg.qr(X)
    b = np.asarray(solve_triangular(R, (Y @ Q).T)).T
    rss = np.empty(len(Y))
    for start in range(0, len(Y), _CHUNK):
        part = slice(start, start + _CHUNK)
        residual = Y[part] - b[part] @ X.T
        rss[part] = np.einsum("gi,gi->g", residual, residual)
    return b, rss


def assembled(
    X: Array, b: Array, rss: Array, random: NDArray[np.intp] | None = None
) -> LeastSquares:
    """Summaries for a mixed model, from the `coefficients` of all genes."""
    n, n_columns = X.shape
    random = np.arange(n_columns) if random is None else random
    R = np.linalg.qr(X)[1]
    R_inverse = solve_triangular(R, np.eye(n_columns))
    mean = b.mean(axis=0)
    Z = X[:, random]
    Qz, Rz = np.linalg.qr(Z)
    Rz_inverse = solve_triangular(Rz, np.eye(len(random)))
    onto = Rz_inverse @ (Qz.T @ X)
    c = (b - mean) @ onto.T
    c -= c.mean(axis=0)  # zero but for rounding, which the robust mean can amplify
    return LeastSquares(
        b,
        mean,
        R_inverse @ R_inverse.T,
        rss,
        n - n_columns,
        random,
        c,
        Rz_inverse @ Rz_inverse.T,
        onto,
    )


def subset(ls: LeastSquares, rows: NDArray[np.bool_]) -> LeastSquares:
    """The same fit of some of the genes, centred at their own mean."""
    mean = ls.b[rows].mean(axis=0)
    c = (ls.b[rows] - mean) @ ls.onto.T
    return ls._replace(b=ls.b[rows], mean=mean, rss=ls.rss[rows], c=c - c.mean(axis=0))


def embed(Psi: Array, ls: LeastSquares) -> Array:
    """A matrix of the random columns on all columns, zero elsewhere."""
    full = np.zeros_like(ls.V)
    full[np.ix_(ls.random, ls.random)] = Psi
    return full


class Basis(NamedTuple):
    r"""Coordinates in which :math:`\Psi` and ``Vz`` are both diagonal.

    ``Vz = W W'`` and ``Psi = W diag(lam) W'``; a vector ``r`` has coordinates ``inverse @ r``, and
    :math:`\Psi + \sigma_g^2 Vz` is ``lam + sigma_g^2`` on the diagonal, gene by gene.
    """

    W: Array
    inverse: Array
    lam: Array


def basis(Psi: Array, Vz: Array) -> Basis:
    """Diagonalise ``Psi`` and ``Vz`` together; negative eigenvalues of ``Psi`` stay negative."""
    C = np.linalg.cholesky(Vz)
    half = solve_triangular(C, (Psi + Psi.T) / 2, lower=True)
    lam, U = np.linalg.eigh(solve_triangular(C, half.T, lower=True))
    W = C @ U
    return Basis(W, U.T @ solve_triangular(C, np.eye(len(C)), lower=True), lam)


def without_noise(T: Array, Vz: Array, sigma2: float, *, floor: Array | float = 0.0) -> Array:
    """``T - sigma2 Vz`` made positive semi-definite in the coordinates where ``Vz`` is 1.

    Eigenvalues are floored at ``floor`` times those of ``T``.
    """
    W, _, lam = basis(T, Vz)
    return np.asarray((W * np.maximum(lam - sigma2, floor * lam)) @ W.T)


def log_likelihood(
    ls: LeastSquares, beta: Array, Psi: Array, sigma2: float, *, restricted: bool = False
) -> float:
    r"""The Gaussian log-likelihood of all of ``Y`` under random effects of every column.

    .. math:: -\tfrac12\big[m\log|2\pi T| + \mathrm{tr}(T^{-1}S) + m d^\top T^{-1}d\big]
              -\tfrac12\big[m(n-L)\log(2\pi\sigma^2) + \mathrm{RSS}/\sigma^2\big]
              -\tfrac m2\log|X^\top X|

    with :math:`T = \Psi + \sigma^2 V`, ``S`` the scatter of ``b`` around its mean and
    :math:`d = \bar b - \beta`. ``Psi`` is (column, column), zero where a column has no random
    effect. ``restricted`` integrates ``beta`` out under a flat prior (REML) and ignores ``beta``.
    """
    m, n_columns = ls.b.shape
    T = Psi + sigma2 * ls.V
    L = np.linalg.cholesky(T)
    log_det = 2.0 * np.log(np.diag(L)).sum()
    centred = ls.b - ls.mean
    quadratic = float(np.square(solve_triangular(L, centred.T, lower=True)).sum())
    log_det_xx = -np.linalg.slogdet(ls.V)[1]
    constant = m * (n_columns + ls.df) * np.log(2 * np.pi) + m * log_det_xx
    noise = m * ls.df * np.log(sigma2) + ls.rss.sum() / sigma2
    if restricted:
        # beta's Gaussian integral: (2 pi)^{L/2} |T/m|^{1/2}
        log_det_mean = log_det - n_columns * np.log(m)
        constant -= n_columns * np.log(2 * np.pi) + log_det_mean
    else:
        quadratic += m * float(np.square(solve_triangular(L, ls.mean - beta, lower=True)).sum())
    return float(-0.5 * (m * log_det + quadratic + noise + constant))
