"""One problem of a benchmark: bulks, the input of the methods, and the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bayesdecov import checks
from bayesdecov.benchmarking.metrics import ALL
from bayesdecov.errors import InputError
from bayesdecov.reference.reference import Reference
from bayesdecov.simulate.tissue import OTHER


@dataclass(frozen=True, kw_only=True)
class Case:
    """Bulks with known proportions, and purified samples or a reference to estimate them.

    Attributes
    ----------
    scenario, level, repeat
        Labels in tables, e.g. "noise", "1e5 counts", number of the simulated cohort.
    bulk
        Expression, genes x samples.
    truth
        True proportions, samples x cell types; scaled to sum to 1.
    purified, labels
        Purified samples and their cell types; or
    reference
        a `Reference` or a signature table (genes x cell types).
    genes
        Number of markers to select from purified samples; None for all genes.
    merge
        Mapping of cell types of the reference to those of the truth, where several are summed;
        None for a type of which the truth knows nothing: estimates of the others are then scaled
        to sum to 1, as the truth is.
    other
        True share of the bulk that belongs to no cell type of the reference; None if unknown.
    """

    scenario: str
    level: str
    bulk: pd.DataFrame
    truth: pd.DataFrame
    purified: pd.DataFrame | None = None
    labels: pd.Series | None = None
    reference: Reference | pd.DataFrame | None = None
    genes: int | None = 200
    merge: Mapping[str, str | None] | None = None
    other: pd.Series | None = None
    repeat: int = 1

    def __post_init__(self) -> None:
        """Check names and tables, and scale the truth."""
        for name in ("scenario", "level"):
            value = getattr(self, name)
            object.__setattr__(self, name, "" if value is None else str(value))
        bulk = checks.check_numeric(self.bulk, "bulk")
        checks.check_unique(bulk.columns, "bulk", "sample")
        truth = checks.check_numeric(self.truth, "truth")
        checks.check_unique(truth.index, "truth", "sample")
        checks.check_unique(truth.columns, "truth", "cell type")
        if (truth < 0).to_numpy().any():
            raise InputError(
                "truth", "proportions must not be negative", found=f"{truth.to_numpy().min():g}"
            )
        taken = truth.columns.intersection([ALL, OTHER])
        if len(taken):
            raise InputError(
                "truth",
                "must not have cell types with these names, which the scores use",
                found=checks.some(taken),
                fix="rename them",
            )
        names = bulk.columns
        shared = names[names.isin(truth.index)]
        if not len(shared):
            raise InputError(
                "truth",
                "must have the bulk's samples as rows",
                found=f"{checks.some(truth.index, 3)}; the bulk has {checks.some(names, 3)}",
            )
        truth = truth.loc[shared]
        empty = truth.index[truth.sum(axis=1) == 0]
        if len(empty):
            raise InputError(
                "truth",
                "must have a positive proportion in every sample",
                found=f"only zeros in {checks.some(empty)}",
            )
        if (self.purified is None) == (self.reference is None):
            raise InputError("case", "must have either purified samples or a reference")
        if self.purified is not None and self.labels is None:
            raise InputError("labels", "must be given with purified samples")
        object.__setattr__(self, "truth", truth.div(truth.sum(axis=1), axis=0))
        object.__setattr__(self, "bulk", bulk[shared])

    @property
    def name(self) -> str:
        """Scenario and level in one."""
        return f"{self.scenario}: {self.level}" if self.level else self.scenario

    def build(self, covariance: str | None = None) -> Reference:
        """The reference, with a covariance of that kind if there are replicates."""
        if self.purified is not None:
            return Reference.from_samples(
                self.purified, self.labels, covariance or "glasso", genes=self.genes
            )
        if covariance is not None:
            raise InputError(
                "covariance", "must only be given with purified samples; this case has a reference"
            )
        if isinstance(self.reference, Reference):
            return self.reference
        return Reference.from_signature(self.reference)
