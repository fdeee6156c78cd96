"""From covariates and a formula to a design, and to pairs of designs that are compared."""

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
_ROWS = 100  # samples that a comparison averages over
_LEVELS = 12  # a text column with more labels is no group


class Question(NamedTuple):
    """A comparison: all samples as they would be with ``second`` against with ``first``."""

    name: str
    covariate: str
    first: str
    second: str
    X_first: Array
    X_second: Array


class Design(NamedTuple):
    """Design matrix (sample, column) with names, and the questions."""

    X: Array
    columns: list[str]
    questions: list[Question]


def design(
    table: pd.DataFrame, formula: str | None, at: Mapping[str, tuple[Any, Any]] | None
) -> Design:
    """Code the covariates; one question for every label against the first, or between quartiles.

    ``at`` names covariates with the two values to compare; the other covariates stay as they are
    in the samples and are averaged over.
    """
    coded, coding = encode(table, formula)
    for name in coding.sources:
        if not pd.api.types.is_numeric_dtype(table[name]) and table[name].nunique() > _LEVELS:
            raise InputError("covariates", "a column of labels must be of few groups",
                             found=f"{table[name].nunique()} different values in {name!r}",
                             fix="give subjects as subject=, and numbers as numbers")  # fmt: skip
    X = np.column_stack([np.ones(len(coded)), coded.to_numpy()])
    rank = int(np.linalg.matrix_rank(X))
    if rank < X.shape[1]:
        raise InputError("covariates", "must not determine each other",
                         found=f"{X.shape[1]} columns of rank {rank}: "
                         f"{checks.some(coded.columns, 20)}",
                         fix="remove one of the covariates")  # fmt: skip
    if len(X) < X.shape[1] + 2:
        raise InputError("covariates", "need more samples than columns",
                         found=f"{len(X)} samples, {X.shape[1]} columns")  # fmt: skip
    asked = dict(at or {})
    unknown = [name for name in asked if name not in coding.sources]
    if unknown:
        raise InputError("at", f"must name covariates of the formula "
                         f"({checks.some(coding.sources, 20)})", found=checks.some(unknown)
                         )  # fmt: skip
    questions = []
    for name in coding.sources:
        pairs = [_pair(asked[name], name)] if name in asked else _pairs(table[name], name)
        questions += [_question(table, coding, name, first, second) for first, second in pairs]
    return Design(X, [INTERCEPT, *map(str, coded.columns)], questions)


def _pair(values: Any, name: str) -> tuple[Any, Any]:
    if isinstance(values, str) or not hasattr(values, "__len__") or len(values) != 2:
        raise InputError("at", f"needs two values of {name!r}", found=repr(values))
    return values[0], values[1]


def _pairs(column: pd.Series, name: str) -> list[tuple[Any, Any]]:
    """Labels against the first; numbers at their upper against their lower quartile."""
    different = column.drop_duplicates()
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        if len(different) == 2:
            low, high = sorted(different)
        else:
            low, high = np.quantile(column.astype(float), [0.25, 0.75]).tolist()
            if low == high:
                low, high = float(column.min()), float(column.max())
        return [(low, high)]
    if isinstance(column.dtype, pd.CategoricalDtype):
        labels = [label for label in column.cat.categories if (column == label).any()]
    else:
        labels = sorted(different)
    return [(labels[0], label) for label in labels[1:]]


def _question(table: pd.DataFrame, coding: Coding, name: str, first: Any, second: Any) -> Question:
    rows = np.unique(np.linspace(0, len(table) - 1, _ROWS).astype(int))
    sides = []
    for value in (first, second):
        imagined = table.iloc[rows].copy()
        kind = table[name].dtype if isinstance(table[name].dtype, pd.CategoricalDtype) else None
        imagined[name] = pd.Series([value] * len(imagined), imagined.index, dtype=kind)
        coded = coding.apply(imagined).to_numpy()
        sides.append(np.column_stack([np.ones(len(coded)), coded]))
    both, weights = np.unique(np.hstack(sides), axis=0, return_counts=True)
    both = np.repeat(both, weights, axis=0) if len(np.unique(weights)) > 1 else both
    half = both.shape[1] // 2
    said = [_said(value) for value in (first, second)]
    return Question(f"{name}: {said[1]} - {said[0]}", name, said[0], said[1], both[:, :half],
                    both[:, half:])  # fmt: skip


def _said(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)
