"""Input tables as arrays: aligned by label, checked, and whitened if samples are dependent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesdecov import checks
from bayesdecov.algebra.shared_design import LeastSquares, least_squares
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError, Notes
from bayesdecov.io.blocks import Blocks
from bayesdecov.io.scale import detect_scale
from bayesdecov.mixed_effects.accumulate import accumulated, say_flat, some_genes
from bayesdecov.mixed_effects.covariates import encode
from bayesdecov.mixed_effects.dependence import split_subjects, whitening
from bayesdecov.mixed_effects.design import Design, make_design

_ROUNDING = 0.02  # totals this close to 1 are taken as 1
_EXACT = 1e-9
_UNSURE = 1.5  # proportions with errors may be this large
_LOOKED_AT = 2000  # genes used to guess the scale


@dataclass(frozen=True)
class Problem:
    """Input of the estimators, most of which the result keeps.

    ``ls`` is least squares of the whitened data; ``random`` names its random effects. ``Y`` (gene,
    sample), ``cells`` and the ``coded`` covariates are those before whitening by ``root`` (None:
    no whitening); ``Y`` has no rows if the expression stays on disk.
    """

    ls: LeastSquares
    design: Design
    genes: pd.Index
    random: list[str]
    correlation: float | None
    Y: Array
    cells: pd.DataFrame
    coded: pd.DataFrame
    root: Array | None


def prepare(
    expression: Any,
    proportions: Any,
    covariates: Any,
    *,
    formula: str | None,
    include_covariates: bool | str,
    rest: str | None,
    reference_cell_type: str | None,
    random: Iterable[str] | str | None,
    standardise: bool,
    weights: Any,
    subject: Any,
    notes: Notes,
    unsure: bool = False,
) -> Problem:
    """Check and align everything, build the design, and fit all genes by least squares.

    Proportions with errors (``unsure``) may be negative.
    """
    frame = expression
    if not isinstance(frame, Blocks):
        frame = checks.check_numeric(frame, "expression")
    checks.check_unique(frame.index, "expression", "gene")
    checks.check_unique(frame.columns, "expression", "sample")
    cells = check_proportions(proportions, "proportions", unsure=unsure)
    table = sample_table(covariates, "covariates")
    groups: pd.Series | None = None
    if subject is not None:
        groups, table = split_subjects(subject, table, formula)
    samples = _shared(frame, cells, table, notes)
    cells, table = whole(cells.loc[samples], notes, unsure=unsure), table.loc[samples]
    coded, coding = encode(table, formula, standardise=standardise)
    design = make_design(
        cells,
        coded,
        coding,
        include_covariates=include_covariates,
        rest=rest,
        reference=reference_cell_type,
        notes=notes,
        unsure=unsure,
    )
    columns = list(design.table.columns)
    rows = _random_columns(random, columns)
    X = design.table.to_numpy()
    if isinstance(frame, Blocks):
        part = some_genes(frame, samples)
        _say_scale(part, notes)
        root, correlation = whitening(X, part.to_numpy(), samples, weights, groups, notes)
        ls, genes = accumulated(frame, samples, X, root, rows, notes)
        Y = np.empty((0, len(samples)))
    else:
        if not frame.columns.equals(samples):
            frame = frame[list(samples)]
        _say_scale(frame, notes)
        frame = _varying(frame, notes)
        Y, genes = frame.to_numpy(), frame.index
        root, correlation = whitening(X, Y, samples, weights, groups, notes)
        ls = least_squares(X, Y, rows) if root is None else least_squares(root @ X, Y @ root, rows)
    if len(genes) < 2 * len(rows) + 2:
        raise InputError(
            "expression",
            "must have at least twice as many genes as random effects",
            found=f"{len(genes)} varying genes and {len(rows)} random effects",
        )
    return Problem(
        ls, design, genes, [columns[j] for j in rows], correlation, Y, cells, coded, root
    )


def check_proportions(proportions: Any, argument: str, *, unsure: bool = False) -> pd.DataFrame:
    """Samples x cell types, between 0 and 1, or outside by an error (``unsure``)."""
    cells = checks.check_numeric(sample_table(proportions, argument), argument)
    values = cells.to_numpy()
    if (values < 0).any() and not unsure:
        row, column = np.argwhere(values < 0)[0]
        raise InputError(
            argument,
            "must not be negative",
            found=f"{values[row, column]:g} for sample {cells.index[row]!r}, cell type "
            f"{cells.columns[column]!r}",
        )
    if values.max() > (_UNSURE if unsure else 1 + 1e-6):
        totals = values.sum(axis=1)
        percent = totals.max() < 103 and np.median(totals) > 20
        raise InputError(
            argument,
            "must be fractions between 0 and 1",
            found=f"values up to {values.max():g}",
            fix="divide percentages by 100"
            if percent
            else "divide counts by their total, and check that this is the right table",
        )
    return cells


def whole(cells: pd.DataFrame, notes: Notes, *, unsure: bool = False) -> pd.DataFrame:
    """Proportions of the samples used: every type present, sums close to 1 scaled to 1."""
    empty = cells.columns[(cells == 0).all(axis=0)]
    if len(empty):
        raise InputError(
            "proportions",
            "must have every cell type present in some sample",
            found=f"only zeros in {checks.some(empty)}",
            fix="remove these cell types",
        )
    totals = cells.sum(axis=1)
    off = float((totals - 1).abs().max())
    if off <= _ROUNDING:
        if off > _EXACT:
            notes.info(f"proportions add up to 1 within {off:.1g} and were scaled to 1")
        return cells.div(totals, axis=0)
    over = totals.index[totals > 1 + _ROUNDING]
    if len(over) and (not unsure or float(totals.median()) > 1 + _ROUNDING):
        notes.warn(
            f"proportions add up to more than 1 in {checks.some(over, 3)}: check whether some cell "
            "types contain others"
        )
    else:
        notes.info(
            f"proportions add up to {totals.min():.3g} to {totals.max():.3g}: the remainder is "
            "assumed to express nothing (rest='other' gives it its own column)"
        )
    return cells


def sample_table(table: Any, argument: str) -> pd.DataFrame:
    """A DataFrame with samples as rows and names as text."""
    if isinstance(table, pd.Series):
        table = table.to_frame(table.name if table.name is not None else "covariate")
    if not isinstance(table, pd.DataFrame):
        raise InputError(
            argument, "must be a pandas DataFrame with samples as rows", found=type(table).__name__
        )
    if table.shape[0] == 0 or table.shape[1] == 0:
        raise InputError(
            argument, "must not be empty", found=f"{table.shape[0]} rows, {table.shape[1]} columns"
        )
    table = table.set_axis([str(name).strip() for name in table.index])
    table = table.set_axis([str(name).strip() for name in table.columns], axis=1)
    checks.check_unique(table.index, argument, "sample")
    checks.check_unique(table.columns, argument, "column")
    checks.check_plain_names(table.index, argument, "sample")
    checks.check_plain_names(table.columns, argument, "column")
    for name in table.columns:
        if not pd.api.types.is_numeric_dtype(table[name]):
            checks.check_plain_names(table[name].dropna().unique(), argument, f"{name!r} label")
    return table


def _shared(
    frame: pd.DataFrame, cells: pd.DataFrame, table: pd.DataFrame, notes: Notes
) -> pd.Index:
    """Samples present in all tables, in the order of the expression."""
    samples = frame.columns[frame.columns.isin(cells.index) & frame.columns.isin(table.index)]
    if not len(samples):
        fix = "use the same sample names in all tables"
        if frame.index.isin(cells.index).any():
            fix = "expression seems to be samples x genes: transpose it"
        elif frame.columns.isin(cells.columns).any():
            fix = "proportions seem to be cell types x samples: transpose them"
        raise InputError(
            "expression, proportions, covariates",
            "must share sample names",
            found=f"samples like {checks.some(frame.columns, 3)} / {checks.some(cells.index, 3)} / "
            f"{checks.some(table.index, 3)}",
            fix=fix,
        )
    for name, index in (
        ("expression", frame.columns),
        ("proportions", cells.index),
        ("covariates", table.index),
    ):
        extra = index.difference(samples)
        say = notes.warn if name == "expression" else notes.info  # extra rows are common
        if len(extra):
            say(
                f"{len(extra)} samples of the {name} are missing from another table and were left "
                f"out: {checks.some(extra)}"
            )
    return samples


def _say_scale(frame: pd.DataFrame, notes: Notes) -> None:
    looked = frame.iloc[:: max(1, len(frame) // _LOOKED_AT)]
    if float(looked.min().min()) < 0:
        notes.info("expression: some values are negative (centred or log-ratio data)")
        return
    scale = detect_scale(looked)
    if scale.kind == "counts":
        totals = frame.sum(axis=0)
        notes.warn(
            f"expression looks like raw counts ({scale.reason}), with totals that differ "
            f"{totals.max() / totals.min():.3g}-fold between samples: normalise first (CPM, "
            "TPM or their logarithms)"
        )
    else:
        notes.info(f"expression: {scale.kind} ({scale.reason})")


def _varying(frame: pd.DataFrame, notes: Notes) -> pd.DataFrame:
    values = frame.to_numpy()
    flat = values.max(axis=1) == values.min(axis=1)
    say_flat(frame.index[flat], notes)
    return frame.loc[~flat] if flat.any() else frame


def _random_columns(random: Iterable[str] | str | None, columns: list[str]) -> NDArray[np.intp]:
    if random is None:
        return np.arange(len(columns))
    if not isinstance(random, Iterable):
        raise InputError("random", "must be the names of design columns", found=repr(random))
    names = [random] if isinstance(random, str) else [str(name) for name in random]
    unknown = [name for name in names if name not in columns]
    if unknown or not names:
        raise InputError(
            "random",
            f"must name design columns, among {checks.some(columns, 20)}",
            found=checks.some(unknown) if unknown else "nothing",
        )
    return np.array(sorted({columns.index(name) for name in names}))
