"""Moderation of variances: Smyth's model, a slow formula, and what it does not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

from bayesdecov.reference.variance import FALLBACK_CV, moderate


def smyth(n_genes, replicates, d0, seed):
    """Means and sample variances whose truth has a quadratic trend in the logarithm."""
    rng = np.random.default_rng(seed)
    replicates = np.array(replicates)
    mu = rng.lognormal(3, 1, (n_genes, len(replicates)))
    prior = np.exp(0.2 * np.log(mu) ** 2 + 0.5 * np.log(mu) - 2)
    sigma2 = prior if np.isinf(d0) else prior * d0 / rng.chisquare(d0, mu.shape)
    df = np.maximum(replicates - 1, 1)
    return mu, sigma2 * rng.chisquare(df, mu.shape) / df * (replicates > 1), replicates, prior


def slow(mu, s2, replicates):
    """One entry at a time; the quadratic by weighted normal equations."""
    points = [
        (np.log(mu[g, j]), s2[g, j], replicates[j] - 1)
        for g in range(len(mu))
        for j in range(mu.shape[1])
        if replicates[j] > 1 and s2[g, j] > 0
    ]
    x, v, d = np.array(points).T
    y = np.log(v) - digamma(d / 2) + np.log(d / 2)
    w = 1 / (polygamma(1, d / 2) + 0.1)
    V = np.vander(x, 3)
    trend = np.linalg.solve((V.T * w) @ V, (V.T * w) @ y)
    excess = np.mean((y - V @ trend) ** 2 - polygamma(1, d / 2))
    d0 = 2 * brentq(lambda half: polygamma(1, half) - excess, 1e-3, 1e5)
    found = np.empty_like(mu)
    for g in range(len(mu)):
        for j in range(mu.shape[1]):
            own = np.clip(np.log(mu[g, j]), x.min(), x.max())
            prior = np.exp(np.vander([own], 3)[0] @ trend) * (mu[g, j] / np.exp(own)) ** 2
            prior *= np.exp(digamma(d0 / 2) - np.log(d0 / 2))
            df = replicates[j] - 1
            found[g, j] = (d0 * prior + df * s2[g, j]) / (d0 + df)
    return found, d0


def test_moderated_variances_are_those_of_the_slow_formula():
    mu, s2, replicates, _ = smyth(150, (3, 6, 1), 5.0, 0)
    mu[7, 2] = 3 * mu[:, :2].max()  # above the range of what has variances
    found = moderate(mu, s2, replicates)
    expected, d0 = slow(mu, s2, replicates)
    assert found.prior_df == pytest.approx(d0, rel=1e-6)
    np.testing.assert_allclose(found.variances, expected, rtol=1e-6)


def test_unit_and_order_are_irrelevant():
    mu, s2, replicates, _ = smyth(200, (3, 5, 2), 4.0, 1)
    found = moderate(mu, s2, replicates)
    rng = np.random.default_rng(0)
    rows, types = rng.permutation(200), np.array([2, 0, 1])
    other = moderate(1e3 * mu[rows][:, types], 1e6 * s2[rows][:, types], replicates[types])
    assert other.prior_df == pytest.approx(found.prior_df)
    np.testing.assert_allclose(other.variances, 1e6 * found.variances[rows][:, types], rtol=1e-9)


def test_a_type_with_one_replicate_gets_the_trend():
    mu, s2, replicates, prior = smyth(4000, (6, 1), np.inf, 2)
    found = moderate(mu, s2, replicates)
    low, high = np.quantile(mu[:, 0], [0.01, 0.99])
    inside = (mu[:, 1] > low) & (mu[:, 1] < high) & (mu[:, 1] > 0.01 * mu[:, 0])
    ratio = np.log(found.variances[:, 1] / prior[:, 1])[inside]
    # a quadratic through 4,000 log variances of sd 0.7: standard errors of .01 to .05
    assert np.abs(ratio).max() < 0.15
    assert np.abs(np.median(ratio)) < 0.05
    again = moderate(mu, np.where(replicates > 1, s2, 99.0), replicates)
    np.testing.assert_array_equal(again.variances, found.variances)  # its variances are ignored


def test_many_replicates_speak_for_themselves():
    mu, s2, _, _ = smyth(500, (2000, 2000), 3.0, 3)
    found = moderate(mu, s2, np.array([2000, 2000]))
    np.testing.assert_allclose(found.variances, s2, rtol=0.02)


@pytest.mark.parametrize("replicates", [(1, 1), (3, 3)])
def test_without_any_variance_the_coefficient_of_variation_is_given(replicates):
    mu = np.array([[10.0, 0.0], [5.0, 1.0]])
    found = moderate(mu, np.zeros((2, 2)), np.array(replicates))
    expected = FALLBACK_CV * np.array([[10.0, 0.05], [5.0, 1.0]])  # a hundredth of the gene's mean
    np.testing.assert_allclose(found.variances, expected**2)
    assert np.isinf(found.prior_df)
    assert found.trend.startswith("no replicates")


def test_a_gene_without_variation_does_not_get_variance_zero():
    mu, s2, replicates, _ = smyth(100, (4, 4), 5.0, 4)
    s2[3] = 0.0
    found = moderate(mu, s2, replicates).variances
    assert (found[3] > 0).all()
    assert (found[3] < found[4:].max(axis=0)).all()


def test_moderation_recovers_the_prior():
    """Variances drawn from Smyth's model: d0 and the trend come back."""
    rng = np.random.default_rng(3)
    n_genes, df, d0 = 20_000, 4, 6.0
    mu = rng.lognormal(3, 1, (n_genes, 1))
    prior = 0.04 * mu**1.6
    sigma2 = prior * d0 / rng.chisquare(d0, (n_genes, 1))
    s2 = sigma2 * rng.chisquare(df, (n_genes, 1)) / df
    found = moderate(mu, s2, np.array([df + 1]))
    assert found.prior_df == pytest.approx(d0, rel=0.1)
    expected = (d0 * prior + df * s2) / (d0 + df)
    np.testing.assert_allclose(np.log(found.variances / expected), 0, atol=0.1)


def test_identical_variances_get_an_infinite_prior():
    rng = np.random.default_rng(4)
    s2 = 2.0 * rng.chisquare(5, (5000, 1)) / 5
    found = moderate(np.ones((5000, 1)) * 10, s2, np.array([6]))
    assert found.prior_df > 100 * polygamma(1, 1)
    np.testing.assert_allclose(found.variances, 2.0, rtol=0.1)
