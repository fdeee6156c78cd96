r"""Profiles of donors: related cell types, genes that vary together, and markers.

.. math:: \log x_{dgj} = \log\mu_{gj} + s\,(\sqrt{.3}\,u_{dg} + \sqrt{c}\,\lambda_{gj}' f_{dj}
          + \sqrt{.7 - c}\,e_{dgj})

where :math:`u` is common to a donor's cell types and :math:`f` shifts genes together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bayesdecov import checks
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError

BLOOD: dict[str, tuple[str, ...]] = {
    "B cell": ("B naive", "B memory"),
    "T cell": ("CD4 T", "CD8 T"),
    "Monocyte": ("classical", "non-classical"),
    "Granulocyte": ("neutrophil", "eosinophil"),
}
SHARED = 0.3  # fraction of a donor's log-variance that is common to its cell types
_N_FACTORS = 5
_LINEAGE_GENES, _TYPE_GENES = 0.04, 0.03  # fraction of the genes that are markers of each
_MOST = 0.8  # largest fraction of marker genes
_LINEAGE_FOLD = 8.0
_LIBRARIES = 0.3  # log-sd of the depth between samples


class DonorLaw(NamedTuple):
    """Mean log-expression (gene, cell_type), loadings (cell_type, gene, factor), and variances."""

    log_mu: Array
    loadings: Array
    donor_sd: float
    together: float

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        """Profiles (donor, cell_type, gene), each scaled to a sum of 1."""
        n_types, n_genes, n_factors = self.loadings.shape
        log_x = np.sqrt(SHARED) * rng.normal(size=(count, 1, n_genes))
        factors = rng.normal(size=(count, n_types, n_factors))
        log_x = log_x + np.sqrt(self.together) * np.einsum("dkf,kgf->dkg", factors, self.loadings)
        own = np.sqrt(1 - SHARED - self.together)
        log_x += own * rng.normal(size=(count, n_types, n_genes))
        return whole(np.exp(self.log_mu.T + self.donor_sd * log_x))


def donor_law(
    tree: Mapping[str, Sequence[str]],
    n_genes: int,
    sibling_fold: float,
    donor_sd: float,
    together: float,
    rng: np.random.Generator,
) -> DonorLaw:
    """Draw means and loadings; see `bayesdecov.simulate.tissue` for the options."""
    if donor_sd < 0 or sibling_fold < 1:
        raise InputError(
            "donor_sd" if donor_sd < 0 else "sibling_fold",
            "is too small",
            fix="use at least 0 for donor_sd and at least 1 for sibling_fold",
        )
    if not 0 <= together <= 1 - SHARED:
        raise InputError("together", f"must lie between 0 and {1 - SHARED}", found=repr(together))
    n_types = sum(map(len, tree.values()))
    log_mu = _centres(tree, n_genes, sibling_fold, rng)
    loadings = rng.normal(size=(n_types, n_genes, _N_FACTORS)) / np.sqrt(_N_FACTORS)
    return DonorLaw(log_mu, loadings, donor_sd, together)


def checked_lineages(lineages: Mapping[str, Sequence[str]] | None) -> dict[str, tuple[str, ...]]:
    """Cell types of every lineage, each once; default `BLOOD`."""
    tree = {name: tuple(types) for name, types in (BLOOD if lineages is None else lineages).items()}
    names = [name for types in tree.values() for name in types]
    if len(names) < 2 or len(set(names)) != len(names):
        raise InputError(
            "lineages",
            "must contain at least two cell types, each only once",
            found=checks.some(names),
        )
    return tree


def _centres(
    tree: Mapping[str, Sequence[str]], n_genes: int, sibling_fold: float, rng: np.random.Generator
) -> Array:
    """Mean log-expression (gene, cell_type): common levels, markers of lineages and of types."""
    lineages = [lineage for lineage, types in tree.items() for _ in types]
    log_mu = np.repeat(rng.normal(3.0, 1.5, n_genes)[:, None], len(lineages), axis=1)
    log_mu += 0.15 * rng.normal(size=log_mu.shape)
    order = iter(rng.permutation(n_genes))
    wanted = _LINEAGE_GENES * len(tree) + _TYPE_GENES * len(lineages)
    scale = n_genes * min(1.0, _MOST / wanted)  # fewer markers each for many types
    for lineage in tree:
        rows = [next(order) for _ in range(int(_LINEAGE_GENES * scale))]
        members = np.array([name == lineage for name in lineages])
        up = np.log(_LINEAGE_FOLD) * rng.lognormal(0, 0.25, len(rows))
        log_mu[np.ix_(rows, members)] += up[:, None]
    for j in range(len(lineages)):
        rows = [next(order) for _ in range(int(_TYPE_GENES * scale))]
        log_mu[rows, j] += np.log(sibling_fold) * rng.lognormal(0, 0.25, len(rows))
    return log_mu


def whole(x: Array) -> Array:
    """Scaled to a sum of 1 over the last axis."""
    return x / x.sum(axis=-1, keepdims=True)


def counted(x: Array, depth: float, rng: np.random.Generator) -> Array:
    """Poisson counts with different library sizes."""
    size = depth * rng.lognormal(0, _LIBRARIES, (len(x), 1))
    return rng.poisson(whole(x) * size).astype(float)
