r"""Low-rank covariances from replicates: Ledoit-Wolf shrinkage that never forms a matrix.

With ``n`` replicates a sample covariance has rank ``n - 1``, so shrinking it towards a diagonal,

.. math:: \Sigma_j = w_j D_j + (1 - w_j)\,X_j^\top X_j / (n_j - 1),

is already a diagonal plus factors, one for each replicate but one. The weight ``w_j`` is Ledoit and
Wolf's (2004, doi:10.1016/S0047-259X(03)00096-4): one, and so no factor at all, where the replicates
show no correlation beyond chance.

* `shrinkage_covariance`: ``D_j`` are the moderated variances of each type; exact Ledoit-Wolf on the
  correlations; cost linear in the number of genes.
* `factor_covariance`: one diagonal ``D`` for all types up to a multiplier; then the likelihood does
  not depend on the number of genes (`bayesdecov.algebra.compressed`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf_shrinkage

from bayesdecov.algebra.terms import Array
from bayesdecov.reference.structures import FactorCovariance

_LEAST_WEIGHT = 0.01  # never singular
_NEGLIGIBLE = 0.999  # above this weight the factors are left out


def shrinkage_covariance(
    profiles: Array, codes: NDArray[np.intp], means: Array, variances: Array, names: list[str]
) -> tuple[FactorCovariance, dict[str, object]]:
    """Ledoit-Wolf shrinkage of each type's correlations, with moderated variances."""
    D = variances.copy()
    loadings, owner = [], []
    settings: dict[str, object] = {}
    for j, name in enumerate(names):
        deviations = profiles[:, codes == j].T - means[:, j]  # (replicate, gene)
        own = np.sqrt((deviations**2).sum(axis=0) / max(len(deviations) - 1, 1))
        standard = np.divide(deviations, own, out=np.zeros_like(deviations), where=own > 0)
        weight, U = _shrunk(standard)
        varies = own > 0
        D[varies, j] *= weight
        loadings.append(np.sqrt(variances[:, [j]]) * U)
        owner.append(np.full(U.shape[1], j))
        settings[name] = f"shrinkage weight {weight:.3g}"
    return _assembled(D, loadings, owner, None), settings


def factor_covariance(
    profiles: Array, codes: NDArray[np.intp], means: Array, variances: Array, names: list[str]
) -> tuple[FactorCovariance, dict[str, object]]:
    """Shared diagonal up to a multiplier per type, plus the shrunken sample covariance."""
    level = np.exp(np.log(variances).mean(axis=0))
    D = (variances / level).mean(axis=1)  # the mixture's variance at equal proportions
    root = np.sqrt(D)
    multiplier = np.empty(len(names))
    loadings, owner = [], []
    settings: dict[str, object] = {}
    for j, name in enumerate(names):
        white = (profiles[:, codes == j].T - means[:, j]) / root
        total = float(np.mean(variances[:, j] / D))
        weight, U = _shrunk(white)
        multiplier[j] = weight * total
        loadings.append(root[:, None] * U)
        owner.append(np.full(U.shape[1], j))
        settings[name] = f"shrinkage weight {weight:.3g}, {U.shape[1]} factors"
    return _assembled(D[:, None] * multiplier, loadings, owner, multiplier), settings


def _shrunk(white: Array) -> tuple[float, Array]:
    """Ledoit-Wolf weight, and loadings (gene, factor) that carry the rest."""
    n, n_genes = white.shape
    none = np.zeros((n_genes, 0))
    if n < 3:  # one degree of freedom cannot estimate correlations
        return 1.0, none
    weight = float(np.clip(ledoit_wolf_shrinkage(white), _LEAST_WEIGHT, 1.0))
    if weight > _NEGLIGIBLE:
        return 1.0, none
    _, singular, right = np.linalg.svd(white, full_matrices=False)
    rank = min(n - 1, n_genes)  # the rows add up to zero
    scale = singular[:rank] * np.sqrt((1 - weight) / (n - 1))
    return weight, right[:rank].T * scale


def _assembled(
    D: Array, loadings: list[Array], owner: list[Array], multiplier: Array | None
) -> FactorCovariance:
    return FactorCovariance(
        D=np.ascontiguousarray(D),
        U=np.ascontiguousarray(np.concatenate(loadings, axis=1)),
        owner=np.concatenate(owner).astype(np.intp),
        multiplier=multiplier,
    )
