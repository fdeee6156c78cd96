r"""Sparse precision matrices: graphical lasso with the penalty chosen by EBIC, and the refit.

The extended Bayesian information criterion (Foygel & Drton 2010, arXiv:1011.6640)

.. math:: -n\,[\log|\Theta| - \mathrm{tr}(R\Theta)] + E \log n + 4\gamma E \log G,
          \qquad \gamma = 1/2,

is minimised over a path of penalties from the largest correlation downwards; as in the publication
:math:`\Theta` in the criterion is the *unpenalised* maximum likelihood on the support that the
penalty selects, so the shrinkage of the lasso does not count against an edge. The path ends where
that maximum no longer exists (a gene with as many neighbours as replicates). Genes that the
thresholded correlations do not connect are solved separately, which is exact (Mazumder & Hastie
2012).
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from sklearn.covariance import graphical_lasso
from sklearn.exceptions import ConvergenceWarning

from bayesdecov.algebra.terms import Array

MIN_REPLICATES = 5  # with fewer, correlations are noise: the covariance stays diagonal
_GAMMA = 0.5
_PATH = np.linspace(1.0, 0.1, 19)
_PATIENCE = 4


class SparseFit(NamedTuple):
    """Covariance and precision on the correlation scale, penalty, number of edges, EBIC."""

    covariance: Array
    precision: Array
    penalty: float
    edges: int
    ebic: float


def sparse_correlation(R: Array, n: int) -> SparseFit:
    """Graphical lasso of a correlation matrix from ``n`` replicates, penalty by EBIC."""
    n_genes = len(R)
    identity = np.eye(n_genes)
    best = SparseFit(identity, identity, np.inf, 0, float(n * n_genes))
    off_diagonal = np.abs(R - np.diag(np.diag(R)))
    if n < MIN_REPLICATES or n_genes < 2 or off_diagonal.max() == 0:
        return best
    worse = 0
    for penalty in off_diagonal.max() * _PATH[1:]:
        try:
            fit = _fit(R, n, float(penalty))
        except FloatingPointError:  # not solvable at this penalty: the path ends here
            break
        if fit is None:
            break
        if fit.ebic < best.ebic:
            best, worse = fit, 0
        else:
            worse += 1
        if worse == _PATIENCE:
            break
    return best


def _fit(R: Array, n: int, penalty: float) -> SparseFit | None:
    """Graphical lasso at one penalty; None where its support has no maximum likelihood."""
    n_genes = len(R)
    covariance, precision = np.eye(n_genes), np.eye(n_genes)
    log_determinant, trace, edges = 0.0, float(n_genes), 0
    for members in _components(np.abs(R) > penalty):
        if len(members) == 1:
            continue
        block = np.ix_(members, members)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # EBIC judges the result
            W, T = graphical_lasso(R[block], alpha=penalty, tol=1e-3, max_iter=50)
        support = T != 0
        if support.sum(axis=0).max() >= n:
            return None
        covariance[block], precision[block] = W, T
        target = _ridged(R[block], n)
        refitted = _covariance_selection(target, support)
        log_determinant -= float(np.linalg.slogdet(refitted)[1])
        edges += int(np.count_nonzero(np.triu(T, 1)))
    # on the support the fit reproduces the correlations, so the trace is the number of genes
    ebic = -n * (log_determinant - trace)
    ebic += edges * (np.log(n) + 4 * _GAMMA * np.log(n_genes))
    return SparseFit(covariance, precision, penalty, edges, float(ebic))


def _components(linked: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    _, label = connected_components(linked, directed=False)
    order = np.argsort(label, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(label[order])) + 1)


def refit(R: Array, precision: Array, n: int) -> Array:
    """Unpenalised Gaussian ML on the support of ``precision``: the paper's own proposal.

    A ridge of 1/n on the correlations keeps it positive definite.
    """
    result = np.eye(len(R))
    for members in _components(precision != 0):
        if len(members) > 1:
            block = np.ix_(members, members)
            result[block] = _covariance_selection(_ridged(R[block], n), precision[block] != 0)
    return result


def _ridged(R: Array, n: int) -> Array:
    return (1 - 1 / n) * R + np.eye(len(R)) / n


def _covariance_selection(
    S: Array, support: NDArray[np.bool_], sweeps: int = 100, tol: float = 1e-5
) -> Array:
    """The covariance whose inverse has the given support and whose entries on it equal ``S``.

    Cyclic regression (Hastie, Tibshirani & Friedman 2009, algorithm 17.1).
    """
    W = S.copy()
    neighbours = [np.flatnonzero(row & (np.arange(len(S)) != j)) for j, row in enumerate(support)]
    for _ in range(sweeps):
        before = W.copy()
        for j, near in enumerate(neighbours):
            variance = W[j, j]
            beta = np.linalg.solve(W[np.ix_(near, near)], S[near, j])
            W[:, j] = W[j, :] = W[:, near] @ beta
            W[j, j] = variance
        if np.abs(W - before).max() < tol:
            break
    return W
