"""Shared validators. Each takes a value and returns it cleaned, or raises `InputError`."""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bayesdecov.errors import InputError


def some(names: Iterable[Any], limit: int = 5) -> str:
    """The first few of ``names`` for a message, with a count of the rest."""
    listed = [str(name) for name in names]
    text = ", ".join(listed[:limit])
    return text if len(listed) <= limit else f"{text}, ... ({len(listed)} in all)"


def check_plain_names(names: Iterable[Any], argument: str, what: str) -> None:
    """Names without control characters, which tables, files and terminals would alter."""
    for number, name in enumerate(names, start=1):
        text = str(name)
        if text.isprintable():
            continue
        odd = next((c for c in text if unicodedata.category(c) in ("Cc", "Cs")), None)
        if odd is not None:
            raise InputError(
                argument,
                f"{what} names must not contain control characters",
                found=f"{odd!r} in the name of {what} {number}, {text[:60]!r}",
                fix="rename it",
            )


def check_choice(value: Any, options: Sequence[str], argument: str) -> str:
    """One of the allowed values."""
    if not isinstance(value, str) or value not in options:
        raise InputError(
            argument, f"must be one of {', '.join(map(repr, options))}", found=repr(value)
        )
    return value


def check_whole(value: Any, argument: str, *, at_least: int = 1) -> int:
    """A whole number, not a bool."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < at_least:
        raise InputError(argument, f"must be a whole number >= {at_least}", found=repr(value))
    return int(value)


def check_workers(value: Any, argument: str = "n_jobs") -> int:
    """A number of workers as joblib takes it: any whole number but 0."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value == 0:
        raise InputError(argument, "must be a whole number, -1 for all cores", found=repr(value))
    return int(value)


def check_positive(value: Any, argument: str) -> float:
    """A finite number above zero."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise InputError(argument, "must be a positive number", found=repr(value))
    try:
        number = float(value)
    except OverflowError:  # whole numbers are unbounded
        number = np.inf
    if not np.isfinite(number) or number <= 0:
        raise InputError(argument, "must be a positive number", found=repr(value))
    return number


def check_probability(value: Any, argument: str) -> float:
    """A number strictly between 0 and 1."""
    number = check_positive(value, argument)
    if number >= 1:
        raise InputError(
            argument, "must lie between 0 and 1", found=repr(value), fix="write 0.95 for 95 %"
        )
    return number


def make_generator(seed: Any, argument: str = "seed") -> np.random.Generator:
    """A generator from None, an int or a generator."""
    if isinstance(seed, np.random.Generator):
        return seed
    if seed is None or (isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)):
        if seed is not None and seed < 0:
            raise InputError(argument, "must not be negative", found=repr(seed))
        return np.random.default_rng(seed)
    raise InputError(argument, "must be None, an int or a numpy Generator", found=repr(seed))


def check_expression(table: Any, argument: str, *, what: str = "samples") -> pd.DataFrame:
    """An expression table, genes x ``what``: unique labels, finite numbers, nothing negative.

    Genes that are zero everywhere are allowed (they carry no information and are dropped later);
    a column that is zero everywhere is not.
    """
    frame = check_numeric(table, argument)
    check_unique(frame.index, argument, "gene")
    check_unique(frame.columns, argument, what.rstrip("s"))
    values = frame.to_numpy()
    if (values < 0).any():
        row, column = np.argwhere(values < 0)[0]
        raise InputError(
            argument,
            "expression must not be negative",
            found=f"{int((values < 0).sum())} negative values, the first "
            f"{values[row, column]:g} at gene {frame.index[row]!r}, "
            f"{what.rstrip('s')} {frame.columns[column]!r}",
            fix="give counts, CPM or TPM on the linear scale, not centred or log-ratio data",
        )
    empty = frame.columns[(values == 0).all(axis=0)]
    if len(empty):
        raise InputError(
            argument,
            f"all {what} must have some expression",
            found=f"only zeros in {some(empty)}",
            fix=f"remove these {what}",
        )
    return frame


def check_numeric(table: Any, argument: str) -> pd.DataFrame:
    """A non-empty DataFrame of finite floats, names as strings; errors name text and gaps."""
    if isinstance(table, pd.Series):
        table = table.to_frame()
    if not isinstance(table, pd.DataFrame):
        raise InputError(
            argument,
            "must be a pandas DataFrame with genes as rows (or an AnnData)",
            found=type(table).__name__,
        )
    if table.index.nlevels > 1 or table.columns.nlevels > 1:
        raise InputError(
            argument,
            "must have plain row and column names",
            found="a MultiIndex",
            fix="join the levels into one name",
        )
    if table.shape[0] == 0 or table.shape[1] == 0:
        raise InputError(
            argument, "must not be empty", found=f"{table.shape[0]} rows, {table.shape[1]} columns"
        )
    try:
        values = table.to_numpy(dtype=float)
    except (TypeError, ValueError):
        raise _text_error(table, argument) from None
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise InputError(
            argument,
            "must not have missing or infinite values",
            found=f"{int((~np.isfinite(values)).sum())}, the first in row {table.index[row]!r}, "
            f"column {table.columns[column]!r}",
            fix="remove or impute these values first",
        )
    return pd.DataFrame(
        values, _strings(table.index, argument, "row"), _strings(table.columns, argument, "column")
    )


def _text_error(table: pd.DataFrame, argument: str) -> InputError:
    for name in table.columns:
        for row, value in zip(table.index, table[name], strict=True):
            if pd.isna(value) or not np.isnan(to_number(value)):
                continue
            return InputError(
                argument,
                "must contain numbers only",
                found=f"text {str(value)[:60]!r} in column {name!r}, row {row!r}",
                fix="put names in the first column and remove annotation columns",
            )
    return InputError(argument, "must contain numbers only", found="values that are not numbers")


def to_number(value: Any) -> float:
    """A cell of a table as a number, or NaN.

    `pandas.to_numeric` is no alternative: it crashes on texts like "1e40038475397113199".
    """
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _strings(index: pd.Index, argument: str, what: str) -> pd.Index:
    missing = index.isna()
    if missing.any():
        raise InputError(
            argument, "row and column names must not be missing", found=f"{int(missing.sum())}"
        )
    names = [str(name).strip() for name in index]
    check_plain_names(names, argument, what)
    return pd.Index(names)


def check_unique(index: pd.Index, argument: str, what: str) -> None:
    """No label twice."""
    twice = index[index.duplicated()].unique()
    if len(twice):
        raise InputError(
            argument,
            f"{what} names must be unique",
            found=f"{len(twice)} repeated: {some(twice)}",
            fix=f"merge or rename the repeated {what}s",
        )


def check_labels(labels: Any, samples: pd.Index, argument: str = "labels") -> pd.Series:
    """One label (cell type or donor) for each of ``samples``, aligned by name."""
    what = "donor" if argument == "donors" else "cell type"
    if isinstance(labels, pd.DataFrame):
        if "sample" in labels and labels.shape[1] > 1:
            labels = labels.set_index("sample")
        column = what.replace(" ", "_")
        if column in labels or labels.shape[1] == 1:
            labels = labels[column] if column in labels else labels.iloc[:, 0]
    if isinstance(labels, dict):
        labels = pd.Series(labels)
    if not isinstance(labels, pd.Series):
        raise InputError(
            argument,
            f"must be a Series that maps each sample name to its {what}",
            found=type(labels).__name__,
            fix=f"use pd.Series({what.replace(' ', '_')}s, index=sample_names)",
        )
    cleaned = labels.copy()
    cleaned.index = pd.Index([str(name).strip() for name in cleaned.index])
    check_unique(cleaned.index, argument, "sample")
    missing = samples.difference(cleaned.index)
    if len(missing):
        raise InputError(
            argument,
            f"every purified sample needs a {what}",
            found=f"no label for {some(missing)}",
            fix=f"sample names of the labels look like {some(cleaned.index, 3)} (is the header "
            "line missing?)",
        )
    cleaned = cleaned.loc[samples]
    gaps = np.asarray(cleaned.isna() | (cleaned.astype(str).str.strip() == ""))
    if gaps.any():
        raise InputError(
            argument, "must not be missing", found=f"no cell type for {some(samples[gaps])}"
        )
    result = cleaned.map(_label)
    check_plain_names(result, argument, what)
    if result.nunique() < 2:
        raise InputError(argument, "must name at least two cell types", found=some(result.unique()))
    return result


def _label(value: Any) -> str:
    """A label as text; 1.0 is a whole number, made a float by a gap in its column."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def check_positive_definite(matrix: np.ndarray, argument: str, name: Hashable) -> None:
    """A symmetric, positive definite covariance matrix."""
    if not np.allclose(matrix, matrix.T, rtol=1e-8, atol=1e-12 * np.abs(matrix).max()):
        raise InputError(argument, f"the covariance of {name!r} must be symmetric")
    smallest = float(np.linalg.eigvalsh(matrix)[0])
    if not smallest > 0:
        raise InputError(
            argument,
            f"the covariance of {name!r} must be positive definite",
            found=f"smallest eigenvalue {smallest:.3g}",
        )


