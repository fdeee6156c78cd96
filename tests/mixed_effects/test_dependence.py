"""Samples that depend on each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning
from bayesdecov.mixed_effects.dependence import estimate_correlation, exchangeable


def test_correlation_within_subjects_is_recovered():
    rng = np.random.default_rng(0)
    X, groups = rng.normal(size=(36, 4)), np.repeat(np.arange(12), 3)
    L = np.linalg.cholesky(exchangeable(0.6, groups))
    estimates = [
        estimate_correlation(
            X, rng.normal(size=(50, 36)) @ L.T + rng.normal(size=(50, 4)) @ X.T, groups
        )
        for _ in range(60)
    ]
    assert abs(np.mean(estimates) - 0.6) < 4 * np.std(estimates) / np.sqrt(60)
    assert np.std(estimates) < 0.03
    zero = [estimate_correlation(X, rng.normal(size=(50, 36)), groups) for _ in range(60)]
    assert abs(np.mean(zero)) < 4 * np.std(zero) / np.sqrt(60) + 1e-3


def test_it_is_the_restricted_likelihood():
    """A grid over the dense restricted likelihood of all genes has its maximum there."""
    rng = np.random.default_rng(1)
    X, groups = rng.normal(size=(14, 3)), np.repeat(np.arange(7), 2)
    Y = rng.normal(size=(9, 14)) @ np.linalg.cholesky(exchangeable(0.4, groups)).T
    Q = np.linalg.qr(X, mode="complete")[0][:, 3:]

    def criterion(rho):
        A = Q.T @ exchangeable(rho, groups) @ Q
        quadratic = np.einsum("gi,ij,gj->g", Y @ Q, np.linalg.inv(A), Y @ Q)
        return np.linalg.slogdet(A)[1] + A.shape[0] * np.log(quadratic).mean()

    grid = np.linspace(-0.9, 0.95, 1000)
    best = grid[np.argmin([criterion(rho) for rho in grid])]
    assert abs(estimate_correlation(X, Y, groups) - best) < 2e-3


@pytest.fixture
def repeated():
    """Two visits of 20 subjects whose noise is correlated."""
    cohort = bd.simulate.fastmix("III", n_genes=400, n_samples=40, seed=2)
    rng = np.random.default_rng(3)
    shared = np.repeat(rng.normal(0, 0.5, (400, 20)), 2, axis=1)
    D = cohort.covariates.assign(patient=np.repeat([f"p{i}" for i in range(20)], 2))
    return cohort.expression + shared, cohort.proportions, D


def test_subject_equals_the_covariance_it_stands_for(repeated):
    Y, P, D = repeated
    de = bd.fastmix(Y, P, D, "map", subject="patient")
    rho = de.facts["correlation_within_subjects"]
    assert abs(rho - 0.25 / (0.25 + 0.0625)) < 0.05
    assert "patient" not in de.design.coding.sources
    C = exchangeable(rho, np.repeat(np.arange(20), 2))
    known = bd.fastmix(
        Y,
        P,
        D[["Group"]],
        "map",
        design=bd.DesignOptions(weights=pd.DataFrame(C, P.index, P.index)),
    )
    np.testing.assert_allclose(de.fixed, known.fixed, rtol=1e-8)
    series = bd.fastmix(Y, P, D[["Group"]], "map", subject=D["patient"])
    np.testing.assert_allclose(de.fixed, series.fixed, rtol=1e-12)
    assert any("correlation within 20 subjects" in note for note in de.notes)


def test_fitted_values_are_on_the_scale_of_the_data(repeated):
    Y, P, D = repeated
    de = bd.fastmix(Y, P, D, subject="patient")
    assert de.fitted.shape == Y.shape
    residual = (Y - de.fitted).to_numpy()
    assert residual.std() < 0.6 * Y.to_numpy().std()
    np.testing.assert_allclose(residual.mean(), 0, atol=0.02)


def test_one_sample_per_subject_is_said(repeated):
    Y, P, D = repeated
    with pytest.warns(BayesdecovWarning, match="every subject has a single sample"):
        bd.fastmix(Y, P, D.assign(patient=list(D.index)), subject="patient")


def test_one_noisy_gene_does_not_decide():
    rng = np.random.default_rng(4)
    X, groups = rng.normal(size=(36, 4)), np.repeat(np.arange(12), 3)
    Y = rng.normal(size=(400, 36)) @ np.linalg.cholesky(exchangeable(0.8, groups)).T
    clean = estimate_correlation(X, Y, groups)
    Y[0] = rng.normal(0, 100, 36)
    assert abs(clean - 0.8) < 0.02
    assert abs(estimate_correlation(X, Y, groups) - clean) < 0.01


def test_weights_are_generalised_least_squares():
    """Variances over eight orders of magnitude: nothing is floored."""
    cohort = bd.simulate.fastmix("III", n_genes=100, n_samples=40, seed=5)
    C = np.diag(np.logspace(-4, 4, 40))
    de = bd.fastmix(
        cohort.expression,
        cohort.proportions,
        cohort.covariates,
        "map",
        design=bd.DesignOptions(weights=C),
    )
    X, K = de.design.table.to_numpy(), np.linalg.inv(C)
    slow = np.linalg.solve(X.T @ K @ X, X.T @ K @ cohort.expression.T.to_numpy()).mean(axis=1)
    np.testing.assert_allclose(de.fixed["estimate"], slow, rtol=1e-6)


def test_all_samples_of_one_subject_is_said(repeated):
    Y, P, D = repeated
    with pytest.warns(BayesdecovWarning, match="all samples are from one subject"):
        bd.fastmix(Y, P, D.assign(patient="p"), subject="patient")
