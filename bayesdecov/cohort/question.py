"""The design of covariates and a formula, and the pairs of designs to compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError
from bayesdecov.mixed_effects.covariates import Coding, encode

INTERCEPT = "Intercept"
_ROWS = 200  # largest number of combinations of other covariates to average over
_LEVELS = 12  # largest number of labels of a grouping covariate


class Question(NamedTuple):
    """A comparison: all samples with ``second`` against all samples with ``first``.

    ``X_first`` and ``X_second`` are the distinct design rows with ``weights``; ``step`` is the
    mean difference of the design over all samples.
    """

    name: str
    covariate: str
    first: str
    second: str
    X_first: Array
    X_second: Array
    weights: Array
    step: Array


class ContrastDesign(NamedTuple):
    """Design matrix (sample, column) with column names, and the questions."""

    X: Array
    columns: list[str]
    questions: list[Question]


def design(
    table: pd.DataFrame, formula: str | None, at: Mapping[str, tuple[Any, Any]] | None
) -> ContrastDesign:
    """Code the covariates; compare every label with the first, or the two quartiles.

    ``at`` names covariates with the two values to compare; other covariates keep the values of the
    samples and are averaged over.
    """
    coded, coding = encode(table, formula)
    labelled = coding.labelled
    for name in coding.sources:
        if name in labelled and table[name].nunique() > _LEVELS:
            raise InputError(
                "covariates",
                f"must have at most {_LEVELS} different labels in a column",
                found=f"{table[name].nunique()} different values in {name!r}",
                fix="pass subjects as subject=, and numbers as a numeric column",
            )
    X = np.column_stack([np.ones(len(coded)), coded.to_numpy()])
    rank = int(np.linalg.matrix_rank(X))
    if rank < X.shape[1]:
        raise InputError(
            "covariates",
            "must not determine each other",
            found=f"{X.shape[1]} columns with rank {rank}: {checks.some(coded.columns, 20)}",
            fix="remove one of the covariates",
        )
    if len(X) < X.shape[1] + 2:
        raise InputError(
            "covariates",
            "must leave at least 2 more samples than columns",
            found=f"{len(X)} samples, {X.shape[1]} columns",
        )
    if at is not None and not isinstance(at, Mapping):
        raise InputError(
            "at",
            "must map covariates to two values",
            found=repr(at),
            fix="write at={'age': (30, 60)}",
        )
    asked = dict(at or {})
    unknown = [name for name in asked if name not in coding.sources]
    if unknown:
        raise InputError(
            "at",
            f"must name covariates of the formula ({checks.some(coding.sources, 20)})",
            found=checks.some(unknown),
        )
    questions = []
    for name in coding.sources:
        column, labels = table[name], name in labelled
        pairs = [_pair(asked[name], column, labels)] if name in asked else _pairs(column, labels)
        questions += [_question(table, coding, name, first, second) for first, second in pairs]
    return ContrastDesign(X, [INTERCEPT, *map(str, coded.columns)], questions)


def _pair(values: Any, column: pd.Series, labels: bool) -> tuple[Any, Any]:
    """Two different values that the column may take."""
    if isinstance(values, str) or not hasattr(values, "__len__") or len(values) != 2:
        raise InputError("at", f"must give two values of {column.name!r}", found=repr(values))
    first, second = (_value(value, column, labels) for value in values)
    if first == second:
        raise InputError(
            "at", f"must give two different values of {column.name!r}", found=repr(values)
        )
    return first, second


def _value(value: Any, column: pd.Series, labels: bool) -> Any:
    if labels or pd.api.types.is_bool_dtype(column):
        known = {str(label): label for label in column.drop_duplicates()}
        text = str(value)
        if text not in known and isinstance(value, float) and value.is_integer():
            text = str(int(value))
        if text not in known:
            raise InputError(
                "at",
                f"must be labels of {column.name!r}: {checks.some(sorted(known), _LEVELS)}",
                found=repr(value),
            )
        return known[text]
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        raise InputError("at", f"must be numbers for numeric {column.name!r}", found=repr(value))
    return number


def _pairs(column: pd.Series, labels: bool) -> list[tuple[Any, Any]]:
    """Labels against the first; the upper against the lower quartile of numbers."""
    different = sorted(column.drop_duplicates())
    if isinstance(column.dtype, pd.CategoricalDtype):
        different = [label for label in column.cat.categories if (column == label).any()]
    if labels or len(different) == 2:
        return [(different[0], label) for label in different[1:]]
    low, high = np.quantile(column.astype(float), [0.25, 0.75]).tolist()
    if low == high:
        low, high = float(different[0]), float(different[-1])
    return [(low, high)]


def _question(table: pd.DataFrame, coding: Coding, name: str, first: Any, second: Any) -> Question:
    sides = []
    for value in (first, second):
        imagined = table.copy()
        kind = table[name].dtype if isinstance(table[name].dtype, pd.CategoricalDtype) else None
        imagined[name] = pd.Series([value] * len(imagined), imagined.index, dtype=kind)
        with np.errstate(all="ignore"):
            coded = coding.apply(imagined).to_numpy()
        if not np.isfinite(coded).all():
            raise InputError(
                "at",
                f"must give a finite design, unlike {name} = {_said(value)}",
                fix="choose another value",
            )
        sides.append(np.column_stack([np.ones(len(coded)), coded]))
    rows, counts = np.unique(np.round(np.hstack(sides), 12), axis=0, return_counts=True)
    if len(rows) > _ROWS:
        chosen = np.random.default_rng(0).choice(len(rows), _ROWS, replace=False)
        rows, counts = rows[chosen], counts[chosen]
    half = rows.shape[1] // 2
    said = [_said(value) for value in (first, second)]
    return Question(
        f"{name}: {said[1]} - {said[0]}",
        name,
        said[0],
        said[1],
        rows[:, :half],
        rows[:, half:],
        counts / counts.sum(),
        (sides[1] - sides[0]).mean(axis=0),
    )


def _said(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)
