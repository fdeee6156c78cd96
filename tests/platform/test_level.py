"""The mean bulk as one mixture: level, scale and tails found; skewed factors do not enlarge it."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.platform.level import fit_level
from bayesdecov.platform.positive import rough
from tests.platform.cohorts import J, cohort


def fitted(tau, seed=0, **options):
    bulks, profiles, p, _ = cohort(tau, seed=seed, **options)
    mean = bulks.y.mean(axis=0)
    start = rough(mean[None], profiles.matrix)[0]
    return fit_level(mean, profiles, start, 0.5), p.mean(axis=0)


def test_without_factors_the_level_is_that_of_the_cohort():
    found, p = fitted(0.0)
    np.testing.assert_allclose(np.exp(found.log_q[:J]), p, atol=0.02)
    assert found.c2 < 0.05**2


def test_factors_do_not_make_everything_larger():
    sizes, z = [], []
    for seed in range(12):
        found, p = fitted(0.8, seed)
        q = np.exp(found.log_q[:J])
        sizes.append(np.log(q.sum()))
        sd = np.sqrt(np.diag(np.linalg.inv(found.information)))[:J]
        z.append((found.log_q[:J] - np.log(p)) / sd)
    assert abs(np.mean(sizes)) < 3 * np.std(sizes) / np.sqrt(len(sizes)) + 0.03
    assert 0.6 < np.std(z) < 1.5


def test_the_scale_is_that_of_the_factors():
    found, _ = fitted(0.5)
    assert np.sqrt(found.c2) == pytest.approx(0.5, rel=0.2)


def test_outliers_weigh_little():
    found, _ = fitted(0.2, outliers=15)
    assert found.weights[:15].max() < 0.2
    assert found.nu < 10
