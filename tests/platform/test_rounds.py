"""Proportions and noise in turn."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.platform.rounds import Expression, fit_mixtures
from tests.platform.cohorts import G, J, cohort, proportions


def test_the_fixed_point_does_not_depend_on_the_start():
    bulks, profiles, p, _ = cohort(0.2)
    one = fit_mixtures(bulks, profiles)
    even = np.zeros((len(p), J + 1))
    two = fit_mixtures(bulks, profiles, start=even, rounds=20)
    np.testing.assert_allclose(
        proportions(one.coefficients.log_q), proportions(two.coefficients.log_q), atol=2e-3
    )
    assert one.noise.law.c2 == pytest.approx(two.noise.law.c2, rel=0.02)


def test_scatter_is_the_data_s():
    bulks, profiles, _, _ = cohort(0.0, noise=0.3)
    law = fit_mixtures(bulks, profiles).noise.law
    sd = np.sqrt(law.c2 * law.nu / (law.nu - 2))  # of a t with this scale
    assert sd == pytest.approx(0.3, rel=0.1)


def test_intervals_hold_where_the_law_is_right():
    """Wald intervals of log-coefficients of types that are there, law and noise learned."""
    z = []
    for seed in range(8):
        bulks, profiles, p, _ = cohort(0.0, n=12, seed=seed)
        log_q, information = fit_mixtures(bulks, profiles).coefficients
        sd = np.sqrt(np.einsum("njj->nj", np.linalg.inv(information)))[:, :J]
        there = p > 0.1
        z.append(((log_q[:, :J] - np.log(p)) / sd)[there])
    z = np.concatenate(z)
    assert (np.abs(z) < 1.96).mean() == pytest.approx(0.95, abs=3 * np.sqrt(0.05 / len(z)))


def test_what_replicates_show_is_not_learned_again():
    """Variances of the reference take their part of the scatter."""
    bulks, profiles, _, _ = cohort(0.0)
    mu = profiles.matrix[:, :J]
    without = fit_mixtures(bulks, profiles).noise.law
    given = fit_mixtures(bulks._replace(variances=(0.2 * mu) ** 2), profiles).noise.law
    assert given.c2 < 0.7 * without.c2


def test_a_mean_of_samples_has_no_counting_noise():
    bulks, profiles, _, _ = cohort(0.3)
    mean = Expression(bulks.y.mean(axis=0, keepdims=True), None, None)
    found = fit_mixtures(mean, profiles, genes=False, counts=False)
    V = found.variance[0]
    law = found.noise.law
    np.testing.assert_allclose(V, law.c2 * found.mean[0] ** 2 + law.b2, rtol=0.05)
    assert (found.noise.gene == np.ones(G)).all()
