"""The prior of variances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import polygamma

from bayesdecov.algebra.moderation import inverse_trigamma, moderated, variance_prior


@pytest.mark.parametrize("x", [0.01, 0.5, 3.0, 400.0])
def test_inverse_trigamma(x):
    np.testing.assert_allclose(inverse_trigamma(float(polygamma(1, x))), x, rtol=1e-8)


def test_prior_is_recovered():
    rng = np.random.default_rng(1)
    sigma2 = 2.0 * 6 / rng.chisquare(6, 20_000)
    s2 = sigma2 * rng.chisquare(14, 20_000) / 14
    prior = variance_prior(s2, 14)
    assert abs(prior.df / 6 - 1) < 0.06
    assert abs(prior.location / 2.0 - 1) < 0.03
    better = np.mean(np.log(moderated(s2, 14, prior) / sigma2) ** 2)
    assert better < 0.8 * np.mean(np.log(s2 / sigma2) ** 2)


def test_equal_variances_are_pooled():
    rng = np.random.default_rng(2)
    s2 = 3.0 * rng.chisquare(20, 5000) / 20
    prior = variance_prior(s2, 20)
    assert prior.df > 300
    np.testing.assert_allclose(moderated(s2, 20, prior), 3.0, rtol=0.15)


def test_genes_that_are_fitted_exactly_do_not_decide():
    rng = np.random.default_rng(3)
    s2 = 2.0 * 6 / rng.chisquare(6, 2000) * rng.chisquare(14, 2000) / 14
    clean = variance_prior(s2, 14)
    s2[:2] = [0.0, 1e-33]
    assert abs(variance_prior(s2, 14).df / clean.df - 1) < 0.3
