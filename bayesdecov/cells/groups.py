"""Which cells belong together: their types, donors and batches, from columns of their table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError, Notes

UNKNOWN = ""  # donor or batch
_MOST_TYPES = 200
_NONE = frozenset(["", "nan", "na", "n/a", "none", "<na>", "null", "-"])  # whatever is dropped


class Groups(NamedTuple):
    """The group of every cell (-1: left out), and per group its cell type, donor and batch."""

    codes: np.ndarray
    table: pd.DataFrame


def grouped(
    obs: pd.DataFrame,
    cell_type: str,
    donor: str | None,
    batch: str | None,
    drop: Sequence[str],
    notes: Notes,
    *,
    own_batch: str = UNKNOWN,
) -> Groups:
    """Group cells; ``own_batch`` is the batch of all where no column is given.

    Cells without a type or donor, or with a type in ``drop`` (whatever its case), are left out and
    counted.
    """
    types = _column(obs, cell_type, "cell_type")
    left_out = _missing(types, drop)
    if left_out.all():
        raise InputError(
            "cell_type",
            "must name the type of some cells",
            found=f"only missing values or names to drop in {cell_type!r}",
        )
    if left_out.any():
        shown = types[left_out].fillna("missing").value_counts()
        said = ", ".join(f"{name!r} {count}" for name, count in shown.head(5).items())
        notes.info(f"{int(left_out.sum())} of {len(obs)} cells left out: {said}")
    donors = pd.Series(UNKNOWN, obs.index)
    if donor is not None:
        donors = _column(obs, donor, "donor")
        nameless = _missing(donors, ()) & ~left_out
        if (nameless | left_out).all():
            raise InputError(
                "donor", "must name the donor of some cells", found=f"no names in {donor!r}"
            )
        if nameless.any():
            notes.info(f"{int(nameless.sum())} cells without a donor left out")
        left_out |= nameless
    batches = pd.Series(own_batch, obs.index)
    if batch is not None:
        batches = _column(obs, batch, "batch").fillna("missing")
    keys = pd.DataFrame(
        {"cell_type": types.to_numpy(), "donor": donors.to_numpy(), "batch": batches.to_numpy()}
    )
    kept = ~left_out.to_numpy()
    _check_names(keys.loc[kept], notes)
    n_types = keys.loc[kept, "cell_type"].nunique()
    if n_types > _MOST_TYPES:
        raise InputError(
            "cell_type",
            f"must have at most {_MOST_TYPES} types",
            found=f"{n_types} different values in {cell_type!r}, such as "
            f"{checks.some(keys['cell_type'][kept].unique())}",
        )
    found = keys[kept].groupby(["cell_type", "donor", "batch"], sort=True)
    codes = np.full(len(obs), -1, dtype=np.intp)
    codes[kept] = found.ngroup().to_numpy()
    sizes = found.size().rename("cells").reset_index()
    return Groups(codes, sizes)


def _missing(labels: pd.Series, drop: Sequence[str]) -> pd.Series:
    """Labels that are none: missing, words for it, or names to drop."""
    none = {*_NONE, *(str(name).strip().casefold() for name in drop)}
    return labels.isna() | labels.str.casefold().isin(none)


def _check_names(keys: pd.DataFrame, notes: Notes) -> None:
    """Names that can be written, and a warning of types that may be the same."""
    for column in ("cell_type", "donor"):
        checks.check_plain_names(keys[column].unique(), column, column.replace("_", " "))
    names = pd.Series(keys["cell_type"].unique())
    alike = names.groupby(names.str.casefold().str.replace(r"[\s_.-]+", " ", regex=True))
    pairs = [" and ".join(map(repr, same)) for _, same in alike if len(same) > 1]
    if pairs:
        notes.warn(f"cell types that differ only in spelling are kept apart: {'; '.join(pairs)}")


def _column(obs: pd.DataFrame, name: Any, argument: str) -> pd.Series:
    """A column of labels as text, NaN where it has no value."""
    if not isinstance(name, (str, int)):
        raise InputError(
            argument, "must be the name of one column of the cells' table", found=repr(name)
        )
    if name not in obs.columns:
        raise InputError(
            argument,
            "must be a column of the cells' table (obs)",
            found=f"{name!r}; its columns are {checks.some(obs.columns, 20)}"
            if len(obs.columns)
            else f"{name!r}, and the table has no columns",
            fix="" if len(obs.columns) else "give the annotations as obs=",
        )
    column = obs[name]
    if not isinstance(column, pd.Series):
        raise InputError(argument, "must be one column", found=f"several called {name!r}")
    values = column.astype(object)
    if pd.api.types.is_float_dtype(column.dtype):
        known = column.dropna()
        if len(known) and (known == np.rint(known)).all():  # 1.0 is the label 1
            values = column.astype("Int64").astype(object)
        elif argument == "cell_type":
            raise InputError(
                argument,
                "must be a column of names",
                found=f"numbers such as {known.iloc[0]:g} in {name!r}",
            )
    missing = values.isna()
    text = values.astype(str).str.strip()
    return text.where(~missing & (text != ""), np.nan)
