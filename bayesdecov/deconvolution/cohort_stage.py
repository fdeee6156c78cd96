"""Quantities learned from the whole cohort before its samples are fitted one by one.

The stage stands between the alignment and the fits of single samples. It uses all bulks at once and
returns the reference for all fits, and what it has learned about single samples.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayesdecov.algebra.terms import Array
from bayesdecov.deconvolution.align import Aligned
from bayesdecov.errors import InputError, Notes
from bayesdecov.reference.reference import Reference
from bayesdecov.unknown_content.cohort import observed
from bayesdecov.unknown_content.extended import OTHER, log_odds_shifts, with_profile
from bayesdecov.unknown_content.learn import learn


class Learned(NamedTuple):
    """The samples' common reference, and shared shifts (replicate, sample, cell_type)."""

    reference: Reference
    shared_shift: Array | None = None


def learn_from_cohort(
    aligned: Aligned,
    reference: Reference,
    *,
    free_size: bool,
    other: np.random.Generator | None,
    notes: Notes,
) -> Learned:
    """Learn what cannot be learned from single bulks.

    ``other`` is given where cells that are absent from the reference form a type of their own.
    """
    if other is None:
        return Learned(reference)
    return _with_other(aligned, reference, free_size, other, notes)


def _with_other(
    aligned: Aligned, reference: Reference, free: bool, rng: np.random.Generator, notes: Notes
) -> Learned:
    """The reference with a cell type learned from the cohort, and its resampling uncertainty."""
    if free:
        raise InputError(
            "other",
            "needs bulk and reference on one scale: a share missing from the total cannot "
            "be estimated where the total is free",
            found=aligned.said,
            fix="give counts or TPM of all genes for both, or size_factor='fixed' if a unit "
            "means the same in both",
        )
    if OTHER in reference.cell_types:
        raise InputError(
            "other", f"a cell type of the reference is called {OTHER!r} already", fix="rename it"
        )
    cohort = observed(aligned.whole, aligned.phi, reference)
    found = learn(cohort, rng)
    extended = with_profile(reference, cohort, found.profile)
    low, high = np.quantile(found.replicates.mean(axis=1), [0.025, 0.975])
    notes.info(
        f"other cells: profile learned from {found.learned_from} samples and {len(cohort.genes)} "
        f"genes, {len(extended.genes) - len(reference.genes)} of which were added to the "
        f"reference's; mean share {found.share.mean():.1%}, {low:.1%} to {high:.1%} in "
        f"{len(found.replicates)} resampled cohorts"
    )
    shift = log_odds_shifts(found.share, found.replicates, len(extended.cell_types))
    return Learned(extended, shift)
