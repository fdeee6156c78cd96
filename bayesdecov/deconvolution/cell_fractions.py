"""From fractions of mRNA to fractions of cells: the mRNA in a cell of each type."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError, Notes
from bayesdecov.reference.reference import Reference
from bayesdecov.unknown_content.extended import OTHER

NONE = "none"  # fractions of mRNA are asked for


def mrna_per_cell(given: Any, reference: Reference, notes: Notes) -> pd.Series | None:
    """What the user gives, or what single cells tell; None for fractions of mRNA.

    Cells that are absent from the reference have the mean of the others.
    """
    names = reference.cell_types
    if isinstance(given, str):
        if given != NONE:
            raise InputError(
                "mrna_per_cell",
                f"must map each cell type to a positive number, or be {NONE!r}",
                found=repr(given),
            )
        return None
    known = reference.mrna_per_cell if given is None else given
    if known is None:
        return None
    if given is None:
        known = known.reindex(names.drop(OTHER, errors="ignore"))
        if known.isna().any():
            notes.warn(
                "proportions are fractions of mRNA: the mRNA per cell is not known of "
                f"{checks.some(known.index[known.isna()])} (mrna_per_cell= gives it)"
            )
            return None
        notes.info(
            "proportions are fractions of cells, by the counts per cell of the reference; "
            "fit.mrna_fractions has those of mRNA (mrna_per_cell='none')"
        )
    if OTHER in names and OTHER not in known:
        mean = float(pd.Series(known).astype(float).mean())
        notes.info(f"{OTHER!r} cells were given the mean mRNA of the others")
        known = {**dict(known), OTHER: mean}
    return checks.match_cell_types(known, names, "mrna_per_cell")
