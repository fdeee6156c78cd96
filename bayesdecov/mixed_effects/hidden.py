r"""Hidden factors: variation shared by many genes that the design does not explain.

Batches and tissue states shift many genes together. Treated as independent noise, they would be
attributed to errors in the proportions, with the support of thousands of genes. They are estimated
from the residuals orthogonal to the genes' effects (an error in a proportion shifts genes in
proportion to their effects in that cell type, a hidden factor does not), and are part of the noise:

.. math:: \Omega = I + U\,\mathrm{diag}(l - 1)\,U^\top .

Eigenvalues too large for noise alone (Johnstone 2001, doi:10.1214/aos/1009210544) count as factors.
Residuals do not contain the component of a factor within the column space of the design; it is
estimated by the regression of the genes' effects on the factor's loadings.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayesdecov.algebra.terms import Array

_EXTREME = 3.27  # .999 quantile of the Tracy-Widom distribution
_ENOUGH = 6  # residual degrees of freedom


class Hidden(NamedTuple):
    """Covariance of the samples' noise (sample, sample), and its number of hidden factors."""

    covariance: Array
    factors: int


def hidden_factors(X: Array, Y: Array, b: Array) -> Hidden:
    """Factors in ``Y`` (gene, sample), genes in units of their residual standard deviations.

    ``X`` (sample, column) is the design, ``b`` (gene, column) the genes' coefficients.
    """
    n, n_columns = X.shape
    m, df = len(Y), n - n_columns
    rest = m - n_columns - 1
    if df < _ENOUGH or rest < n:
        return Hidden(np.eye(n), 0)
    Q = np.linalg.qr(X)[0]
    E = Y - (Y @ Q) @ Q.T
    own = np.linalg.qr(np.hstack([np.ones((m, 1)), b]))[0]
    away = E - own @ (own.T @ E)
    values, vectors = np.linalg.eigh(away.T @ away / rest)
    values, vectors = values[::-1][:df], vectors[:, ::-1][:, :df]
    count = 0
    while count < df // 2 and values[count] > values[count:].mean() * _edge(df - count, rest):
        count += 1
    if not count:
        return Hidden(np.eye(n), 0)
    strength = values[:count] / values[count:].mean()
    U = vectors[:, :count]
    loadings = E @ U
    loadings -= loadings.mean(axis=0)
    within = np.linalg.solve(loadings.T @ loadings, loadings.T @ (b - b.mean(axis=0)))
    U = U + X @ within.T
    return Hidden(np.eye(n) + (U * (strength - 1)) @ U.T, count)


def _edge(p: int, m: int) -> float:
    """Upper bound for the largest eigenvalue of ``m`` draws of ``p`` independent unit normals."""
    root_m, root_p = np.sqrt(m - 1), np.sqrt(p)
    spread = (root_m + root_p) * (1 / root_m + 1 / root_p) ** (1 / 3)
    return float(((root_m + root_p) ** 2 + _EXTREME * spread) / m)


def effective_genes(X: Array, Y: Array, whitener: Array) -> float:
    """Number of independent genes that carry as much information about the samples.

    Donors differ in ways that shift many genes of a sample together, differently in each sample.
    With residuals of ``df`` degrees of freedom the mean squared correlation of two independent
    genes is ``1 / df``; any excess is real correlation.
    """
    n, n_columns = X.shape
    df = n - n_columns
    Q = np.linalg.qr(whitener @ X)[0]
    white = Y @ whitener.T
    E = white - (white @ Q) @ Q.T
    E /= np.sqrt(np.square(E).sum(axis=1, keepdims=True))
    G = E.T @ E
    shared = float(np.square(G).sum()) / len(Y) ** 2
    real = (shared - 1 / df) / (1 - 1 / df)
    return 1.0 / max(real, 1.0 / len(Y))
