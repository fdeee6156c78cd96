"""Coding of numbers and labels as standardised columns, also for new samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.formulas.engine import Evaluated, evaluate
from bayesdecov.formulas.grammar import all_of, parse


@dataclass(frozen=True)
class Coding:
    """How covariates are coded: the formula, and the training mean and sd of each column."""

    evaluated: Evaluated
    scaling: pd.DataFrame  # index: column; mean, sd (0 and 1 if not standardised)
    sources: tuple[str, ...]  # covariates used in the formula
    binary: dict[str, pd.Series]  # sorted values of covariates with two

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [str(name) for name in self.scaling.index]

    @property
    def labelled(self) -> set[str]:
        """Names of the categorical covariates."""
        return self.evaluated.labelled & set(self.sources)

    def apply(self, table: pd.DataFrame) -> pd.DataFrame:
        """Columns of new samples, on the scale of the training samples."""
        missing = [name for name in self.sources if name not in table.columns]
        if missing:
            raise InputError(
                "new_covariates",
                "must have the covariates of the fit",
                found=f"no column {checks.some(missing)}",
            )
        table = _tidy(table[list(self.sources)])
        _complete(table, "new_covariates")
        return _scaled(self.evaluated.apply(table), self.scaling, self.evaluated.products)


def encode(
    table: pd.DataFrame, formula: str | None, *, standardise: bool = True
) -> tuple[pd.DataFrame, Coding]:
    """Code labels, apply the formula, centre and scale with the n - 1 standard deviation.

    Products of covariates (``a:b``) are products of centred and scaled columns, so that each main
    effect is the effect at the mean of the other covariate.
    """
    names = list(table.columns)
    read = all_of(names) if formula is None else parse(formula, names)
    if not read.intercept:
        raise InputError(
            "formula",
            "must not remove the intercept",
            found=repr(formula),
            fix="remove '0 +' or '- 1': the proportions already take its place",
        )
    if not read.terms:
        raise InputError("formula", "must name a covariate", found=repr(formula))
    used = [name for name in names if name in read.columns]
    table = table[used]  # missing values in unused covariates do not matter
    _complete(table, "covariates")
    table = _tidy(table)
    _one_kind(table)
    raw, evaluated = evaluate(read, table)
    sd = raw.std(ddof=1)
    constant = sd.index[~(sd > 1e-12 * np.maximum(raw.abs().max(), 1e-300))]
    lonely = [name for name in used if table[name].nunique() < 2]
    if len(constant) or lonely:
        raise InputError(
            "covariates",
            "must vary between samples",
            found=f"constant: {checks.some([*lonely, *(c for c in constant if c not in lonely)])}",
            fix="remove these covariates",
        )
    scaling = pd.DataFrame({"mean": raw.mean(), "sd": sd}).rename_axis("covariate")
    if not standardise:
        scaling = scaling.assign(mean=0.0, sd=1.0)
    else:
        for name, parts in evaluated.products.items():
            product = _product(raw, parts, scaling)
            scaling.loc[name] = [product.mean(), product.std(ddof=1)]
    coding = Coding(evaluated, scaling, tuple(used), _binary(table))
    return _scaled(raw, scaling, evaluated.products), coding


def _standard(column: pd.Series, scale: pd.Series) -> np.ndarray:
    return ((column - scale["mean"]) / scale["sd"]).to_numpy()


def _product(raw: pd.DataFrame, parts: list[str], scaling: pd.DataFrame) -> np.ndarray:
    return np.prod([_standard(raw[part], scaling.loc[part]) for part in parts], axis=0)


def _scaled(
    raw: pd.DataFrame, scaling: pd.DataFrame, products: dict[str, list[str]]
) -> pd.DataFrame:
    """Standardised columns; products of standardised factors are standardised again."""
    raw = raw.assign(**{name: _product(raw, of, scaling) for name, of in products.items()})
    return (raw - scaling["mean"]) / scaling["sd"]


def _tidy(table: pd.DataFrame) -> pd.DataFrame:
    """Infer numeric types and drop unused levels."""
    table = table.infer_objects()
    for name in table.columns:
        if isinstance(table[name].dtype, pd.StringDtype):
            table = table.assign(**{name: table[name].astype(object)})
        if isinstance(table[name].dtype, pd.CategoricalDtype):
            table = table.assign(**{name: table[name].cat.remove_unused_categories()})
    return table


def _one_kind(table: pd.DataFrame) -> None:
    """A mostly numeric column with some text is treated as a mistake, not as a label."""
    for name in table.columns:
        if pd.api.types.is_numeric_dtype(table[name]):
            continue
        numbers = table[name].astype(str).map(checks.to_number).notna()
        if 0.5 < numbers.mean() < 1:
            row = numbers.idxmin()
            raise InputError(
                "covariates",
                "must not mix numbers and text in a column",
                found=f"{str(table.loc[row, name])!r} for sample {row!r} in column {name!r}",
                fix="correct the value, or remove the sample",
            )


def _binary(table: pd.DataFrame) -> dict[str, pd.Series]:
    pairs = {name: column.drop_duplicates().sort_values() for name, column in table.items()}
    return {str(name): values for name, values in pairs.items() if len(values) == 2}


def _complete(table: pd.DataFrame, argument: str) -> None:
    gaps = table.isna()
    for name in table.columns:
        values = table[name]
        if pd.api.types.is_numeric_dtype(values):
            gaps[name] |= ~np.isfinite(values.to_numpy(dtype=float, na_value=np.nan))
        else:
            gaps[name] |= values.astype(str).str.strip() == ""
    if gaps.to_numpy().any():
        row, column = np.argwhere(gaps.to_numpy())[0]
        raise InputError(
            argument,
            "must not have missing values",
            found=f"{int(gaps.to_numpy().sum())}, the first for sample {table.index[row]!r} in "
            f"column {table.columns[column]!r}",
            fix="remove these samples or impute the values",
        )
