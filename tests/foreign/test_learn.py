"""Foreign cells learned from a cohort: shares without noise, and what they do not depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bayesdecov.foreign import learn as module
from bayesdecov.foreign.learn import learn


@pytest.fixture(autouse=True)
def few_replicates(monkeypatch):
    monkeypatch.setattr(module, "_REPLICATES", 4)


def test_foreign_cells_are_found_where_they_are(world):
    cohort, _, share, _ = world
    found = learn(cohort, np.random.default_rng(0))
    here = share > 0
    assert np.corrcoef(found.share, share)[0, 1] > 0.98
    assert found.share[~here].max() < 0.1
    assert found.share[here].min() > 0.2
    assert found.replicates.shape == (4, 30)
    assert found.learned_from == 30
    assert ((found.replicates >= 0) & (found.replicates <= 0.95)).all()
    assert all(np.corrcoef(row, share)[0, 1] > 0.95 for row in found.replicates)


def test_the_unit_of_expression_is_irrelevant(world):
    """Shares do not change, and the profile comes in the new unit."""
    cohort = world[0]
    other = replace(cohort, y=7 * cohort.y, mu=7 * cohort.mu, level=7 * cohort.level)
    one, two = (learn(c, np.random.default_rng(1)) for c in (cohort, other))
    np.testing.assert_allclose(two.share, one.share, atol=1e-6)
    np.testing.assert_allclose(two.profile.h, 7 * one.profile.h, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(two.profile.error, 49 * one.profile.error, rtol=1e-4, atol=1e-4)


def test_all_samples_get_a_share_though_few_are_learned_from(world, monkeypatch):
    cohort, _, share, _ = world
    monkeypatch.setattr(module, "_LEARNED", 20)
    found = learn(cohort, np.random.default_rng(2))
    assert found.learned_from == 20
    assert found.share.shape == (30,)
    assert np.corrcoef(found.share, share)[0, 1] > 0.97


def test_the_same_seed_gives_the_same_answer(world):
    one, other, third = (learn(world[0], np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.replicates, other.replicates)
    assert (one.replicates != third.replicates).any()
    # other genes and samples in the replicates only
    np.testing.assert_allclose(one.share, third.share, atol=1e-6)
