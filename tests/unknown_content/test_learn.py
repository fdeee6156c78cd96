"""Unknown cells learned from a cohort: shares without noise, and what they do not depend on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bayesdecov.unknown_content import learn as module
from bayesdecov.unknown_content.learn import learn
from bayesdecov.unknown_content.profile import anchored, regress


@pytest.fixture(autouse=True)
def few_replicates(monkeypatch):
    monkeypatch.setattr(module, "_REPLICATES", 2)


def test_foreign_cells_are_found_where_they_are(world):
    cohort, _, share, _ = world
    found = learn(cohort, np.random.default_rng(0))
    here = share > 0
    assert np.corrcoef(found.share, share)[0, 1] > 0.98
    assert found.share[~here].max() < 0.1
    assert found.share[here].min() > 0.2
    assert found.replicates.shape == (2, 30)
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


def test_known_and_foreign_shares_add_up_to_one_whatever_the_first_guess(world):
    cohort, B, share, _ = world
    found = [
        module._alternate(cohort, B, np.clip(factor * share, 1e-3, 0.95), 15)
        for factor in (0.4, 1.0, 2.0)
    ]
    for state in found:
        np.testing.assert_allclose((state.B.sum(axis=1) + state.w)[share > 0], 1, atol=0.02)
    np.testing.assert_allclose(
        found[0].profile.h, found[1].profile.h, atol=0.03 * found[1].profile.h.max()
    )


def test_a_new_level_rescales_the_profile_with_its_variances(world):
    cohort, B, share, _ = world
    guess = np.clip(0.5 * share, 1e-3, 0.95)
    before = regress(cohort, B, guess)
    h = anchored(cohort, before.h)
    state = module._alternate(cohort, B, guess, 1)
    level = h.sum() / state.profile.h.sum()
    assert abs(np.log(level)) > 0.3
    np.testing.assert_allclose(state.profile.h * level, h)
    np.testing.assert_allclose(state.profile.error * level**2, before.error)
    np.testing.assert_allclose(state.profile.between * level**2, before.between)


def test_all_samples_get_a_share_though_few_are_learned_from(world, monkeypatch):
    cohort, _, share, _ = world
    monkeypatch.setattr(module, "_LEARNED", 20)
    found = learn(cohort, np.random.default_rng(2))
    assert found.learned_from == 20
    assert found.share.shape == (30,)
    assert np.corrcoef(found.share, share)[0, 1] > 0.97


def test_the_same_seed_gives_the_same_answer(world):
    one, other = (learn(world[0], np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one.replicates, other.replicates)
    np.testing.assert_array_equal(one.share, other.share)
