"""A reference from single cells: cells of a type and donor are added up to one profile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bayesdecov import checks
from bayesdecov.cells.collect import summed
from bayesdecov.cells.content import mrna_per_cell
from bayesdecov.cells.groups import UNKNOWN
from bayesdecov.errors import InputError, Notes
from bayesdecov.io.genes import drop_spike_ins
from bayesdecov.io.scale import per_million
from bayesdecov.reference.build import of_profiles
from bayesdecov.reference.hierarchy import as_hierarchy

_ENOUGH_DONORS = 3  # from which variances between donors are their own


def from_cells(
    cells: Any,
    cell_type: str,
    donor: str | None,
    *,
    batch: str | None,
    obs: Any,
    layer: str,
    gene_names: str | None,
    drop: Sequence[str],
    min_cells: int,
    hierarchy: Any,
    covariance: str,
    genes: Any,
) -> dict[str, Any]:
    """Fields of a reference from single cells (see `Reference.from_cells`)."""
    notes = Notes()
    min_cells = checks.check_whole(min_cells, "min_cells")
    counts = summed(cells, cell_type, donor, batch, obs, layer, gene_names, drop, notes)
    groups = _large_types(counts.groups, min_cells, notes)
    content = mrna_per_cell(groups)
    profiles = _profiles(groups, min_cells, notes)
    of_profile = profiles["of_group"].to_numpy()
    raw = counts.table[list(profiles.index)].T.groupby(of_profile).sum().T
    about = profiles.groupby("of_group").agg(
        cell_type=("cell_type", "first"), donor=("donor", "first"), cells=("cells", "sum")
    )
    raw = raw[about.index]
    raw.columns = about.index = pd.Index(
        [f"{t}, {d}" if d else t for t, d in zip(about["cell_type"], about["donor"], strict=True)]
    )
    raw = drop_spike_ins(raw, "cells", notes)
    table, totals = per_million(raw)
    about["counts"] = totals
    parents = None
    if hierarchy is not None:
        parents = as_hierarchy(hierarchy, pd.Index(sorted(about["cell_type"].unique())), notes)
    fields = _fields(table, about, content, covariance, genes, parents, notes)
    fields["settings"]["source"] = "single cells: " + "; ".join(counts.said)
    return fields | {"notes": tuple(notes.lines)}


def _fields(
    table: pd.DataFrame,
    about: pd.DataFrame,
    content: pd.Series,
    covariance: str,
    genes: Any,
    parents: dict[str, str] | None,
    notes: Notes,
) -> dict[str, Any]:
    """The reference on counts per million of profiles that ``about`` describes."""
    labels = about["cell_type"].rename("cell_type")
    fields = of_profiles(
        table,
        labels,
        1e6 / about["counts"],
        covariance,
        genes,
        notes,
        argument="cells",
        parents=parents,
        of_cells=True,
    )
    n_donors = about.loc[about["donor"] != UNKNOWN, "donor"].nunique()
    _tell_donors(n_donors, fields["replicates"], notes)
    unknown = content.index[content.isna()]
    if len(unknown):
        notes.warn(
            f"mRNA per cell is unknown for {checks.some(unknown)}, which share no donor or batch "
            "with the other types: proportions will be fractions of mRNA"
        )
    own = {"scale": "counts of single cells", "donors": int(n_donors)}
    return fields | {
        "scale": "counts",
        "donors": about["donor"].rename("donor") if n_donors else None,
        "mrna_per_cell": content.reindex(fields["mean"].columns),
        "profile_cells": about[["cells", "counts"]],
        "settings": own | fields["settings"],
    }


def _tell_donors(n_donors: int, replicates: pd.Series, notes: Notes) -> None:
    """How much is known of the variance between donors."""
    if not n_donors:
        notes.info(
            "donors are not known: one profile per cell type, and how donors differ is learned "
            "from the bulks; cells of one donor say nothing of it"
        )
    elif n_donors < _ENOUGH_DONORS:
        notes.info(
            f"{n_donors} donor{'s' if n_donors > 1 else ''}: variances between donors are borrowed "
            "from the trend over all genes, or learned from the bulks"
        )
    single = replicates.index[replicates == 1]
    if n_donors >= _ENOUGH_DONORS and len(single):
        notes.info(
            f"one profile only for {checks.some(single)}: variances between donors are borrowed "
            "from the other cell types"
        )


def _large_types(groups: pd.DataFrame, min_cells: int, notes: Notes) -> pd.DataFrame:
    """The groups of cell types with enough cells."""
    totals = groups.groupby("cell_type")["cells"].sum()
    small = totals[totals < min_cells]
    if len(small):
        shown = ", ".join(f"{name} ({n})" for name, n in small.items())
        notes.warn(f"cell types with fewer than {min_cells} cells left out: {shown}")
    kept = groups[~groups["cell_type"].isin(small.index) & (groups["counts"] > 0)]
    if kept["cell_type"].nunique() < 2:
        raise InputError(
            "cell_type",
            f"needs at least two cell types with {min_cells} cells (min_cells)",
            found=", ".join(f"{name} ({n})" for name, n in totals.items())[:200],
        )
    return kept


def _profiles(groups: pd.DataFrame, min_cells: int, notes: Notes) -> pd.DataFrame:
    """Groups with the profile that each belongs to: donors of a type, or all of them together."""
    by_donor = groups.groupby(["cell_type", "donor"])["cells"].transform("sum")
    large = by_donor >= min_cells
    none = ~large.groupby(groups["cell_type"]).transform("any")
    few = groups[~large & ~none]
    if len(few):
        notes.info(
            f"{len(few.groupby(['cell_type', 'donor']))} profiles of fewer than {min_cells} cells "
            f"left out ({int(few['cells'].sum())} cells)"
        )
    pooled = sorted(groups.loc[none, "cell_type"].unique())
    if pooled:
        notes.info(
            f"no donor has {min_cells} cells of {checks.some(pooled)}: one profile of all donors"
        )
    found = groups.assign(donor=groups["donor"].where(~none, UNKNOWN))
    found = found.assign(of_group=found["cell_type"] + "\0" + found["donor"])
    return found[large | none]
