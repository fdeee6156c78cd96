"""The level and the genes' factors: found where they are, none where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.platform.cut import learn_platform
from bayesdecov.platform.draws import draw_factors, moved_by
from bayesdecov.platform.positive import Profiles
from bayesdecov.platform.rounds import Expression, fit_mixtures
from tests.platform.cohorts import G, J, N, cohort, proportions


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
        Expression(bulks.y[samples][:, genes], None, bulks.phi[samples]),
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
    two = learn_platform(Expression(bulks.y * 1e3, None, bulks.phi * 1e3), profiles)
    np.testing.assert_allclose(two[0].tau, one[0].tau, rtol=0.01)
    np.testing.assert_allclose(
        proportions(two[1].coefficients.log_q), proportions(one[1].coefficients.log_q), atol=1e-3
    )
