"""Align a bulk with a reference: match genes and bring both to one scale."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError, Notes
from bayesdecov.io.genes import Alignment, align, drop_spike_ins, tidy_genes
from bayesdecov.io.scale import (
    Scale,
    counting_unit,
    detect_scale,
    per_million,
    require_linear,
)
from bayesdecov.reference.reference import Reference

_FULL_COVERAGE = 0.98  # share of the reference's expression that the bulk's genes must carry


class Aligned(NamedTuple):
    """A bulk on the scale of a reference.

    ``whole`` (genes x samples) holds all genes of the reference's transcriptome that the bulk has,
    ``shared`` the reference's own among them. ``phi`` (sample,) is the counting noise per unit of
    expression, NaN where it is unknown; ``same_scale`` says whether a unit means the same in both.
    """

    whole: pd.DataFrame
    shared: pd.Index
    phi: Array
    same_scale: bool
    said: str
    alignment: Alignment


def align_bulk(
    bulk: pd.DataFrame, reference: Reference, *, assume_linear: bool, notes: Notes
) -> Aligned:
    """Check and align a bulk, and bring it to the reference's scale."""
    table = tidy_genes(checks.check_numeric(bulk, "bulk"), "bulk", notes)
    table = checks.check_expression(table, "bulk")
    if reference.scale != "exact":
        table = drop_spike_ins(table, "bulk", notes)
    scale = detect_scale(table)
    if scale.kind == "log" and detect_scale(reference.mean).kind == "log":
        scale = Scale("linear", "same range as the reference, which was given as linear")
    scale = require_linear(scale, "bulk", notes, assume_linear=assume_linear)
    table, shared, alignment = align(
        table,
        reference.genes,
        notes,
        at_least=len(reference.cell_types),
        known=None if reference.transcriptome is None else reference.transcriptome.index,
    )
    same_names = table.columns.intersection(reference.cell_types)
    if len(same_names):
        notes.warn(
            f"bulk samples and cell types share names ({checks.some(same_names)}): are bulk and "
            "reference swapped or the same table?"
        )
    whole, phi, same_scale, said = _one_scale(table, reference, shared, scale, notes)
    silent = whole.columns[(whole.loc[shared] == 0).all(axis=0)]
    if len(silent):
        raise InputError(
            "bulk",
            "every sample needs some expression among the reference's genes",
            found=f"only zeros in {checks.some(silent)}",
        )
    return Aligned(whole, shared, phi, same_scale, said, alignment)


def _one_scale(
    table: pd.DataFrame, reference: Reference, shared: pd.Index, scale: Scale, notes: Notes
) -> tuple[pd.DataFrame, Array, bool, str]:
    """Bulk on the reference's scale, its counting noise, and whether the scales agree."""
    y = table.loc[shared]
    if reference.scale == "exact":
        return y, np.full(y.shape[1], np.nan), True, "as given (exact moments)"
    totalled = reference.scale in ("counts", "per million")
    if totalled and reference.transcriptome is not None:
        common = reference.transcriptome.index[reference.transcriptome.index.isin(table.index)]
        share = reference.transcriptome.loc[common].sum() / reference.transcriptome.sum()
        if scale.kind in ("counts", "per million") or float(share.min()) > _FULL_COVERAGE:
            scaled, totals = per_million(table.loc[common])
            level = float(share.mean())
            phi = (1e6 / totals * level).to_numpy()
            if scale.kind != "counts":
                unit = counting_unit(table.loc[common])
                phi = (unit * 1e6 / totals * level).to_numpy()
            alike = (reference.scale == "counts") == (scale.kind == "counts")
            same = bool(share.min() > _FULL_COVERAGE) and alike
            said = f"per million of {len(common)} shared genes"
            if reference.scale == "counts" and scale.kind != "counts" and np.isnan(phi).any():
                notes.warn(
                    "the reference was made from counts and the bulk is not counts: gene lengths "
                    "may differ (TPM against CPM)"
                )
            if not alike:
                said += " (counts on one side only): size factor free"
            elif not same:
                said += f" ({share.min():.0%} of the reference's expression): size factor free"
            return scaled * level, phi, same, said
    if scale.kind == "counts":
        notes.warn(
            f"the bulk is counts and the reference is on a {reference.scale} scale: gene lengths "
            "may differ (counts against TPM)"
        )
        return y, np.ones(y.shape[1]), False, "bulk counts as they are, size factor free"
    return y, counting_unit(table).to_numpy(), False, "both as they are, size factor free"
