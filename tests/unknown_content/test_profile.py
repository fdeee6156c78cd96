"""The foreign profile: an exact recovery, and what the anchor does not depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import bayesdecov as bd
from bayesdecov.errors import InputError
from bayesdecov.io.scale import per_million
from bayesdecov.unknown_content.cohort import observed
from bayesdecov.unknown_content.profile import anchored, regress
from bayesdecov.unknown_content.shares import from_below, regression


@pytest.fixture(scope="module")
def world():
    """A cohort without noise: y = B mu + w h, with foreign cells in half of the samples."""
    data = bd.simulate.tissue(30, 800, seed=2)
    reference = bd.Reference.from_samples(data.purified, data.labels, "diagonal", genes=150)
    rng = np.random.default_rng(0)
    whole, _ = per_million(data.bulk)
    cohort = observed(whole, np.ones(30), reference)
    share = np.repeat([0.0, 0.4], 15)
    B = rng.dirichlet(np.ones(8), 30) * (1 - share)[:, None]
    h = cohort.level * rng.lognormal(0, 0.7, len(cohort.level))
    y = B @ cohort.mu.T + share[:, None] * h
    return replace(cohort, y=y, phi=np.zeros(30)), B, share, h


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


def test_shares_are_those_that_made_the_bulks(world):
    cohort, B, share, h = world
    profile = regress(cohort, B, share)._replace(h=h, shift=0.0, error=0.0, between=1e-6 * h**2)
    found, a = regression(cohort, profile, B, share)
    np.testing.assert_allclose(found, B, atol=2e-4)
    np.testing.assert_allclose(a, share, atol=2e-4)


def test_the_lower_envelope_is_below_the_sum(world):
    cohort, B, share, _ = world
    found = from_below(cohort)
    known = share == 0
    np.testing.assert_allclose(found[known], B[known], atol=0.02)
    assert (found[~known].sum(axis=1) < 0.9).all()


def test_too_few_genes():
    data = bd.simulate.tissue(5, 90, {"a": ["T"], "b": ["B"]}, seed=2)
    reference = bd.Reference.from_samples(data.purified, data.labels, "diagonal", genes=20)
    whole, _ = per_million(data.bulk)
    with pytest.raises(InputError, match="other: needs 50 genes"):
        observed(whole.iloc[:40], np.ones(5), reference)
