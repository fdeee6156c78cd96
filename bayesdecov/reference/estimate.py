r"""Covariances from replicates of purified samples.

All estimators work on deviations from the type's mean, standardised by *moderated* standard
deviations (`variance.moderate`), so that correlations are estimated separately and variances
borrow strength from all genes. All estimates are positive definite from two replicates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError, Notes
from bayesdecov.reference.factor import factor_covariance, shrinkage_covariance
from bayesdecov.reference.glasso import MIN_REPLICATES, refit, sparse_correlation
from bayesdecov.reference.structures import Covariance, DenseCovariance, FactorCovariance
from bayesdecov.reference.variance import moderate

ESTIMATORS = ("glasso", "glasso-refit", "shrinkage", "diagonal", "factor")
_DENSE_LIMIT = 2000


class CovarianceEstimate(NamedTuple):
    """Covariances and the settings that were chosen from the data."""

    covariance: Covariance
    settings: dict[str, object]


def estimate_covariance(
    profiles: Array, codes: NDArray[np.intp], names: list[str], method: str, notes: Notes
) -> CovarianceEstimate:
    """Covariances of every cell type.

    Parameters
    ----------
    profiles
        Expression of the purified samples, (gene, sample), linear scale.
    codes
        Cell type of each sample as an index into ``names``.
    names
        Cell types.
    method
        One of `ESTIMATORS`.
    """
    n_genes, n_types = len(profiles), len(names)
    replicates = np.bincount(codes, minlength=n_types)
    means = np.stack([profiles[:, codes == j].mean(1) for j in range(n_types)], axis=1)
    variances = np.zeros((n_genes, n_types))
    for several in np.flatnonzero(replicates > 1):
        variances[:, several] = profiles[:, codes == several].var(axis=1, ddof=1)
    moderated = moderate(means, variances, replicates)
    settings: dict[str, object] = {"variances": moderated.trend}
    for single in np.flatnonzero(replicates == 1):
        notes.warn(
            f"cell type {names[single]!r} has one replicate: its covariance is diagonal, from the "
            f"mean-variance trend ({moderated.trend})"
        )
    if method == "diagonal":
        return CovarianceEstimate(_diagonal(moderated.variances), settings)
    if method in ("factor", "shrinkage"):
        low_rank = factor_covariance if method == "factor" else shrinkage_covariance
        covariance, chosen = low_rank(profiles, codes, means, moderated.variances, names)
        return CovarianceEstimate(covariance, settings | {"cell_types": chosen})
    if n_genes > _DENSE_LIMIT:
        raise InputError(
            "covariance",
            f"{method!r} stores a full matrix per cell type and takes at most {_DENSE_LIMIT} genes",
            found=f"{n_genes}",
            fix="use covariance='shrinkage', 'factor' or 'diagonal', or fewer genes",
        )
    deviations = np.sqrt(moderated.variances)
    Sigma = np.empty((n_types, n_genes, n_genes))
    per_type: dict[str, str] = {}
    settings["cell_types"] = per_type
    for j, name in enumerate(names):
        sd = deviations[:, j]
        standard = (profiles[:, codes == j].T - means[:, j]) / sd
        R, per_type[name] = _CORRELATIONS[method](standard)
        Sigma[j] = R * np.outer(sd, sd)
        if 1 < replicates[j] < MIN_REPLICATES:
            notes.warn(
                f"cell type {name!r} has {replicates[j]} replicates, fewer than the "
                f"{MIN_REPLICATES} that a graphical lasso needs: its covariance is diagonal"
            )
    if np.count_nonzero(Sigma) == n_types * n_genes:  # no edge anywhere: the same, but cheaper
        return CovarianceEstimate(_diagonal(moderated.variances), settings)
    return CovarianceEstimate(DenseCovariance(Sigma), settings)


def _diagonal(variances: Array) -> FactorCovariance:
    return FactorCovariance(variances, np.zeros((len(variances), 0)), np.zeros(0, dtype=np.intp))


def _sample_correlation(standard: Array) -> Array:
    """Correlation matrix with a unit diagonal (a constant gene is uncorrelated)."""
    n = len(standard)
    if n < 2:
        return np.eye(standard.shape[1])
    own = standard.std(axis=0, ddof=1)
    scaled = np.divide(standard, own, out=np.zeros_like(standard), where=own > 0)
    R: Array = scaled.T @ scaled / (n - 1)
    np.fill_diagonal(R, 1.0)
    return R


def _glasso(standard: Array) -> tuple[Array, str]:
    fit = sparse_correlation(_sample_correlation(standard), len(standard))
    return _unit_diagonal(fit.covariance), f"penalty {fit.penalty:.3g}, {fit.edges} edges"


def _glasso_refit(standard: Array) -> tuple[Array, str]:
    R = _sample_correlation(standard)
    fit = sparse_correlation(R, len(standard))
    refitted = refit(R, fit.precision, max(len(standard), 2))
    return _unit_diagonal(refitted), f"penalty {fit.penalty:.3g}, {fit.edges} edges, refitted"


def _unit_diagonal(matrix: Array) -> Array:
    root = np.sqrt(np.diag(matrix))
    result: Array = matrix / np.outer(root, root)
    return result


_CORRELATIONS: dict[str, Callable[[Array], tuple[Array, str]]] = {
    "glasso": _glasso,
    "glasso-refit": _glasso_refit,
}
