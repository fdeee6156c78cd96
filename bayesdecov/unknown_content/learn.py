"""Unknown cells of a cohort: profile and shares, estimated in turn, and their uncertainty.

The reference's unit fixes the level: known and unknown shares of every sample sum to one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra.terms import Array
from bayesdecov.unknown_content.cohort import ObservedCohort
from bayesdecov.unknown_content.profile import Profile, anchored, regress
from bayesdecov.unknown_content.shares import from_below, regression

_ROUNDS, _AGAIN = 15, 5
_LEARNED = 200  # samples that the profile is learned from, at most
_REPLICATES = 20
_LEAST, _MOST = 1e-3, 0.95
_LEVEL = (0.02, 10.0)


class Foreign(NamedTuple):
    """Unknown cells: their profile, shares of all samples, and shares in resampled cohorts."""

    profile: Profile
    share: Array  # (sample,)
    replicates: Array  # (replicate, sample)
    learned_from: int


class _State(NamedTuple):
    B: Array
    w: Array
    profile: Profile


def learn(cohort: ObservedCohort, rng: np.random.Generator) -> Foreign:
    """Profile and shares, with their uncertainty from a bootstrap of genes and samples."""
    n = len(cohort.y)
    rows = np.sort(rng.permutation(n)[:_LEARNED])
    some = cohort.take_samples(rows)
    B = from_below(some)
    state = _alternate(some, B, np.clip(1 - B.sum(axis=1), _LEAST, _MOST), _ROUNDS)
    replicates = np.stack([_resampled(cohort, some, state, rng) for _ in range(_REPLICATES)])
    return Foreign(state.profile, _all_shares(cohort, state), replicates, len(rows))


def _alternate(cohort: ObservedCohort, B: Array, w: Array, rounds: int) -> _State:
    """Estimate profile from shares and shares from profile, in turn."""
    for _ in range(rounds):
        profile = regress(cohort, B, w)
        profile = profile._replace(h=anchored(cohort, profile.h))
        B, a = regression(cohort, profile, B, w)
        gap, square = 1 - B.sum(axis=1), np.square(a).sum()
        level = float(np.clip((a * gap).sum() / square, *_LEVEL)) if square > 1e-6 else 1.0
        w = np.clip(level * a, _LEAST, _MOST)
        profile = profile._replace(
            h=profile.h / level, error=profile.error / level**2, between=profile.between / level**2
        )
    return _State(B, w, profile)


def _all_shares(cohort: ObservedCohort, state: _State) -> Array:
    """Shares of all samples, given the profile."""
    n = len(cohort.y)
    B, w = np.tile(state.B.mean(axis=0), (n, 1)), np.full(n, state.w.mean())
    for _ in range(4):
        B, a = regression(cohort, state.profile, B, w)
        w = np.clip(a, _LEAST, _MOST)
    return np.clip(a, 0.0, _MOST)


def _resampled(
    cohort: ObservedCohort, some: ObservedCohort, state: _State, rng: np.random.Generator
) -> Array:
    """Shares of all samples, from resampled genes and samples."""
    n, n_genes = some.y.shape
    genes: NDArray[np.intp] = rng.integers(n_genes, size=(n_genes,))
    samples: NDArray[np.intp] = rng.integers(n, size=(n,))
    drawn = some.take_genes(genes)
    again = _alternate(drawn.take_samples(samples), state.B[samples], state.w[samples], _AGAIN)
    return _all_shares(cohort.take_genes(genes), again)
