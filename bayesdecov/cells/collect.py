"""All sources together: sums of counts on the genes that they share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.cells.groups import UNKNOWN, Groups, grouped
from bayesdecov.cells.source import Cells, open_cells
from bayesdecov.cells.sums import group_sums
from bayesdecov.errors import InputError, Notes
from bayesdecov.io.genes import tidy_genes
from bayesdecov.io.tables import read_table

_LEAST_SHARED = 0.5  # of the genes of the smallest source


class Counts(NamedTuple):
    """Sums of counts, genes x groups, and what the groups are (with their cells and counts)."""

    table: pd.DataFrame
    groups: pd.DataFrame
    said: list[str]


def summed(
    cells: Any,
    cell_type: str,
    donor: str | None,
    batch: str | None,
    obs: Any,
    layer: str,
    gene_names: str | None,
    drop: Sequence[str],
    notes: Notes,
) -> Counts:
    """Add up all sources on the genes that they share."""
    several = list(cells) if isinstance(cells, (list, tuple)) else [cells]
    if not several:
        raise InputError("cells", "must name at least one source", found="none")
    _check_different(several)
    if isinstance(obs, (str, Path)):
        obs = read_table(obs, "obs", text=True)
    if obs is not None and not isinstance(obs, pd.DataFrame):
        raise InputError(
            "obs", "must be a table of the cells, or its path", found=type(obs).__name__
        )
    drop = [drop] if isinstance(drop, str) else list(drop or ())
    sources = [open_cells(each, layer, gene_names, obs, notes) for each in several]
    if obs is not None:
        _check_once(sources, obs)
    tables, groups = [], []
    for i, source in enumerate(sources):
        own = f"source {i + 1}" if len(sources) > 1 else UNKNOWN
        found = grouped(source.obs, cell_type, donor, batch, drop, notes, own_batch=own)
        table, sizes = _sums(source, found, notes)
        keys = [f"{i}:{k}" for k in range(len(sizes))]
        tables.append(tidy_genes(table.set_axis(keys, axis=1), "cells", notes))
        groups.append(sizes.set_axis(keys, axis=0))
    shared = tables[0].index
    for table in tables[1:]:
        shared = shared[shared.isin(table.index)]
    fewest = min(len(table) for table in tables)
    if len(shared) < _LEAST_SHARED * fewest:
        raise InputError(
            "cells",
            "sources must share most of their genes",
            found=f"{len(shared)} shared, of {fewest} in the smallest",
            fix="use the same kind of gene names (gene_names=)",
        )
    if len(tables) > 1:
        largest = max(len(table) for table in tables)
        notes.info(f"{len(shared)} genes are in all {len(tables)} sources (at most {largest})")
    whole = pd.concat([table.loc[shared] for table in tables], axis=1)
    known = pd.concat(groups)
    known["counts"] = whole.sum()
    return Counts(whole, known, [source.said for source in sources])


def _sums(source: Cells, groups: Groups, notes: Notes) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Genes x groups of a source, and the groups with the number of their cells with counts."""
    sums = group_sums(source.X, groups.codes, len(groups.table), "cells")
    known = groups.codes >= 0
    empty = int((known & ~sums.heard).sum())
    if empty:
        notes.warn(f"{source.said}: {empty} cells without counts left out")
    if not sums.whole:
        notes.warn(f"{source.said}: some values are not whole; they were taken as counts")
    sizes = np.bincount(groups.codes[known & sums.heard], minlength=len(groups.table))
    table = pd.DataFrame(sums.values[:, source.kept].T, source.genes)
    return table, groups.table.assign(cells=sizes)


def _check_once(sources: list[Cells], obs: pd.DataFrame) -> None:
    """A row of annotations belongs to one cell: barcodes repeat between samples."""
    given = obs.index.astype(str)
    names = pd.Index([])
    for source in sources:
        own = source.obs.index[source.obs.index.isin(given)]
        if own.isin(names).any():
            raise InputError(
                "obs",
                "must name every cell of all sources once",
                found=f"{checks.some(own[own.isin(names)])} in several of them",
                fix="annotate each source itself: barcodes repeat between samples",
            )
        names = names.append(own)


def _check_different(several: list[Any]) -> None:
    """No source twice."""
    places = [
        str(Path(each).resolve()) if isinstance(each, (str, Path)) else str(id(each))
        for each in several
    ]
    twice = [each for each, place in zip(several, places, strict=True) if places.count(place) > 1]
    if twice:
        shown = str(twice[0]) if isinstance(twice[0], (str, Path)) else "an AnnData"
        raise InputError("cells", "must name every source once", found=f"{shown!r} twice")
