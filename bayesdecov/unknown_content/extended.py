"""A reference with one more cell type, and the effect of its uncertainty on proportions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from bayesdecov.algebra.terms import Array
from bayesdecov.reference.reference import Reference
from bayesdecov.unknown_content.cohort import ObservedCohort
from bayesdecov.unknown_content.profile import Profile

OTHER = "other"
_MARKER = 2.0  # times higher in unknown cells than in any other
_FLOOR = 0.01  # of the level of an ordinary cell: no gene is certain to be silent
_SEEN = 0.002  # a lower share cannot be distinguished from zero


def with_profile(reference: Reference, cohort: ObservedCohort, profile: Profile) -> Reference:
    """The reference with `OTHER`, its markers, and means shifted by the cohort's common deviation.

    Unknown cells get as many marker genes as a known cell type has on average.
    """
    genes, names = reference.genes, list(reference.cell_types)
    at = cohort.genes.get_indexer(genes)
    ratio = profile.h / (cohort.mu.max(axis=1) + cohort.level)
    ratio[at[at >= 0]] = 0.0
    best = np.argsort(-ratio, kind="stable")[: max(1, len(genes) // len(names))]
    new = np.sort(best[ratio[best] > _MARKER])
    rows = np.concatenate([at, new])
    h = np.maximum(profile.h, _FLOOR * cohort.level)[rows]
    known = np.vstack([reference.mean.to_numpy(), cohort.mu[new]])
    # proportions sum to one: adding to every mean adds the same to every mixture
    shifted = np.maximum(known + profile.shift[rows, None], 0.0)
    counting = np.nan_to_num(reference.counting.to_numpy())
    of_genes = cohort.relative_variance * cohort.mu[new] ** 2 + cohort.mu[new] * counting
    of_genes = np.maximum(of_genes, np.square(_FLOOR * cohort.level[new])[:, None])
    of_type = (profile.between + profile.error)[rows]
    index = genes.append(cohort.genes[new])
    one = pd.Series
    return replace(
        reference,
        mean=pd.DataFrame(np.column_stack([shifted, h]), index, [*names, OTHER]),
        covariance=reference.covariance.extended(of_genes, of_type),
        replicates=pd.concat([reference.replicates, one({OTHER: 0})]),
        counting=pd.concat([reference.counting, one({OTHER: 0.0})]),
        transcriptome=None,
        profiles=None,
        labels=None,
        donors=None,
        settings=reference.settings | {"other": "learned from the bulk"},
    )


def log_odds_shifts(share: Array, replicates: Array, n_types: int) -> Array:
    """Shifts of log-proportions (replicate, sample, cell_type): of `OTHER`, the last type, alone.

    They are the differences of its log-odds between resampled cohorts (replicate, sample) and the
    shares.
    """
    shift = np.zeros((*replicates.shape, n_types))
    shift[:, :, -1] = _log_odds(replicates) - _log_odds(share)
    return shift


def _log_odds(share: Array) -> Array:
    inside = np.clip(share, _SEEN, 1 - _SEEN)
    return np.asarray(np.log(inside) - np.log1p(-inside))
