"""ML and REML of the collapsed model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import bayesdecov as bd
from bayesdecov.algebra.shared_design import embed, least_squares, log_likelihood
from bayesdecov.errors import Notes
from bayesdecov.mixed_effects.likelihood import fit_likelihood
from bayesdecov.mixed_effects.options import resolve
from bayesdecov.options import EstimatorOptions


def simulate(m=40, n=12, sd=(1.5, 0.8, 0.5), seed=0):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.normal(size=(n, len(sd) - 1))])
    gamma = rng.normal(size=(m, len(sd))) * sd
    return X, (1.0 + gamma) @ X.T + 0.7 * rng.normal(size=(m, n))


@pytest.mark.parametrize("reml", [True, False])
def test_statsmodels_agrees(reml):
    from statsmodels.regression.mixed_linear_model import MixedLM

    X, Y = simulate()
    m, n = Y.shape
    ours = fit_likelihood(least_squares(X, Y), resolve(None, EstimatorOptions()), reml, Notes())
    design = np.tile(X, (m, 1))
    model = MixedLM(Y.ravel(), design, np.repeat(np.arange(m), n), exog_re=design)
    theirs = model.fit(reml=reml, method="bfgs", gtol=1e-6)
    np.testing.assert_allclose(ours.beta, theirs.fe_params, rtol=1e-6)
    np.testing.assert_allclose(ours.sigma2[0], theirs.scale, rtol=1e-4)
    np.testing.assert_allclose(ours.Psi, theirs.cov_re, atol=1e-3)
    np.testing.assert_allclose(np.sqrt(np.diag(ours.beta_cov)), theirs.bse_fe, rtol=1e-3)
    if not reml:  # statsmodels' restricted likelihood has another constant
        np.testing.assert_allclose(ours.facts["log_likelihood"], theirs.llf, rtol=1e-7)
    predicted = np.array(list(theirs.random_effects.values()))
    np.testing.assert_allclose(ours.gamma, predicted, atol=2e-3)


def test_untrimmed_moments_are_the_interior_of_reml(tables):
    """Eq. 12 with the mean in place of the median residual variance."""
    moments = bd.fastmix(*tables, estimator=bd.EstimatorOptions(covariance="sample"))
    reml = bd.fastmix(*tables, "map")
    difference = moments.noise - reml.noise
    V = np.linalg.inv(moments.design.table.T.to_numpy() @ moments.design.table.to_numpy())
    np.testing.assert_allclose(
        moments.covariance + difference * V, reml.covariance, rtol=1e-6, atol=1e-8
    )
    np.testing.assert_allclose(moments.fixed["t"], reml.fixed["t"], rtol=1e-6)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("sd", [(1.0, 0.5, 0.0), (0.05, 0.0, 0.0)], ids=["one gone", "two gone"])
def test_boundary_is_a_maximum(reml, sd):
    """No step in a random feasible direction, and no other feasible start, does better."""
    X, Y = simulate(60, 10, sd, seed=4)
    ls = least_squares(X, Y)
    found = fit_likelihood(ls, resolve(None, EstimatorOptions()), reml, Notes())
    assert found.facts["rank"] < 3
    assert np.linalg.eigvalsh(found.Psi)[0] > -1e-10
    best = found.facts["log_likelihood"]
    rng = np.random.default_rng(0)
    for scale in (1e-4, 1e-2, 1.0):
        for _ in range(200):
            step = rng.normal(size=(3, 3)) * np.sqrt(scale)
            Psi = found.Psi * (1 + scale * rng.normal()) + step @ step.T * rng.integers(0, 2)
            sigma2 = found.sigma2[0] * np.exp(scale * rng.normal())
            if np.linalg.eigvalsh(Psi)[0] >= 0:
                assert log_likelihood(ls, ls.mean, Psi, sigma2, restricted=reml) <= best + 1e-9


def test_diagonal_against_a_general_optimiser():
    X, Y = simulate(80, 12, (1.5, 0.8, 0.0), seed=5)
    ls = least_squares(X, Y)
    found = fit_likelihood(ls, resolve(None, EstimatorOptions(diagonal=True)), True, Notes())
    assert found.facts["converged"]

    def criterion(x):
        return -log_likelihood(ls, ls.mean, np.diag(x[:3]), x[3], restricted=True)

    slow = minimize(
        criterion,
        [1, 1, 1, 1],
        bounds=[(0, None)] * 3 + [(1e-3, None)],
        method="L-BFGS-B",
        options={"ftol": 1e-14, "gtol": 1e-8},
    )
    assert found.facts["log_likelihood"] > -slow.fun - 1e-5
    np.testing.assert_allclose(np.diag(found.Psi), slow.x[:3], atol=2e-3)


@pytest.mark.parametrize("seed", range(6))
def test_diagonal_with_effects_that_do_not_vary(seed):
    """Several variances at zero: converged, and no neighbour does better."""
    X, Y = simulate(60, 14, (0.0, 0.0, 0.7, 0.0), seed=seed)
    ls = least_squares(X, Y)
    found = fit_likelihood(ls, resolve(None, EstimatorOptions(diagonal=True)), True, Notes())
    assert found.facts["converged"]
    psi, sigma2 = np.diag(found.Psi), found.sigma2[0]
    best = log_likelihood(ls, ls.mean, found.Psi, sigma2, restricted=True)
    for k in range(4):
        for factor in (0.98, 1.02):
            other = psi.copy()
            other[k] = other[k] * factor + (factor > 1) * 1e-4
            assert log_likelihood(ls, ls.mean, np.diag(other), sigma2, restricted=True) <= best


def test_fewer_random_effects_than_columns():
    """The closed form for some columns is the maximum of the full likelihood."""
    X, Y = simulate(80, 12, (1.5, 0.0, 0.6), seed=6)
    ls = least_squares(X, Y, np.array([0, 2]))
    found = fit_likelihood(ls, resolve(None, EstimatorOptions()), True, Notes())
    best = found.facts["log_likelihood"]

    def criterion(x):
        L = np.array([[x[0], 0], [x[1], x[2]]])
        return -log_likelihood(ls, ls.mean, embed(L @ L.T, ls), np.exp(x[3]), restricted=True)

    slow = minimize(criterion, [1, 0, 1, 0], method="BFGS")
    np.testing.assert_allclose(best, -slow.fun, atol=1e-5)
    # fixed effects and predictions by generalised least squares, gene by gene
    Psi = embed(found.Psi, ls)
    V = X @ Psi @ X.T + found.sigma2[0] * np.eye(12)
    slow_gamma = Psi @ X.T @ np.linalg.solve(V, (Y - X @ found.beta).T)
    np.testing.assert_allclose(found.gamma, slow_gamma[[0, 2]].T, atol=1e-9)


@pytest.mark.parametrize("method", ["map", "mixture", "moments"])
def test_intervals_with_one_random_effect(method):
    """Few genes and correlated columns: the fixed effects' error reaches the random one."""
    inside, p = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        cohort = bd.simulate.fastmix("III", n_genes=60, n_samples=30, seed=seed)
        X = bd.fastmix(cohort.expression, cohort.proportions, cohort.covariates).design.table
        truth = 0.3 + rng.normal(0, 1, 60)
        Y = np.outer(truth, X["Cell1.Group"]) + 0.25 * rng.normal(size=(60, 30))
        de = bd.fastmix(
            pd.DataFrame(Y, cohort.expression.index, X.index),
            cohort.proportions,
            cohort.covariates,
            method,
            design=bd.DesignOptions(random="Cell1.Group"),
            estimator=bd.EstimatorOptions(screen="none" if method == "moments" else None),
        )
        inside.append((de.genes["low"] < truth) & (truth < de.genes["high"]))
        p.append(de.fixed.loc["Cell1.Group"])
    assert abs(np.mean(inside) - 0.95) < 0.035
    estimates = pd.DataFrame(p)
    ratio = estimates["std_error"].mean() / estimates["estimate"].std()
    assert abs(ratio - 1) < 4 / np.sqrt(2 * 30)


