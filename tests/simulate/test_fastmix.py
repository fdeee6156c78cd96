"""The mixed-model simulator keeps its word."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov import simulate


def test_law_of_simulation_two():
    cohort = simulate.fastmix("II", "paper", 4000, 60, correlation=0.5, seed=1)
    assert cohort.effects.shape == (4000, 11)
    assert cohort.differential.sum().loc[["Cell1", "Severity"]].tolist() == [200, 200]
    assert cohort.differential.to_numpy().sum() == 800
    assert cohort.differential.sum(axis=1).max() == 1
    quiet = ~cohort.differential.any(axis=1)
    sample = np.cov(cohort.effects[quiet].T)
    np.testing.assert_allclose(sample, cohort.covariance, atol=0.12)
    np.testing.assert_allclose(cohort.effects[quiet].mean(), cohort.fixed, atol=0.1)
    assert cohort.covariance.loc["Severity", "Severity"] == pytest.approx(0.64)
    shifted = cohort.differential["Cell2.Sex"]
    assert abs(cohort.effects.loc[shifted, "Cell2.Sex"].abs().mean() - 3.6) < 0.4
    sums = cohort.proportions.sum(axis=1)
    assert sums.between(0.6, 0.9).all()


def test_versions_and_variants():
    code = simulate.fastmix("III", "code", 100, 20, seed=2)
    assert code.covariance.loc["Group", "Group"] == pytest.approx(0.36)
    assert code.covariates["Group"].value_counts().tolist() == [10, 10]
    assert not simulate.fastmix("I", n_genes=50, seed=0).differential.to_numpy().any()
    noisy = simulate.fastmix("III", n_genes=2000, n_samples=8, variance_df=5, seed=3)
    assert noisy.noise.nunique() == 2000
    assert noisy.noise.mean() == pytest.approx(0.0625 * 5 / 3, rel=0.15)
    one = simulate.fastmix("II", n_genes=40, n_samples=15, seed=4)
    assert one.expression.equals(
        simulate.fastmix("II", n_genes=40, n_samples=15, seed=4).expression
    )
    up = simulate.fastmix("III", n_genes=400, up=1.0, seed=5)
    moved = up.effects.where(up.differential) - up.fixed
    assert moved.stack().mean() > 2
