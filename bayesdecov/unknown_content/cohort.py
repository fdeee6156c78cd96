"""Whole transcriptomes of a cohort and its known cell types, on one scale."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError
from bayesdecov.reference.reference import Reference

_MOST = 4000  # genes that unknown cells are learned from, the most expressed ones
_LEVEL_FLOOR = 0.02  # of the mean expression: below it genes are silent
_MARKER = 2.0  # times higher than in the median cell type
_FEWEST = 50


@dataclass(frozen=True)
class ObservedCohort:
    """Bulks and means of the known cell types, on their common genes.

    ``y`` (sample, gene); ``mu`` (gene, cell_type); ``phi`` (sample,) counting noise per unit of
    expression; ``relative_variance`` of a gene within a cell type (variance over squared mean);
    ``replicates`` (cell_type,) behind the means, 0 where they are exact; ``level`` (gene,) of an
    ordinary cell; ``owner`` (gene,) the cell type that a gene marks, -1 for none.
    """

    y: Array
    mu: Array
    phi: Array
    relative_variance: float
    replicates: Array
    level: Array
    owner: NDArray[np.intp]
    genes: pd.Index

    @property
    def n_types(self) -> int:
        """Number of known cell types."""
        return self.mu.shape[1]

    def take_genes(self, rows: NDArray[np.intp]) -> ObservedCohort:
        """Some genes, or genes drawn with replacement."""
        return replace(
            self,
            y=self.y[:, rows],
            mu=self.mu[rows],
            level=self.level[rows],
            owner=self.owner[rows],
            genes=self.genes[rows],
        )

    def take_samples(self, rows: NDArray[np.intp]) -> ObservedCohort:
        """Some samples, or samples drawn with replacement."""
        return replace(self, y=self.y[rows], phi=self.phi[rows])


def observed(whole: pd.DataFrame, phi: Array, reference: Reference) -> ObservedCohort:
    """The cohort on the genes of ``whole`` (genes x samples, on the scale of the reference)."""
    means = reference.mean if reference.transcriptome is None else reference.transcriptome
    means = means.loc[means.index.isin(whole.index), list(reference.cell_types)]
    y, mu = whole.loc[means.index].to_numpy().T, means.to_numpy()
    marked = means.index.isin(reference.genes)
    size = np.maximum(y.mean(axis=0), mu.mean(axis=1)) + marked * 1e300  # keep chosen genes
    rows = np.sort(np.argsort(-size, kind="stable")[: max(_MOST, int(marked.sum()))])
    y, mu, genes = y[:, rows], mu[rows], means.index[rows]
    level = np.median(mu, axis=1) + _LEVEL_FLOOR * mu.mean()
    ratio = mu / level[:, None]
    owner = np.where(marked[rows] & (ratio.max(axis=1) > _MARKER), ratio.argmax(axis=1), -1)
    if len(genes) < _FEWEST or not (owner >= 0).any():
        raise InputError(
            "other",
            f"needs {_FEWEST} genes and markers of the known cell types to detect others",
            found=f"{len(genes)} genes, {int((owner >= 0).sum())} of them markers",
        )
    variances = reference.covariance.variances()
    squares = np.square(reference.mean.to_numpy())
    expressed = squares > (_LEVEL_FLOOR * mu.mean()) ** 2
    unknown = y.sum(axis=1) / 1e6  # as if a million molecules had been counted
    return ObservedCohort(
        y=y,
        mu=mu,
        phi=np.where(np.isfinite(phi), phi, unknown),
        relative_variance=float(np.median((variances / np.maximum(squares, 1e-300))[expressed])),
        replicates=reference.replicates.to_numpy().astype(float),
        level=level,
        owner=owner,
        genes=genes,
    )