def test_no_variance_between_genes():
    rng = np.random.default_rng(1)
    cohort = bd.simulate.fastmix("III", n_genes=60, n_samples=30, seed=1)
    noise = pd.DataFrame(
        rng.normal(size=(60, 30)), cohort.expression.index, cohort.expression.columns
    )
    for seed in range(40):  # a scatter below what noise explains
        noise[:] = np.random.default_rng(seed).normal(size=(60, 30))
        de = bd.fastmix(
            noise,
            cohort.proportions,
            cohort.covariates,
            "map",
            design=bd.DesignOptions(random="Cell1.Group"),
        )
        if de.covariance.iloc[0, 0] == 0:
            break
    assert de.covariance.iloc[0, 0] == 0
    assert (de.genes["p_value"] == 1).all()
    assert any("singular" in note for note in de.notes)


def test_a_singular_covariance_keeps_its_power():
    """Quasi-p-values of marginal effects, and uniform."""
    rng, (X, _) = np.random.default_rng(2), simulate(10, 14)
    Y = rng.normal(size=(4000, 1)) * X[:, 0] + 0.7 * rng.normal(size=(4000, 14))
    notes = Notes()
    found = fit_likelihood(least_squares(X, Y), resolve(None, EstimatorOptions()), True, notes)
    if found.facts["rank"] < 3:
        assert found.facts["statistic"] == "marginal"
        assert abs((found.p[:, 0] < 0.05).mean() - 0.05) < 0.015
