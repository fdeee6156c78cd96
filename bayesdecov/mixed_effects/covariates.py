"""Covariates: from numbers and labels to standardised columns, and again for new samples."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError


@dataclass(frozen=True)
class Coding:
    """How covariates became columns: the formula, and the training mean and sd of each column."""

    spec: Any
    scaling: pd.DataFrame  # index: column; mean, sd (0 and 1 where nothing was standardised)
    sources: tuple[str, ...]  # covariates that the formula uses
    binary: dict[str, pd.Series]  # the two values, in order, of those that have two

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return [str(name) for name in self.scaling.index]

    def apply(self, table: pd.DataFrame) -> pd.DataFrame:
        """Columns of new samples, on the scale of the training samples."""
        from formulaic.errors import DataMismatchWarning, FormulaicError

        missing = [name for name in self.sources if name not in table.columns]
        if missing:
            raise InputError("new_covariates", "needs the covariates of the fit",
                             found=f"no column {checks.some(missing)}")  # fmt: skip
        table = _tidy(table)
        _complete(table[list(self.sources)], "new_covariates")
        with warnings.catch_warnings():
            warnings.simplefilter("error", DataMismatchWarning)
            try:
                values = self.spec.get_model_matrix(table)
            except DataMismatchWarning as unseen:
                raise InputError("new_covariates", "must not have labels the fit has not seen",
                                 found=str(unseen).split(": They")[0]) from None  # fmt: skip
            except FormulaicError as error:
                raise InputError("new_covariates", "must have the types of the fit's covariates",
                                 found=str(error).split("\n")[0]) from None  # fmt: skip
        return _scaled(_named(pd.DataFrame(values)), self.scaling)


def encode(
    table: pd.DataFrame, formula: str | None, *, standardise: bool = True
) -> tuple[pd.DataFrame, Coding]:
    """Code labels, apply the formula, centre and scale with the n - 1 standard deviation.

    Products of covariates (``a:b``) are products of centred and scaled columns, so that a main
    effect is that at the mean of the other.
    """
    from formulaic import model_matrix
    from formulaic.errors import FormulaicError

    if formula is not None:  # gaps in what is not used are nobody's business
        table = table[_used(table, formula)]
    _complete(table, "covariates")
    table = _tidy(table)
    _one_kind(table)
    if formula is None:
        formula = "1 + " + " + ".join(f"`{name}`" for name in table.columns)
    try:
        matrix = model_matrix(formula, table, na_action="raise", context={"np": np})
    except (FormulaicError, SyntaxError, ValueError, TypeError) as error:
        raise InputError(
            "formula", "cannot be evaluated",
            found=str(error).strip().split("\n")[0],
            fix=f"the covariates are {checks.some(table.columns, 20)}; put names with spaces into "
            "backticks",
        ) from None  # fmt: skip
    if not isinstance(matrix, pd.DataFrame):
        raise InputError("formula", "must be one-sided", found=repr(formula),
                         fix="write '~ age + group'")  # fmt: skip
    spec = matrix.model_spec
    raw = pd.DataFrame(matrix)
    if "Intercept" not in raw:
        raise InputError(
            "formula", "must not remove the intercept", found=repr(formula),
            fix="leave '0 +' or '- 1' out: the proportions take its place",
        )  # fmt: skip
    raw = _named(raw)
    if raw.shape[1] == 0:
        raise InputError("formula", "must name a covariate", found=repr(formula))
    used = [name for name in table.columns if name in spec.variables]
    sd = raw.std(ddof=1)
    constant = sd.index[~(sd > 1e-12 * np.maximum(raw.abs().max(), 1e-300))]
    lonely = [name for name in used if table[name].nunique() < 2]
    if len(constant) or lonely:
        raise InputError(
            "covariates", "must vary between samples",
            found=f"constant: {checks.some([*lonely, *(c for c in constant if c not in lonely)])}",
            fix="remove these covariates",
        )  # fmt: skip
    scaling = pd.DataFrame({"mean": raw.mean(), "sd": sd}).rename_axis("covariate")
    if not standardise:
        scaling = scaling.assign(mean=0.0, sd=1.0)
    else:
        for name, parts in _products(raw).items():
            product = _product(raw, parts, scaling)
            scaling.loc[name] = [product.mean(), product.std(ddof=1)]
    return _scaled(raw, scaling), Coding(spec, scaling, tuple(used), _binary(table[used]))


def _used(table: pd.DataFrame, formula: str) -> list[str]:
    """Covariates that the formula names; all of them where it cannot be read."""
    from formulaic import Formula
    from formulaic.errors import FormulaicError

    try:
        names = {str(name) for name in Formula(formula).required_variables}
    except (FormulaicError, SyntaxError, ValueError, TypeError, AttributeError):
        return list(table.columns)
    used = [name for name in table.columns if name in names]
    return used or list(table.columns)


def _named(raw: pd.DataFrame) -> pd.DataFrame:
    raw = raw.drop(columns="Intercept", errors="ignore").astype(float)
    return raw.set_axis([str(name) for name in raw.columns], axis=1)


def _products(raw: pd.DataFrame) -> dict[str, list[str]]:
    """Columns ``a:b`` whose factors are columns too."""
    parts = {name: name.split(":") for name in raw.columns if ":" in name}
    return {name: of for name, of in parts.items() if set(of) <= set(raw.columns)}


def _standard(column: pd.Series, scale: pd.Series) -> np.ndarray:
    return ((column - scale["mean"]) / scale["sd"]).to_numpy()


def _product(raw: pd.DataFrame, parts: list[str], scaling: pd.DataFrame) -> np.ndarray:
    return np.prod([_standard(raw[part], scaling.loc[part]) for part in parts], axis=0)


def _scaled(raw: pd.DataFrame, scaling: pd.DataFrame) -> pd.DataFrame:
    """Standardised columns; products are of the standardised factors, standardised again."""
    products = {name: _product(raw, parts, scaling) for name, parts in _products(raw).items()}
    raw = raw.assign(**products)
    return (raw - scaling["mean"]) / scaling["sd"]


def _tidy(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers as numbers, and no levels that no sample has."""
    table = table.infer_objects()
    for name in table.columns:
        if isinstance(table[name].dtype, pd.StringDtype):
            table = table.assign(**{name: table[name].astype(object)})
        if isinstance(table[name].dtype, pd.CategoricalDtype):
            table = table.assign(**{name: table[name].cat.remove_unused_categories()})
    return table


def _one_kind(table: pd.DataFrame) -> None:
    """A column of numbers with a word among them is a mistake, not a label."""
    for name in table.columns:
        if pd.api.types.is_numeric_dtype(table[name]):
            continue
        numbers = table[name].astype(str).map(checks.number_of).notna()
        if 0.5 < numbers.mean() < 1:
            row = numbers.idxmin()
            raise InputError(
                "covariates", "must not mix numbers and text in a column",
                found=f"{str(table.loc[row, name])!r} for sample {row!r} in column {name!r}",
                fix="correct the value, or remove the sample",
            )  # fmt: skip


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
            argument, "must not have missing values",
            found=f"{int(gaps.to_numpy().sum())}, the first for sample {table.index[row]!r} in "
            f"column {table.columns[column]!r}",
            fix="remove these samples or impute the values",
        )  # fmt: skip
