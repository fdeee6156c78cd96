r"""Single cells of donors, and bulks of other donors on another platform.

A cell of type ``j`` of donor ``d`` has Poisson counts around
:math:`L\,c_j\,((1 - a)\,x_{dj} + a\,\bar x_d)\,\gamma`, with the donors' profiles ``x`` of
`bayesdecov.simulate.donors`, the mRNA content :math:`c_j` of its type, ambient RNA ``a``, depth
``L`` and gamma noise :math:`\gamma` of every gene. Bulks are mixtures of whole donors, their genes
multiplied by factors between the platforms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from bayesdecov import checks
from bayesdecov.algebra.simplex import to_mrna
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError
from bayesdecov.io.anndata import new_anndata
from bayesdecov.simulate.donors import checked_lineages, counted, donor_law

_TOGETHER = 0.4  # of a donor's log-variance
_CELL_SD = 0.5  # of the gamma noise of a gene in a cell
_DEPTHS = 0.4  # log-sd of the counts of cells of one type
_UNEVEN = 3.0  # concentration of the cell types of a donor


@dataclass(frozen=True)
class CellCohort:
    """Simulated cells and bulks. All data in it are simulated.

    Attributes
    ----------
    cells
        AnnData with counts in X (sparse) and the columns cell_type, lineage, donor and batch.
    bulk
        Counts of mixtures of other donors, genes x samples.
    covariates
        Group of every bulk, "a" or "b".
    proportions, mrna_fractions
        True fractions of cells and of mRNA, samples x cell types.
    content
        Relative mRNA per cell of every type.
    factors
        Factors of the genes between cells and bulks.
    lineages
        Lineage of each cell type.
    """

    cells: Any
    bulk: pd.DataFrame
    covariates: pd.DataFrame
    proportions: pd.DataFrame
    mrna_fractions: pd.DataFrame
    content: pd.Series
    factors: pd.Series
    lineages: dict[str, str]

    def __repr__(self) -> str:
        n, g = self.cells.shape
        return (
            f"CellCohort (simulated): {n} cells x {g} genes of "
            f"{self.cells.obs['donor'].nunique()} donors, {self.bulk.shape[1]} bulks"
        )


def cells(
    n_donors: int = 5,
    n_cells: int = 2000,
    n_genes: int = 2000,
    lineages: Mapping[str, Sequence[str]] | None = None,
    *,
    n_bulks: int = 20,
    donor_sd: float = 0.3,
    sibling_fold: float = 4.0,
    depth: float = 3000.0,
    ambient: float = 0.0,
    content_sd: float = 0.4,
    platform_sd: float = 0.0,
    group_shift: float = 0.0,
    batches: int = 1,
    seed: Any = None,
) -> CellCohort:
    """Simulate single cells, and bulks of other donors.

    Parameters
    ----------
    n_donors, n_cells, n_genes, n_bulks
        Numbers of donors with single cells, of cells in all, of genes, and of bulks, each of a
        donor of its own.
    lineages, donor_sd, sibling_fold
        As in `bayesdecov.simulate.tissue`.
    depth
        Mean counts of a cell.
    ambient
        Fraction of a cell's counts that comes from the mean of its donor's cells.
    content_sd
        Log-sd of the mRNA content between cell types.
    platform_sd
        Log-sd of the factors of the genes between cells and bulks.
    group_shift
        Difference of the groups in the log-odds of the first cell type; odd bulks are group "b".
    batches
        Donors are divided into batches, whose depths differ by log-sd .3.
    seed
        None, an int or a Generator.

    Returns
    -------
    CellCohort

    Examples
    --------
    >>> from bayesdecov import simulate
    >>> simulate.cells(n_donors=2, n_cells=200, n_genes=200, n_bulks=3, seed=0)
    CellCohort (simulated): 200 cells x 200 genes of 2 donors, 3 bulks
    """
    tree = checked_lineages(lineages)
    family = {name: lineage for lineage, types in tree.items() for name in types}
    names = list(family)
    n_types = len(names)
    n_genes = checks.check_whole(n_genes, "n_genes", at_least=10 * n_types)
    n_donors, n_bulks = (
        checks.check_whole(value, name)
        for value, name in ((n_donors, "n_donors"), (n_bulks, "n_bulks"))
    )
    n_cells = checks.check_whole(n_cells, "n_cells", at_least=n_donors)
    batches = checks.check_whole(batches, "batches")
    checks.check_positive(depth, "depth")
    for value, name in ((content_sd, "content_sd"), (platform_sd, "platform_sd")):
        if not value >= 0:
            raise InputError(name, "must not be negative", found=repr(value))
    if not 0 <= ambient < 1:
        raise InputError("ambient", "must be a fraction below 1", found=repr(ambient))
    rng = checks.make_generator(seed)
    law = donor_law(tree, n_genes, sibling_fold, donor_sd, _TOGETHER, rng)
    content = np.exp(content_sd * rng.normal(size=n_types))
    content /= content.mean()
    factors = np.exp(platform_sd * rng.normal(size=n_genes))
    donors = np.arange(n_cells) * n_donors // n_cells
    batch = donors % batches
    weights = rng.dirichlet(np.full(n_types, _UNEVEN), n_donors)
    types = np.array([rng.choice(n_types, p=weights[d]) for d in donors])
    sizes = depth * content[types] * rng.lognormal(0, _DEPTHS, n_cells)
    sizes *= rng.lognormal(0, 0.3, batches)[batch]
    X = _counts(law.draw(n_donors, rng), weights * content, donors, types, sizes, ambient, rng)
    P = rng.dirichlet(rng.permutation(np.linspace(0.5, 2.0, n_types)), n_bulks)
    second = np.arange(n_bulks) % 2 == 1
    P[second, 0] *= np.exp(group_shift)
    P /= P.sum(axis=1, keepdims=True)
    M = to_mrna(P, content)
    Y = np.einsum("dk,dkg->dg", M, law.draw(n_bulks, rng)) * factors
    genes = pd.Index([f"gene{g + 1:05d}" for g in range(n_genes)], name="gene")
    adata = new_anndata(pd.Index([f"cell{i + 1:06d}" for i in range(n_cells)]), genes)
    adata.X = X
    adata.obs["cell_type"] = np.array(names)[types]
    adata.obs["lineage"] = [family[names[j]] for j in types]
    adata.obs["donor"] = [f"donor {d + 1}" for d in donors]
    adata.obs["batch"] = [f"batch {b + 1}" for b in batch]
    samples = pd.Index([f"bulk{i + 1:03d}" for i in range(n_bulks)], name="sample")
    return CellCohort(
        cells=adata,
        bulk=pd.DataFrame(counted(Y, 1e7, rng).T, genes, samples),
        covariates=pd.DataFrame({"group": np.where(second, "b", "a")}, samples),
        proportions=pd.DataFrame(P, samples, names),
        mrna_fractions=pd.DataFrame(M, samples, names),
        content=pd.Series(content, names, name="content"),
        factors=pd.Series(factors, genes, name="factor"),
        lineages=family,
    )


def _counts(
    profiles: Array,
    weights: Array,
    donors: np.ndarray,
    types: np.ndarray,
    sizes: Array,
    ambient: float,
    rng: np.random.Generator,
) -> sp.csr_matrix:
    """Counts of all cells, donor by donor."""
    parts = []
    for d in range(len(profiles)):
        own = np.flatnonzero(donors == d)
        soup = weights[d] @ profiles[d] / weights[d].sum()
        rate = (1 - ambient) * profiles[d][types[own]] + ambient * soup
        noisy = rate * rng.gamma(_CELL_SD**-2, _CELL_SD**2, rate.shape)
        parts.append(sp.csr_matrix(rng.poisson(noisy * sizes[own, None]).astype(np.float32)))
    return sp.csr_matrix(sp.vstack(parts))
