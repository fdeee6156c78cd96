"""The level and the genes' factors: found where they are, none where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.platform.cut import learn_platform
from bayesdecov.platform.draws import draw_factors, moved_by
from bayesdecov.platform.positive import Profiles
from bayesdecov.platform.rounds import Bulks, fit_mixtures

N, G, J = 30, 250, 5


def cohort(tau, *, n=N, seed=0, outliers=0, noise=0.2, background=0.0):
    rng = np.random.default_rng(seed)
    mu = rng.lognormal(3, 1, (G, 1)) * np.exp(0.2 * rng.normal(size=(G, J)))
    mu[np.arange(G), np.arange(G) % J] *= 8
    p = rng.dirichlet([8, 4, 3, 2, 1], n)
    log_a = tau * rng.normal(size=G)
    log_a[:outliers] += 3
    mean = np.exp(log_a) * (p @ mu.T) + background * mu.mean()
    y = mean * np.exp(noise * rng.normal(size=mean.shape) - noise**2 / 2)
    matrix = np.column_stack([mu, np.full(G, mu.mean())])
    return Bulks(y, None, np.full(n, 1e-3)), Profiles(matrix, J), p, log_a


def proportions(log_q):
    q = np.exp(log_q[..., :J])
    return q / q.sum(axis=-1, keepdims=True)


def test_factors_of_genes_are_found():
    bulks, profiles, p, log_a = cohort(0.5)
    platform, mixture = learn_platform(bulks, profiles)
    assert platform.tau == pytest.approx(0.5, rel=0.2)
    # a common factor is the size's
    error = platform.shifts.log - log_a + log_a.mean() - platform.shifts.log.mean()
    assert error.std() < 0.15
    found = proportions(mixture.coefficients.log_q)
    blind = proportions(fit_mixtures(bulks, profiles).coefficients.log_q)
    assert np.sqrt(((found - p) ** 2).mean()) < 0.8 * np.sqrt(((blind - p) ** 2).mean())


def test_no_factors_where_there_are_none():
    bulks, profiles, p, _ = cohort(0.0)
    platform, mixture = learn_platform(bulks, profiles)
    assert platform.tau < 0.05
    assert np.abs(platform.shifts.log).max() < 0.2
    assert np.sqrt(((proportions(mixture.coefficients.log_q) - p) ** 2).mean()) < 0.01


def test_outliers_have_small_weights():
    bulks, profiles, _, _ = cohort(0.2, outliers=15)
    shifts = learn_platform(bulks, profiles)[0].shifts
    assert shifts.weight[:15].max() < 0.2
    assert np.median(shifts.weight[15:]) > 0.9
    assert (shifts.log[:15] > 2).all()


def test_differences_between_samples_hardly_feel_the_factors():
    bulks, profiles, p, _ = cohort(1.0)
    found = proportions(learn_platform(bulks, profiles)[1].coefficients.log_q)
    level = found.mean(axis=0) - p.mean(axis=0)
    rest = (found - p) - level
    assert np.sqrt((rest**2).mean()) < 0.6 * np.sqrt((level**2).mean()) + 0.02


def test_background_is_a_column_of_its_own():
    bulks, profiles, p, _ = cohort(0.0, background=0.5)
    with_column = proportions(learn_platform(bulks, profiles)[1].coefficients.log_q)
    without = Profiles(profiles.matrix[:, :J], J)
    blind = proportions(learn_platform(bulks, without)[1].coefficients.log_q)
    assert np.abs(with_column - p).mean() < 0.5 * np.abs(blind - p).mean()


@pytest.mark.parametrize("n", [1, 2])
def test_few_samples_have_a_law_and_no_factors(n):
    platform, mixture = learn_platform(*cohort(0.5, n=n)[:2])
    assert platform.level is None
    assert (platform.shifts.log == 0).all()
    assert platform.law.c2 > 0.05
    factors = draw_factors(platform, 7, np.random.default_rng(0))
    assert (moved_by(factors, platform, mixture) == 0).all()


def test_names_and_order_do_not_matter():
    bulks, profiles, _, _ = cohort(0.5)
    rng = np.random.default_rng(1)
    genes, samples, types = rng.permutation(G), rng.permutation(N), rng.permutation(J)
    one = learn_platform(bulks, profiles)
    two = learn_platform(
        Bulks(bulks.y[samples][:, genes], None, bulks.phi[samples]),
        Profiles(profiles.matrix[genes][:, [*types, J]], J),
    )
    np.testing.assert_allclose(two[0].shifts.log, one[0].shifts.log[genes], atol=2e-3)
    np.testing.assert_allclose(
        proportions(two[1].coefficients.log_q),
        proportions(one[1].coefficients.log_q)[samples][:, types],
        atol=1e-3,
    )


def test_units_do_not_matter():
    bulks, profiles, _, _ = cohort(0.5)
    one = learn_platform(bulks, profiles)
    two = learn_platform(Bulks(bulks.y * 1e3, None, bulks.phi * 1e3), profiles)
    np.testing.assert_allclose(two[0].tau, one[0].tau, rtol=0.01)
    np.testing.assert_allclose(
        proportions(two[1].coefficients.log_q), proportions(one[1].coefficients.log_q), atol=1e-3
    )


def test_draws_are_common_to_all_samples():
    """Levels move together; factors that move one gene move what that gene is for."""
    bulks, profiles, p, _ = cohort(0.6)
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
    from bayesdecov.platform.positive import fit_positive

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
