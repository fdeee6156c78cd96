r"""Two groups, deconvolved separately, and permutations of their labels.

In each group every gene is regressed on the proportions. The statistic is the difference between a
cell type's coefficients, divided by its standard error plus a constant as in SAM. Its null
distribution comes from permuted labels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra.terms import Array
from bayesdecov.rivals.rival import Effects, Rival, RivalData


def cssam(data: RivalData, rng: np.random.Generator, permutations: int) -> Effects:
    """Differences between two groups in every cell type, with permutation p-values and FDR.

    The false-discovery rate of a gene is the mean number of permuted statistics at least as large,
    divided by the number of observed ones (for one cell type), made monotone.
    """
    assert data.group is not None
    difference, sd = _difference(data.Y, data.cells, data.group)
    damping = np.median(sd, axis=0)  # per cell type, kept fixed in permutations
    size = np.abs(difference / (sd + damping))
    order = np.sort(size, axis=0)  # ascending, per cell type
    n_genes, n_types = size.shape
    exceeding = np.zeros((n_genes, n_types))
    for _ in range(permutations):
        by_chance, its_sd = _difference(data.Y, data.cells, rng.permutation(data.group))
        chance = np.abs(by_chance / (its_sd + damping))
        for j in range(n_types):
            sorted_chance = np.sort(chance[:, j])
            exceeding[:, j] += n_genes - np.searchsorted(sorted_chance, size[:, j], side="left")
    p = (exceeding + 1) / (permutations * n_genes + 1)
    fdr = np.empty_like(p)
    for j in range(n_types):
        called = n_genes - np.searchsorted(order[:, j], size[:, j], side="left")
        raw = np.minimum(exceeding[:, j] / permutations / called, 1.0)
        rank = np.argsort(size[:, j])  # a larger statistic never has the larger rate
        fdr[rank, j] = np.minimum.accumulate(raw[rank])
    shape = (len(data.Y), data.X.shape[1])
    whole = Effects(*(np.full(shape, np.nan) for _ in range(4)))
    for values, own in zip(whole, (difference, sd, p, fdr), strict=True):
        assert values is not None
        values[:, data.products] = own
    return whole


def _difference(Y: Array, P: Array, group: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Difference between the groups and its standard error, (gene, cell_type)."""
    parts = []
    for members in (group, ~group):
        X = P[members]
        inverse = np.linalg.inv(X.T @ X)
        b = Y[:, members] @ X @ inverse
        rss = ((Y[:, members] - b @ X.T) ** 2).sum(axis=1)
        parts.append((b, np.outer(rss / (members.sum() - P.shape[1]), np.diag(inverse))))
    (b1, v1), (b0, v0) = parts
    return b1 - b0, np.sqrt(v1 + v0)


RIVAL = Rival(
    name="cssam",
    title="Cell-type-specific significance analysis of two groups (csSAM, Shen-Orr et al. 2010)",
    doi="10.1038/nmeth.1439",
    needs_groups=True,
    estimate=cssam,
)
