"""Cell types under cell types: levels from the coarsest to the finest.

A hierarchy maps a name to that of its parent, over any number of levels; types that it does not
name stand for themselves at every level.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError, Notes

_ARGUMENT = "hierarchy"


def as_hierarchy(given: Any, cell_types: pd.Index, notes: Notes | None = None) -> dict[str, str]:
    """Child to parent, from a mapping, a Series or a table with a row per child.

    With ``notes``, branches without cells are left out and said, instead of refused.

    Raises
    ------
    InputError
        A circle, a child with two parents, or a branch that ends in no cell type.
    """
    if isinstance(given, pd.DataFrame):
        if given.shape[1] == 2 and isinstance(given.index, pd.RangeIndex):
            given = given.set_index(given.columns[0])  # row numbers instead of names
        if given.shape[1] != 1:
            raise InputError(
                _ARGUMENT,
                "must be a table with two columns: a name and that of its parent",
                found=f"{given.shape[1] + 1} columns",
            )
        given = given.iloc[:, 0]
    if not isinstance(given, (Mapping, pd.Series)):
        raise InputError(
            _ARGUMENT, "must map names to those of their parents", found=type(given).__name__
        )
    series = pd.Series(given, dtype=object).dropna()
    series = series[series.astype(str).str.strip() != ""]
    series.index = pd.Index([str(name).strip() for name in series.index])
    checks.check_unique(series.index, _ARGUMENT, "name")
    parents = {name: str(parent).strip() for name, parent in series.items()}
    for name in parents:
        _path(name, parents)
    unknown = _without_cells(parents, cell_types)
    if notes is not None and unknown and len(unknown) < len(parents):
        notes.warn(f"hierarchy: no cells of {checks.some(unknown)}, which were left out")
        while unknown:
            parents = {name: up for name, up in parents.items() if name not in unknown}
            unknown = _without_cells(parents, cell_types)
    if unknown or not parents:
        raise InputError(
            _ARGUMENT,
            "must end in cell types",
            found=f"{checks.some(unknown)}, of none of which there are cells"
            if unknown
            else "no names",
            fix=f"the cell types are {checks.some(cell_types, 20)}",
        )
    both = [name for name in cell_types if name in parents.values()]
    if both:
        raise InputError(
            _ARGUMENT,
            "must not have a cell type as a parent",
            found=checks.some(both),
            fix="name the remaining cells of this kind differently, such as 'other T'",
        )
    return parents


def _without_cells(parents: Mapping[str, str], cell_types: pd.Index) -> list[str]:
    """Ends of branches that are no cell types."""
    ends = sorted(set(parents) - set(parents.values()))
    return [name for name in ends if name not in cell_types]


def _path(name: str, parents: Mapping[str, str]) -> list[str]:
    """A name and its ancestors, from the top."""
    path = [name]
    while path[-1] in parents:
        parent = parents[path[-1]]
        if parent in path:
            raise InputError(
                _ARGUMENT, "must not go in circles", found=" -> ".join([*path, parent])
            )
        path.append(parent)
    return path[::-1]


def levels(cell_types: pd.Index, parents: Mapping[str, str]) -> list[list[str]]:
    """The group of every cell type at each level above the finest, from the coarsest."""
    paths = [_path(str(name), parents) for name in cell_types]
    depth = max(map(len, paths))
    return [[path[min(d, len(path) - 1)] for path in paths] for d in range(depth - 1)]


def groups_of(reference: Any, level: int | str) -> dict[str, list[str]]:
    """`groups_at` of a reference, which must have a hierarchy."""
    if reference.hierarchy is None:
        raise InputError(
            "level",
            "needs a reference with a hierarchy",
            found="one without",
            fix="make it with hierarchy= (--hierarchy), or give groups (fit.sum, --groups)",
        )
    return groups_at(level, reference.cell_types, reference.hierarchy)


def groups_at(
    level: int | str, cell_types: pd.Index, parents: Mapping[str, str]
) -> dict[str, list[str]]:
    """Cell types by group: at a level (0 is the coarsest), or with one group merged.

    Raises
    ------
    InputError
        There is no such level or group.
    """
    known = levels(cell_types, parents)
    names = [str(name) for name in cell_types]
    if isinstance(level, str):
        below = [level in _path(name, parents) for name in names]
        if not any(below):
            above = sorted(set(parents.values()))
            raise InputError("level", f"must be a number or one of {above}", found=repr(level))
        chosen = [level if b else name for b, name in zip(below, names, strict=True)]
    else:
        count = checks.check_whole(level, "level", at_least=0)
        if count > len(known):
            raise InputError(
                "level", f"must be at most {len(known)} (the cell types)", found=str(count)
            )
        chosen = [*known, names][count]
    found: dict[str, list[str]] = {}
    for name, group in zip(names, chosen, strict=True):
        found.setdefault(group, []).append(name)
    return found