def match_cell_types(values: Any, cell_types: pd.Index, argument: str) -> pd.Series:
    """One positive number for each cell type, from a mapping or Series, in their order."""
    if not isinstance(values, (Mapping, pd.Series)):
        raise InputError(
            argument, "must map each cell type to a positive number", found=type(values).__name__
        )
    series = pd.Series(values)
    series.index = pd.Index([_label(name) for name in series.index])
    check_unique(series.index, argument, "cell type")
    absent = [name for name in cell_types if name not in series.index]
    if absent:
        raise InputError(
            argument, "needs a number for every cell type", found=f"none for {some(absent)}"
        )
    return pd.Series(
        {name: check_positive(series[name], f"{argument}[{name!r}]") for name in cell_types}
    )


def find_nearly_collinear(mean: pd.DataFrame, *, limit: float = 1e4) -> str:
    """Names of cell types whose profiles are almost linearly dependent; empty if there are none."""
    values = mean.to_numpy()
    _, singular, right = np.linalg.svd(values / np.linalg.norm(values, axis=0), full_matrices=False)
    if singular[-1] * limit > singular[0]:
        return ""
    weights = np.abs(right[-1])
    return some(mean.columns[weights > 0.05 * weights.max()])


def check_collinear(mean: pd.DataFrame, argument: str, *, limit: float = 1e8) -> None:
    """Cell types whose profiles can be distinguished; otherwise the aliased ones are named."""
    values = mean.to_numpy()
    if len(values) < values.shape[1]:
        raise InputError(
            argument,
            "needs at least as many genes as cell types",
            found=f"{len(values)} genes and {values.shape[1]} cell types",
        )
    size = np.linalg.norm(values, axis=0)
    if (size == 0).any():
        raise InputError(
            argument,
            "every cell type needs some expression among the shared genes",
            found=f"only zeros in {some(mean.columns[size == 0])}",
        )
    _, singular, right = np.linalg.svd(values / size, full_matrices=False)
    if singular[-1] * limit > singular[0]:
        return
    weights = np.abs(right[-1])
    names = mean.columns[weights > 0.05 * weights.max()]
    raise InputError(
        argument,
        "the profiles of the cell types must be linearly independent",
        found=f"cell types that cannot be distinguished: {some(names)}",
        fix="merge them into one cell type or drop one",
    )
