"""The three ways to make a reference, as functions that return the fields of `Reference`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesdecov import checks
from bayesdecov.errors import BayesdecovWarning, InputError, Notes
from bayesdecov.io.genes import drop_spike_ins, tidy_genes
from bayesdecov.io.scale import Scale, counting_unit, detect_scale, per_million, require_linear
from bayesdecov.reference.estimate import ESTIMATORS, estimate_covariance
from bayesdecov.reference.genes import chosen_genes
from bayesdecov.reference.hierarchy import as_hierarchy
from bayesdecov.reference.structures import DenseCovariance, FactorCovariance
from bayesdecov.reference.variance import moderate

__all__ = ["ESTIMATORS", "from_moments", "from_samples", "from_signature"]

_MOST_PROFILES = 200  # of a signature
_MANY = 50  # replicates of a cell type
_FEW_COUNTS = 10_000  # of a replicate
_WHOLE = 1000  # genes of a transcriptome


def from_samples(
    purified: Any,
    labels: Any,
    covariance: str,
    genes: Any,
    donors: Any,
    assume_linear: bool,
    hierarchy: Any = None,
) -> dict[str, Any]:
    """Fields of a reference from purified replicates (see `Reference.from_samples`)."""
    notes = Notes()
    table, scale = _linear_table(purified, "purified", assume_linear, notes)
    labels = checks.check_labels(labels, table.columns)
    if donors is not None:
        donors = checks.check_labels(donors, table.columns, "donors").rename("donor")
    if scale.kind == "counts" and assume_linear:
        scale = Scale("linear", f"{scale.reason}, absolute scale kept as requested")
        notes.info("purified: whole numbers kept as they are, not scaled to counts per million")
    if scale.kind == "counts":
        table, totals = per_million(table)
        unit = 1e6 / totals
    else:
        unit = counting_unit(table)
    whole = scale.kind == "counts" and len(table) >= _WHOLE
    _warn_of_cells(labels.value_counts(), totals if whole else None, notes)
    parents = None
    if hierarchy is not None:
        parents = as_hierarchy(hierarchy, pd.Index(sorted(labels.unique())), notes)
    fields = of_profiles(
        table, labels, unit, covariance, genes, notes, argument="purified", parents=parents
    )
    settings = {"scale": scale.reason} | fields["settings"]
    return fields | {
        "scale": scale.kind,
        "donors": donors,
        "settings": settings,
        "notes": tuple(notes.lines),
    }


def of_profiles(
    table: pd.DataFrame,
    labels: pd.Series,
    unit: pd.Series,
    covariance: str,
    genes: Any,
    notes: Notes,
    *,
    argument: str,
    parents: dict[str, str] | None = None,
    of_cells: bool = False,
) -> dict[str, Any]:
    """Fields that follow from profiles (gene, sample) on one scale, and their cell types.

    ``unit`` is the value of one count in each profile. Profiles ``of_cells`` have few counts, from
    whose noise markers must stand out, and the numbers of their replicates are told by the caller.
    """
    names = sorted(labels.unique())
    codes = pd.Categorical(labels, categories=names).codes.astype(np.intp)
    mean = table.T.groupby(labels.to_numpy()).mean().T[names]
    counting = unit.to_numpy() if of_cells else None
    rows, marker_note = chosen_genes(
        table, mean, codes, genes, notes, counting=counting, parents=parents
    )
    chosen = table.iloc[rows]
    checks.check_collinear(mean.iloc[rows], argument)
    with warnings.catch_warnings():
        if of_cells:
            warnings.simplefilter("ignore", BayesdecovWarning)
            notes = Notes()
        estimate = estimate_covariance(chosen.to_numpy(), codes, names, covariance, notes)
    return {
        "mean": mean.iloc[rows],
        "covariance": estimate.covariance,
        "replicates": pd.Series(np.bincount(codes), index=names, name="replicates"),
        "counting": unit.groupby(labels.to_numpy()).mean().reindex(names).rename("counting"),
        "transcriptome": mean,
        "profiles": chosen,
        "labels": labels,
        "hierarchy": parents,
        "settings": {"covariance": covariance, "markers": marker_note} | estimate.settings,
    }


def _warn_of_cells(replicates: pd.Series, totals: pd.Series | None, notes: Notes) -> None:
    """Single cells that were given as replicates: they say nothing of donors."""
    many = int(replicates.max()) > _MANY
    few = totals is not None and float(totals.median()) < _FEW_COUNTS
    if many or few:
        what = (
            f"{replicates.max()} replicates of a cell type"
            if many
            else (
                f"{totals.median():.0f} counts per replicate"  # type: ignore[union-attr]
            )
        )
        notes.warn(
            f"purified: {what} look like single cells, whose variance is not that between donors: "
            "Reference.from_cells (bayesdecov reference --cell-type) adds them up by donor"
        )


def from_signature(signature: Any, genes: Any, assume_linear: bool) -> dict[str, Any]:
    """Fields of a reference from one profile per type (see `Reference.from_signature`)."""
    notes = Notes()
    mean, scale = _linear_table(signature, "signature", assume_linear, notes, "cell types")
    if mean.shape[1] < 2:
        raise InputError(
            "signature", "needs at least two cell types as columns", found=f"{mean.shape[1]}"
        )
    ones = np.ones(mean.shape[1], dtype=np.int64)
    rows, marker_note = chosen_genes(mean, mean, np.arange(mean.shape[1]), genes, notes)
    chosen = mean.iloc[rows]
    if mean.shape[1] > _MOST_PROFILES:
        raise InputError(
            "signature",
            "must have one profile per cell type as columns",
            found=f"{mean.shape[1]} columns, as many as cells or samples",
            fix="make a reference of single cells: Reference.from_cells (bayesdecov reference "
            "--cell-type), or of samples: Reference.from_samples (--labels)",
        )
    checks.check_collinear(chosen, "signature")
    values = chosen.to_numpy()
    moderated = moderate(values, np.zeros_like(values), ones)
    notes.info(f"no replicates: the covariance is diagonal ({moderated.trend})")
    return {
        "mean": chosen,
        "covariance": FactorCovariance(
            moderated.variances, np.zeros((len(chosen), 0)), np.zeros(0, dtype=np.intp)
        ),
        "replicates": pd.Series(ones, index=chosen.columns, name="replicates"),
        "scale": "linear" if scale.kind == "counts" else scale.kind,
        "counting": pd.Series(np.nan, index=chosen.columns, name="counting"),
        "transcriptome": mean,
        "settings": {"covariance": "diagonal (signature)", "markers": marker_note},
        "notes": tuple(notes.lines),
    }


def from_moments(mean: Any, covariances: Any, replicates: Any) -> dict[str, Any]:
    """Fields of a reference from exact moments (see `Reference.from_moments`)."""
    frame = checks.check_expression(mean, "mean", what="cell types")
    checks.check_unique(frame.index, "mean", "gene")
    n_genes, n_types = frame.shape
    if n_types < 2:
        raise InputError("mean", "needs at least two cell types as columns", found=f"{n_types}")
    if isinstance(covariances, Mapping):
        covariances = {str(name): matrix for name, matrix in covariances.items()}
        absent = [name for name in frame.columns if name not in covariances]
        if absent:
            raise InputError(
                "covariances",
                "needs a matrix for every cell type",
                found=f"none for {checks.some(absent)}",
            )
        Sigma = np.stack([_ordered(covariances[name], frame.index) for name in frame.columns])
    else:
        Sigma = _matrix(covariances)
    if Sigma.shape != (n_types, n_genes, n_genes):
        raise InputError(
            "covariances",
            f"must have shape (cell_type, gene, gene) = {(n_types, n_genes, n_genes)}",
            found=f"{Sigma.shape}",
        )
    for name, matrix in zip(frame.columns, Sigma, strict=True):
        checks.check_positive_definite(matrix, "covariances", name)
    checks.check_collinear(frame, "mean")
    counts = _counts(replicates, frame.columns)
    return {
        "mean": frame,
        "covariance": DenseCovariance(Sigma),
        "replicates": counts.astype(int).rename("replicates"),
        "scale": "exact",
        "counting": pd.Series(np.nan, index=frame.columns, name="counting"),
        "settings": {"covariance": "given"},
    }


def _counts(replicates: Any, cell_types: pd.Index) -> pd.Series:
    """Numbers of replicates by cell type."""
    if replicates is None:
        counts = pd.Series(0, index=cell_types)
    elif np.isscalar(replicates):
        number = checks.check_whole(replicates, "replicates", at_least=0)
        counts = pd.Series(number, index=cell_types)
    else:
        counts = pd.Series(replicates)
        if not isinstance(replicates, (pd.Series, Mapping)):
            if len(counts) != len(cell_types):
                raise InputError(
                    "replicates", "needs one number per cell type", found=f"{len(counts)} numbers"
                )
            counts.index = cell_types
        counts.index = pd.Index([str(name) for name in counts.index])
        counts = counts.reindex(cell_types)
        for name, value in counts.items():
            if not (
                isinstance(value, (int, float, np.number))
                and not isinstance(value, bool)
                and np.isfinite(value)
                and value == int(value)
                and value >= 0
            ):
                raise InputError(
                    "replicates",
                    "needs a whole number per cell type",
                    found=f"{value!r} for {name!r}",
                )
    return counts


def _ordered(matrix: Any, genes: pd.Index) -> NDArray[np.float64]:
    if isinstance(matrix, pd.DataFrame):
        labelled = matrix.copy()
        labelled.index = pd.Index([str(name) for name in labelled.index])
        labelled.columns = pd.Index([str(name) for name in labelled.columns])
        missing = genes.difference(labelled.index).union(genes.difference(labelled.columns))
        if len(missing):
            raise InputError(
                "covariances",
                "must name every gene of mean in rows and columns",
                found=f"none for {checks.some(missing)}",
            )
        matrix = labelled.loc[genes, genes]
    return _matrix(matrix)


def _matrix(values: Any) -> NDArray[np.float64]:
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise InputError(
            "covariances",
            "must be an array of numbers or a dict of matrices",
            found=repr(values)[:60],
        ) from None


def _linear_table(
    table: Any, argument: str, assume_linear: bool, notes: Notes, what: str = "samples"
) -> tuple[pd.DataFrame, Scale]:
    """Checked, one row per gene, without spike-ins, on the linear scale."""
    frame = checks.check_numeric(table, argument)
    frame = tidy_genes(frame, argument, notes)
    frame = checks.check_expression(frame, argument, what=what)
    frame = drop_spike_ins(frame, argument, notes)
    scale = require_linear(detect_scale(frame), argument, notes, assume_linear=assume_linear)
    return frame, scale
