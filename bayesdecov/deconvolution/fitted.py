"""A fitted deconvolution: the estimates and their model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayesdecov.algebra.simplex import to_mrna
from bayesdecov.algebra.terms import Array
from bayesdecov.deconvolution.fit import shared_moves
from bayesdecov.deconvolution.model import Model
from bayesdecov.errors import InputError
from bayesdecov.io.tables import write_table
from bayesdecov.reference.hierarchy import groups_of
from bayesdecov.reference.reference import Reference
from bayesdecov.results.posterior_draws import PosteriorDraws, before_shift
from bayesdecov.results.proportions import Proportions
from bayesdecov.results.sums import Sums, add

GENE_SHIFTS = "gene_shifts.csv"
MRNA_FRACTIONS = "mrna_fractions.csv"


class Normal(NamedTuple):
    """The normal approximation at the mode of the free coordinates."""

    mean: Array  # (sample, parameter)
    covariance: Array  # (sample, parameter, parameter)


@dataclass(frozen=True, kw_only=True)
class FittedProportions(Proportions):
    """Cell-type proportions of bulk samples, their uncertainty, and how they were estimated.

    Attributes
    ----------
    proportions
        Samples x cell types, rows sum to 1: the maximum of the likelihood or posterior
        (``method="map"``), the posterior mean (``"laplace"``, ``"nuts"``), or a baseline's
        estimate.
    diagnostics
        One row per sample; `deconvolve` explains the columns.
    method, prior, noise
        The method, prior and noise model of the fit.
    quantity
        "mRNA fractions", "cell fractions", or "fractions of the reference's units".
    settings
        The options used, with defaults resolved, and the seed.
    facts
        Results beside the estimates: scale, alignment, seconds, factor and coverage of a
        calibration.
    notes
        Findings and decisions: scale, missing genes, fallbacks, guesses.
    reference
        The reference, restricted to the genes used.
    draws
        Posterior draws (`Draws`); None without a posterior.
    model, normal
        Prior and likelihood; the normal approximation behind the draws. None where there is none.
    unit
        Scale of the size factors, (sample,): 1 where they are fixed.
    per_cell
        mRNA per cell, (cell_type,), where fractions of cells are reported.
    maxima
        Beside draws: proportions that maximise the posterior density ("map") and the likelihood
        ("mle"), samples x cell types.
    shared_shift
        Where there are `other` cells: shifts of their log-odds in the draws, which represent the
        uncertainty of their profile, (replicate, sample); draws use the replicates in turn.
    """

    prior: str
    noise: str
    reference: Reference
    bulk: pd.DataFrame
    model: Model | None = None
    normal: Normal | None = None
    maxima: dict[str, pd.DataFrame] = field(default_factory=dict)
    shared_shift: Array | None = None
    background: Array | None = None
    unit: Array | None = None
    held: Array | None = None
    per_cell: Array | None = None

    command = "deconvolve"

    def record(self, **about: Any) -> dict[str, Any]:
        """The content of ``run.json``, with the settings of the reference."""
        record = super().record(**about)
        record["settings"] |= {
            "reference": self.reference.settings,
            "replicates": self.reference.replicates.to_dict(),
        }
        return record

    def extra_files(self, folder: Path) -> None:
        """Write the genes' factors, and fractions of mRNA beside those of cells."""
        if len(self.gene_shifts):
            write_table(self.gene_shifts, folder / GENE_SHIFTS)
        if self.per_cell is not None:
            write_table(self.mrna_fractions, folder / MRNA_FRACTIONS)

    def posterior_draws(self) -> PosteriorDraws:
        """Draws and the prior they include; no prior for a bootstrap or DeCovarT Eq. 8."""
        found = super().posterior_draws()
        if self.draws is None or self.model is None:
            return found._replace(prior=None)
        shift = self.shared_shift
        return found._replace(
            prior=None if self.model.of_paper else self.model.prior,
            per_cell=self.per_cell,
            unshifted=before_shift(self.draws.proportions, shift, self.per_cell),
            shared=shift,
        )

    def shared_moves(self) -> Array | None:
        """Replicates of the error that samples have in common, (replicate, sample, cell_type)."""
        if self.shared_shift is None:
            return None
        return shared_moves(self.proportions.to_numpy(), self.shared_shift)

    def sum(self, groups: Any) -> Sums:
        """Proportions of groups of cell types, with intervals from joint draws or covariances.

        Parameters
        ----------
        groups
            A mapping from the name of a group to a list of cell types; or a table with a row per
            cell type: its name and that of its group (empty where it has none). A cell type may be
            in several groups, and in none.

        Returns
        -------
        Sums
            ``.proportions``, ``.intervals()``, ``.probability_above()``, as of a fit; `contrast`
            takes it where every cell type is in one group.

        Raises
        ------
        InputError
            A group has no cell types, or one that the result lacks.

        Examples
        --------
        >>> import bayesdecov as bd
        >>> cohort = bd.simulate.convolution(n_samples=4, n_genes=60, n_types=3, seed=1)
        >>> reference = bd.Reference.from_samples(cohort.purified, cohort.labels)
        >>> fit = bd.deconvolve(cohort.bulk, reference)
        >>> fit.sum({"first two": ["type1", "type2"]}).proportions.columns.tolist()
        ['first two']
        """
        return add(self, groups)

    def at_level(self, level: int | str = 0) -> Sums:
        """Proportions at a level of the reference's hierarchy, with joint uncertainty.

        Parameters
        ----------
        level
            0 is the coarsest, 1 the next; or the name of a group, which is then merged and leaves
            the other cell types as they are.

        Returns
        -------
        Sums
            As `sum`.

        Raises
        ------
        InputError
            The reference has no hierarchy, or not this level.

        Examples
        --------
        >>> import bayesdecov as bd
        >>> cohort = bd.simulate.tissue(n_samples=4, n_genes=200, seed=1)
        >>> reference = bd.Reference.from_samples(
        ...     cohort.purified, cohort.labels, genes=100, hierarchy=cohort.lineages
        ... )
        >>> bd.deconvolve(cohort.bulk, reference).at_level(0).proportions.columns.tolist()
        ['B cell', 'T cell', 'Monocyte', 'Granulocyte']
        """
        return self.sum(groups_of(self.reference, level))

    @property
    def mrna_fractions(self) -> pd.DataFrame:
        """Fractions of mRNA, samples x cell types, where proportions are fractions of cells."""
        table = self.proportions
        if self.per_cell is None:
            return table
        if self.draws is None:
            values = to_mrna(table.to_numpy(), self.per_cell)
        else:  # the mean of fractions, not the fraction of a mean
            values = to_mrna(self.draws.pooled, self.per_cell).mean(axis=1)
        return pd.DataFrame(values, table.index, table.columns)

    @property
    def gene_shifts(self) -> pd.DataFrame:
        """Factors of the genes between the platforms of reference and bulks, in base 2.

        Columns: shift (log2), sd (of what is not known of it), kept (the part of the log-ratio of
        bulks and fit that is taken to be the factor, not noise), weight (small for an outlier).
        Empty where no platform was learned, or from too few samples. Positive: more in the bulk
        than in the reference. ``sd`` is given the level of the cell types, whose error it lacks.
        """
        platform = None if self.model is None else self.model.platform
        if platform is None or platform.level is None:
            return pd.DataFrame(columns=["shift", "sd", "kept", "weight"], dtype=float)
        shifts = platform.shifts
        return pd.DataFrame(
            {
                "shift": shifts.log / np.log(2),
                "sd": shifts.sd / np.log(2),
                "kept": shifts.kept,
                "weight": shifts.weight,
            },
            pd.Index(self.reference.genes, name="gene"),
        )

    def require_model(self) -> Model:
        """The model; an error for the baselines, which have none."""
        if self.model is None:
            raise InputError(
                "fit",
                "must have a likelihood for this",
                found=f"method={self.method!r}",
                fix="use method 'map', 'laplace' or 'nuts'",
            )
        return self.model
