"""Trimming corrections: closed forms against published numbers and against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.algebra.truncation import (
    consistency,
    inverse_root,
    robust_mean,
    root,
    trimmed_variance_df,
)

# d / E[chi2_d | chi2_d <= median], computed once to 13 digits; the R program draws 1e6 numbers
LAMBDA = {
    1: 7.010074539703, 2: 3.258891353271, 3: 2.457367920682, 4: 2.109063040609,
    5: 1.912208058513, 8: 1.626583197612, 11: 1.496290216919,
}  # fmt: skip


@pytest.mark.parametrize("d", LAMBDA)
def test_consistency_factor(d):
    np.testing.assert_allclose(consistency(d, 0.5), LAMBDA[d], rtol=1e-12)


def test_roots_undo_each_other():
    A = np.random.default_rng(0).normal(size=(5, 5))
    S = A @ A.T
    np.testing.assert_allclose(root(S) @ root(S), S, rtol=1e-9)
    np.testing.assert_allclose(inverse_root(S) @ S @ inverse_root(S), np.eye(5), atol=1e-9)


@pytest.mark.parametrize(("d", "trim"), [(1, 0.5), (4, 0.5), (3, 0.2)])
def test_degrees_of_freedom_of_a_trimmed_variance(d, trim):
    """The sampling variance of the trimmed estimator over 3,000 data sets, within 5 sigma."""
    rng, m, runs = np.random.default_rng(8), 400, 3000
    x = rng.normal(size=(runs, m, d))
    distance = np.square(x).sum(axis=2)
    kept = distance <= np.quantile(distance, 1 - trim, axis=1, keepdims=True)
    first = np.where(kept, np.square(x[:, :, 0]), 0).sum(axis=1) / kept.sum(axis=1)
    estimate = consistency(d, trim) * first
    assert abs(estimate.mean() - 1) < 0.03  # consistent
    expected = 2 / trimmed_variance_df(d, trim, m)
    assert abs(estimate.var() / expected - 1) < 5 * np.sqrt(2 / runs) + 0.03
    assert trimmed_variance_df(d, 0.0, m) == m - 1


def test_robust_mean_ignores_a_shifted_minority():
    rng = np.random.default_rng(4)
    cov = np.array([[2.0, 0.6], [0.6, 1.0]])
    x = rng.multivariate_normal([1.0, -1.0], cov, 20_000)
    x[:1000, 0] += 8.0
    found = robust_mean(x, cov)
    assert found.converged
    error = found.centre - [1.0, -1.0]
    spread = np.sqrt(np.diag(cov) / 20_000 * found.inflation)
    assert np.abs(error[1]) < 4 * spread[1]
    assert abs(error[0]) < 0.15 < x[:, 0].mean() - 1.0
    # its variance is that of the mean times the inflation
    clean = rng.multivariate_normal([0, 0], np.eye(2), (300, 400))
    centres = np.array(
        [robust_mean(part, np.eye(2), tolerance=1e-6, iterations=50).centre for part in clean]
    )
    ratio = centres.var() * 400 / found.inflation
    assert abs(ratio - 1) < 5 * np.sqrt(2 / 600)


def test_one_dimension_and_symmetric_data():
    x = np.concatenate([np.linspace(-2, 2, 101)])[:, None]
    found = robust_mean(x, np.eye(1))
    assert found.converged
    assert abs(found.centre[0]) < 1e-10
