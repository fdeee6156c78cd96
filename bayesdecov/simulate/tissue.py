r"""Blood-like tissue from whole donors: related cell types, unknown cells, counts.

Every donor has its own profile in every cell type,

.. math:: \log x_{dgj} = \log\mu_{gj} + s\,(\sqrt{.3}\,u_{dg} + \sqrt{c}\,\lambda_{gj}' f_{dj}
          + \sqrt{.7 - c}\,e_{dgj}) - s^2/2,

where :math:`u` is common to its cell types and :math:`f` shifts genes together. Bulks and purified
samples come from different donors, and every bulk comes from a single donor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError
from bayesdecov.simulate.donors import (
    checked_lineages,
    counted,
    donor_law,
    whole,
)

OTHER = "other"
_OTHER_SD = 0.8  # log-sd between donors of unknown cells, which vary more (such as tumours)


@dataclass(frozen=True)
class Tissue:
    """A simulated cohort of related cell types. All data in it are simulated.

    Attributes
    ----------
    bulk
        Counts of mixtures, genes x samples, one donor each.
    proportions
        True fractions of mRNA of the known cell types, samples x cell types, rows sum to 1.
    other
        True fraction of unknown cells in the whole bulk, one per sample.
    purified, labels, donors
        Counts of purified cell types from other donors, genes x samples, and their cell types and
        donors.
    lineages
        Lineage of each cell type.
    """

    bulk: pd.DataFrame
    proportions: pd.DataFrame
    other: pd.Series
    purified: pd.DataFrame
    labels: pd.Series
    donors: pd.Series
    lineages: dict[str, str]

    def __repr__(self) -> str:
        return (
            f"Tissue (simulated): {self.bulk.shape[1]} bulks x {self.bulk.shape[0]} genes, "
            f"{self.proportions.shape[1]} cell types, {self.purified.shape[1]} purified samples"
        )


def tissue(
    n_samples: int = 40,
    n_genes: int = 2000,
    lineages: Mapping[str, Sequence[str]] | None = None,
    *,
    replicates: int = 6,
    donor_sd: float = 0.3,
    together: float = 0.4,
    sibling_fold: float = 4.0,
    depth: float = 1e6,
    other: Any = 0.0,
    pure: bool = False,
    proportions: Any = None,
    seed: Any = None,
) -> Tissue:
    """Simulate bulks and purified samples of related cell types.

    Parameters
    ----------
    n_samples, n_genes
        Numbers of bulks and genes.
    lineages
        Cell types of every lineage; default `BLOOD`, eight types in four lineages.
    replicates
        Number of donors of purified samples, each with one sample of every cell type.
    donor_sd
        Standard deviation between donors, on the log scale.
    together
        Fraction of a donor's log-variance that is due to common factors of genes, at most .7; 0:
        genes vary independently.
    sibling_fold
        Fold change of a marker of one cell type over the other types of its lineage.
    depth
        Mean total count of a sample.
    other
        Mean fraction of the bulk from unknown cells, which have no purified samples, or the
        fraction in every sample.
    pure
        Every bulk consists of a single cell type, in turn.
    proportions
        Given proportions, samples x cell types in the order of ``lineages``, which determine
        ``n_samples``.
    seed
        None, an int or a Generator.

    Returns
    -------
    Tissue

    Examples
    --------
    >>> from bayesdecov import simulate
    >>> simulate.tissue(n_samples=5, n_genes=200, seed=0)
    Tissue (simulated): 5 bulks x 200 genes, 8 cell types, 48 purified samples
    """
    tree = checked_lineages(lineages)
    family = {name: lineage for lineage, types in tree.items() for name in types}
    names = list(family)
    n_types = len(names)
    n_genes = checks.check_whole(n_genes, "n_genes", at_least=10 * n_types)
    if isinstance(proportions, pd.DataFrame):
        if set(proportions.columns) != set(names):
            raise InputError(
                "proportions",
                "must have the cell types as columns",
                found=checks.some(proportions.columns),
            )
        proportions = proportions[names]
    given = None if proportions is None else np.asarray(proportions, dtype=float)
    if given is not None:
        if given.ndim != 2 or given.shape[1] != n_types:
            raise InputError(
                "proportions",
                f"must be samples x {n_types} cell types",
                found=f"an array of shape {given.shape}",
            )
        if not ((given >= 0).all() and (given.sum(axis=1) > 0).all()):
            raise InputError("proportions", "must be nonnegative, with a positive sum per sample")
        n_samples, given = len(given), given / given.sum(axis=1, keepdims=True)
    n_samples = checks.check_whole(n_samples, "n_samples")
    replicates = checks.check_whole(replicates, "replicates")
    checks.check_positive(depth, "depth")
    foreign_share = np.asarray(other, dtype=float)
    if foreign_share.shape not in ((), (n_samples,)) or not (
        (foreign_share >= 0).all() and (foreign_share < 1).all()
    ):
        raise InputError(
            "other", "must be a fraction below 1, or one for every sample", found=repr(other)
        )
    rng = checks.make_generator(seed)
    law = donor_law(tree, n_genes, sibling_fold, donor_sd, together, rng)
    foreign = rng.normal(3.0, 1.5, n_genes)

    weights = rng.permutation(np.linspace(0.5, 2.0, n_types))
    P: Array = rng.dirichlet(weights, n_samples)
    if pure:
        P = np.eye(n_types)[np.arange(n_samples) % n_types]
    if given is not None:
        P = given
    Y = np.einsum("dk,dkg->dg", P, law.draw(n_samples, rng))
    share = np.zeros(n_samples)
    if foreign_share.any():
        share = foreign_share
        if not share.ndim:
            share = rng.beta(8 * share, 8 * (1 - share), n_samples)
        spread = _OTHER_SD * rng.normal(size=(n_samples, n_genes))
        strange = whole(np.exp(foreign + spread))
        Y = (1 - share)[:, None] * Y + share[:, None] * strange
    X = law.draw(replicates, rng).transpose(1, 0, 2).reshape(n_types * replicates, n_genes)
    genes = pd.Index([f"gene{g + 1:05d}" for g in range(n_genes)], name="gene")
    samples = pd.Index([f"bulk{i + 1:03d}" for i in range(n_samples)], name="sample")
    labels = [name for name in names for _ in range(replicates)]
    purified = [f"{name}, donor {i + 1}" for name in names for i in range(replicates)]
    return Tissue(
        bulk=pd.DataFrame(counted(Y, depth, rng).T, genes, samples),
        proportions=pd.DataFrame(P, samples, names),
        other=pd.Series(share, samples, name=OTHER),
        purified=pd.DataFrame(counted(X, depth, rng).T, genes, purified),
        labels=pd.Series(labels, purified, name="cell_type"),
        donors=pd.Series(
            [f"donor {i + 1}" for _ in names for i in range(replicates)], purified, name="donor"
        ),
        lineages=family,
    )
