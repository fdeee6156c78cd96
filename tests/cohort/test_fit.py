"""The fast path: exact log-ratios, draws, many samples, and samples of which little is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesdecov.cohort import fit
from bayesdecov.cohort.fit import (
    INTERCEPT_SD,
    SLOPE_SD,
    CohortDraws,
    fast,
    prior_of,
    with_shared_errors,
)
from bayesdecov.cohort.measured import Measured
from bayesdecov.errors import BayesdecovWarning, Notes
from bayesdecov.sampling import Sampling

HOW = Sampling(draws=300, tune=150, chains=2)


def cohort(n, draws, seed, noise=0.15, d=2):
    """Log-ratios of a known law, seen with a normal error through draws of a flat posterior."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), np.tile([-1.0, 1.0], n // 2)])
    z = X @ np.array([[0.5, -1.0], [0.4, 0.0]]) + 0.5 * rng.normal(size=(n, d))
    seen = z + noise * rng.normal(size=z.shape)
    each = seen[:, None] + noise * rng.normal(size=(n, draws, d)) if draws > 1 else z[:, None]
    names = pd.Index([f"s{i}" for i in range(n)])
    return Measured(names, pd.Index(list("abc")), each, np.zeros((n, draws)), ""), X, z


def ols(X, z):
    B, rss, *_ = np.linalg.lstsq(X, z, rcond=None)
    return B, np.sqrt(np.outer(np.diag(np.linalg.inv(X.T @ X)), rss / (len(X) - X.shape[1])))


def test_the_prior_is_wide_for_the_intercept():
    prior = prior_of(3)
    assert prior.slope_sd.tolist() == [INTERCEPT_SD, SLOPE_SD, SLOPE_SD]
    assert INTERCEPT_SD > SLOPE_SD


@pytest.mark.parametrize("n", [60, 500])
def test_exact_log_ratios_are_a_regression(n):
    data, X, z = cohort(n, 1, 0)
    found = fast(data, X, None, HOW, Notes(), np.random.default_rng(1))
    B, se = ols(X, z)
    assert found.coefficients.shape == (2, 300, 2, 2)
    # 600 draws: errors of .04 se
    assert np.abs((found.coefficients.mean(axis=(0, 1)) - B) / se).max() < 0.25
    assert found.coefficients.std(axis=(0, 1)) == pytest.approx(se, rel=0.15)
    np.testing.assert_allclose(found.mean, z, atol=0.01)
    rest = z - X @ B
    S = rest.T @ rest / (n - 2)
    np.testing.assert_allclose(found.total.mean(axis=(0, 1)), S, atol=0.2 * S.max())


def test_draws_and_normal_likelihoods_give_the_same(monkeypatch):
    data, X, _ = cohort(80, 300, 2)
    draws = fast(data, X, None, HOW, Notes(), np.random.default_rng(3))
    monkeypatch.setattr(fit, "MANY", 10)
    normals = fast(data, X, None, HOW, Notes(), np.random.default_rng(4))
    sd = normals.coefficients.std(axis=(0, 1))
    gap = draws.coefficients.mean(axis=(0, 1)) - normals.coefficients.mean(axis=(0, 1))
    # 600 draws each, some of them dependent: errors of about .1 sd
    assert np.abs(gap / sd).max() < 0.5
    np.testing.assert_allclose(draws.coefficients.std(axis=(0, 1)) / sd, 1, atol=0.25)
    np.testing.assert_allclose(draws.mean, normals.mean, atol=0.1)
    # the cohort pulls a sample towards its expectation: by noise^2 / (noise^2 + .5^2)
    np.testing.assert_allclose(draws.spread.mean(), 0.15 * 0.5 / np.hypot(0.15, 0.5), rtol=0.15)


def test_the_law_of_a_new_subject_adds_both_variances():
    rng = np.random.default_rng(5)
    subjects = np.repeat(np.arange(150), 2)
    data, X, z = cohort(300, 1, 6)
    u = rng.normal(0, 0.5, (150, 2))
    moved = data._replace(z=(z + u[subjects])[:, None])
    found = fast(moved, X, subjects, HOW, Notes(), rng).total.mean(axis=(0, 1))
    # .25 within subjects and as much between them, each to a tenth
    assert np.diag(found) == pytest.approx(0.25 + u.var(axis=0, ddof=1), rel=0.25)


def test_the_same_seed_gives_the_same_draws():
    data, X, _ = cohort(30, 50, 7)
    one, other, third = (
        fast(data, X, None, HOW, Notes(), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.coefficients, other.coefficients)
    assert (one.coefficients != third.coefficients).all()


def test_samples_with_few_draws_where_the_cohort_expects_them_are_named():
    data, X, _ = cohort(40, 200, 8)
    z = data.z.copy()
    z[3] = 6 + 1.5 * np.random.default_rng(0).normal(size=(200, 2))  # wide, and far away
    with pytest.warns(BayesdecovWarning, match=r"1 of 40 samples have few draws .*: s3; decon"):
        fast(data._replace(z=z), X, None, HOW, Notes(), np.random.default_rng(9))


def test_an_error_that_all_samples_share_moves_the_intercept_alone():
    rng = np.random.default_rng(0)
    X = np.column_stack([np.ones(8), np.arange(8) % 2])
    drawn = CohortDraws(
        rng.normal(size=(2, 6, 2, 3)), np.ones((2, 6, 3, 3)), np.ones((8, 3)), np.ones(3), {}
    )
    shared = np.repeat(rng.normal(size=(4, 1, 3)), 8, axis=1)
    found = with_shared_errors(drawn, X, shared)
    step = found.coefficients - drawn.coefficients
    np.testing.assert_allclose(step[:, :, 1], 0, atol=1e-12)
    np.testing.assert_allclose(step[0, 5, 0], shared[1, 0])  # draws use them in turn
    np.testing.assert_allclose(step[1, 0, 0], shared[2, 0])
    assert with_shared_errors(drawn, X, None) is drawn
