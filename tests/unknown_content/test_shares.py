"""Shares of known types and of a profile: against scipy's regression sample by sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import nnls

from bayesdecov.unknown_content.profile import Profile, regress, variance
from bayesdecov.unknown_content.shares import from_below, regression


def test_the_regression_is_non_negative_least_squares_of_every_sample(world):
    cohort, B, share, h = world
    rng = np.random.default_rng(2)
    noisy = replace(cohort, y=cohort.y * rng.lognormal(0, 0.3, cohort.y.shape))
    genes = len(h)
    profile = Profile(
        h,
        rng.gamma(2, 1, genes) * h,
        rng.gamma(2, 1, genes) * h**2,
        0.1 * h * rng.normal(size=genes),
        0.05 * h**2,
    )
    found, a = regression(noisy, profile, B, share)
    spread = variance(noisy, B)
    at_zero = 0
    for i in range(30):
        total = spread[i] + profile.shift_error + share[i] ** 2 * (profile.between + profile.error)
        root = 1 / np.sqrt(total)
        X = np.column_stack([cohort.mu, h]) * root[:, None]
        expected = nnls(X, (noisy.y[i] - profile.shift) * root)[0]
        np.testing.assert_allclose(np.append(found[i], a[i]), expected, atol=1e-6)
        at_zero += (expected == 0).sum()
    assert at_zero > 0  # the bound matters


def test_the_order_of_genes_and_samples_is_irrelevant(world):
    cohort, B, share, h = world
    profile = regress(cohort, B, share)
    found, a = regression(cohort, profile, B, share)
    rng = np.random.default_rng(3)
    genes, samples = rng.permutation(len(h)), rng.permutation(30)
    moved = cohort.take_genes(genes).take_samples(samples)
    shuffled = Profile(*(part[genes] for part in profile))
    again, b = regression(moved, shuffled, B[samples], share[samples])
    np.testing.assert_allclose(again, found[samples], atol=1e-7)
    np.testing.assert_allclose(b, a[samples], atol=1e-7)
    np.testing.assert_allclose(from_below(moved), from_below(cohort)[samples], atol=1e-6)


def test_the_unit_of_expression_is_irrelevant(world):
    cohort = replace(world[0], phi=np.full(30, 0.5 * world[0].y.mean()))
    other = replace(
        cohort, y=7 * cohort.y, mu=7 * cohort.mu, phi=7 * cohort.phi, level=7 * cohort.level
    )
    np.testing.assert_allclose(from_below(other), from_below(cohort), atol=1e-7)


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
