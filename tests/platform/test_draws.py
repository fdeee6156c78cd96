"""Draws that all samples share: common to them, and as large as a second fit would move."""

from __future__ import annotations

import numpy as np

from bayesdecov.platform.cut import learn_platform
from bayesdecov.platform.draws import draw_factors, moved_by
from bayesdecov.platform.positive import fit_positive
from tests.platform.cohorts import G, J, N, cohort, proportions


def test_draws_are_common_to_all_samples():
    """Levels move together; factors that move one gene move what that gene is for."""
    bulks, profiles, _, _ = cohort(0.6)
    platform, mixture = learn_platform(bulks, profiles)
    factors = draw_factors(platform, 400, np.random.default_rng(0))
    moved = moved_by(factors, platform, mixture)
    assert moved.shape == (400, N, J + 1)
    big = moved[:, :, 0]  # of the largest type
    correlation = np.corrcoef(big.T)
    assert np.median(correlation) > 0.9
    # the level's own standard deviation comes back in the samples
    drawn = proportions(mixture.coefficients.log_q + moved).mean(axis=1)
    q = platform.level.log_q
    rng = np.random.default_rng(1)
    level = proportions(rng.multivariate_normal(q, platform.level.covariance, 4000))
    np.testing.assert_allclose(drawn.std(axis=0)[:4], level.std(axis=0)[:4], rtol=0.25)


def test_a_factor_moves_as_a_fit_would():
    """First order: profiles changed a little, fitted again with the same weights."""
    bulks, profiles, _, _ = cohort(0.3)
    platform, mixture = learn_platform(bulks, profiles)
    step = 0.01 * np.random.default_rng(0).normal(size=(1, G))
    weights = mixture.noise.weights / mixture.variance
    changed = platform.profiles.scaled(np.exp(step[0]))
    again = fit_positive(bulks.y, changed, weights, mixture.coefficients.log_q, 0.5)
    expected = (again.log_q - mixture.coefficients.log_q)[:, :J]
    moved = moved_by(step, platform, mixture)[0][:, :J]
    present = proportions(mixture.coefficients.log_q) > 0.05
    np.testing.assert_allclose(moved[present], expected[present], atol=3e-3)
