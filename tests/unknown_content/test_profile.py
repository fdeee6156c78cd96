"""The foreign profile: an exact recovery, and what the anchor does not depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bayesdecov.unknown_content.profile import anchored, regress


def test_the_profile_is_what_is_left(world):
    cohort, B, share, h = world
    found = regress(cohort, B, share)
    assert np.median(np.abs(found.h / h - 1)) < 0.02
    assert np.median(np.abs(found.shift / cohort.level)) < 0.002


def test_what_all_samples_share_is_a_shift_and_not_foreign(world):
    cohort, B, share, h = world
    error = 0.05 * cohort.mu.mean(axis=1) * np.random.default_rng(1).normal(size=len(h))
    moved = replace(cohort, y=cohort.y + error)
    found = regress(moved, B, share)
    assert np.corrcoef(found.shift, error)[0, 1] > 0.95
    assert np.median(np.abs(found.h / h - 1)) < 0.1


def test_the_anchor_removes_what_known_cells_express(world):
    cohort, _, _, h = world
    plain = anchored(cohort, h)
    b = np.linspace(0, 0.3, cohort.n_types)
    np.testing.assert_allclose(anchored(cohort, h + cohort.mu @ b), plain, atol=0.02 * h.max())
    for j in range(cohort.n_types):  # markers are like other genes of the same level
        ratio = plain / cohort.level
        marks = cohort.owner == j
        at, others = (np.quantile(ratio[rows], 0.25) for rows in (marks, ~marks))
        assert at == pytest.approx(others, abs=0.03)
