"""The simultaneous band holds uniform ranks as often as it says, and no others."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.calibration.bands import band, ecdf, uniformity


@pytest.mark.parametrize("n", [50, 200])
def test_level(n):
    rng = np.random.default_rng(1)
    ranks = rng.integers(0, 100, (n, 3000))
    limit = band(n, 99, alpha=0.05, seed=7).gamma
    smallest, _ = uniformity(ranks, 99)
    outside = np.mean(smallest < limit)
    # counts are whole numbers, so the level is at most the nominal one, and not far below
    assert 0.02 < outside < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 3000)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda u: u**1.4,
        lambda u: 0.5 + 0.7 * (u - 0.5),
        lambda u: np.clip(0.5 + 1.5 * (u - 0.5), 0, 0.999),
    ],
    ids=["biased", "too wide", "too narrow"],
)
def test_wrong_posteriors_are_found(wrong):
    rng = np.random.default_rng(2)
    ranks = (100 * wrong(rng.uniform(size=(400, 1)))).astype(int)
    smallest, limits = uniformity(ranks, 99)
    assert smallest[0] < limits.gamma


def test_ecdf_and_limits():
    ranks = np.array([[0], [0], [5], [9]])
    np.testing.assert_allclose(ecdf(ranks, 9)[[0, 4, 5, 8], 0], [0.5, 0.5, 0.75, 0.75])
    limits = band(100, 9)
    assert (limits.low < limits.points).all()
    assert (limits.points < limits.high).all()
