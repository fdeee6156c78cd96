"""Shares of a denominator and draws that hold counting and seeds."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.gating import Box, Composition, Gate, Hierarchy
from bayesdecov.gating.composition import Tally, draw, overlap, shares, tally


def tree(of="all", types=("a", "b"), rest="rest"):
    box = Box(0, 1, 0, 1)
    gates = tuple(Gate(name, "x", "y", box) for name in ("live", "a", "b"))
    return Hierarchy(gates, composition=Composition(of, types, rest))


INSIDE = np.array([
    [1, 1, 1, 1, 1, 1, 0, 0],  # live
    [1, 1, 1, 0, 0, 0, 1, 0],  # a, once outside of live
    [0, 0, 1, 1, 0, 0, 0, 0],  # b, once with a
], dtype=bool)  # fmt: skip


def test_cells_of_the_denominator():
    counted = tally(tree("live"), INSIDE)
    assert counted == Tally(6, {0: 2, 1: 2, 2: 1, 3: 1}, 1)
    assert overlap(counted) == 1
    assert shares(counted, 2, rest=True).tolist() == [3 / 6, 2 / 6, 2 / 6]
    assert shares(tally(tree(), INSIDE), 2, rest=False).tolist() == [4 / 8, 2 / 8]


def test_draws_have_the_moments_of_the_counts():
    """Mean and variance of the Dirichlet law, in Monte-Carlo standard errors."""
    counted = Tally(1000, {0: 100, 1: 600, 2: 300}, 0)
    drawn = draw([counted], 2, rest=True, draws=20_000, rng=np.random.default_rng(1))
    alpha = np.array([600.5, 300.5, 100.5])
    mean = alpha / alpha.sum()
    variance = mean * (1 - mean) / (alpha.sum() + 1)
    assert np.abs((drawn.mean(axis=0) - mean) / np.sqrt(variance / 20_000)).max() < 4
    assert np.abs(drawn.var(axis=0) / variance - 1).max() < 4 * np.sqrt(2 / 20_000)
    assert drawn.sum(axis=1) == pytest.approx(1)


def test_seeds_take_turns():
    counted = [Tally(10_000, {1: 2000, 0: 8000}, 0), Tally(10_000, {1: 4000, 0: 6000}, 0)]
    drawn = draw(counted, 1, rest=True, draws=400, rng=np.random.default_rng(2))
    assert drawn[::2, 0].max() < 0.3 < drawn[1::2, 0].min()


def test_overlap_counts_for_both():
    counted = Tally(100, {3: 50, 0: 50}, 0)
    drawn = draw([counted], 2, rest=True, draws=2000, rng=np.random.default_rng(3))
    assert (drawn.sum(axis=1) > 1).all()
    assert drawn[:, 0].mean() == pytest.approx(0.5, abs=0.01)


def test_no_denominator_no_proportions():
    empty = Tally(0, {}, 3)
    assert np.isnan(shares(empty, 2, rest=True)).all()
    assert np.isnan(draw([empty], 2, rest=True, draws=5, rng=np.random.default_rng(0))).all()
