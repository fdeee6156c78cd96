"""Log-densities of genes against SciPy, and what the fitted law predicts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, multivariate_t

import bayesdecov as bd
from bayesdecov._arviz import dataset
from bayesdecov.algebra.shared_design import least_squares, log_likelihood
from bayesdecov.mixed_effects.predictive import Parameters, Shifts, log_density, replicate


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(9, 3)) + 0.3
    Y = rng.normal(size=(12, 9))
    A = rng.normal(size=(3, 3))
    return X, Y, least_squares(X, Y), A @ A.T


@pytest.mark.parametrize("nu", [None, 5.0])
@pytest.mark.parametrize("own", [False, True])
def test_log_density_of_the_expression(nu, own, problem):
    """The density of a gene's nine values, from the coefficients and the residuals alone."""
    X, Y, ls, Psi = problem
    rng = np.random.default_rng(2)
    beta = rng.normal(size=3)
    sigma2 = rng.uniform(0.5, 2.0, 12 if own else 1)
    ours = log_density(ls, Parameters(beta, Psi, sigma2, nu))
    for g, y in enumerate(Y):
        V = X @ Psi @ X.T + sigma2[g if own else 0] * np.eye(9)
        law = multivariate_normal(X @ beta, V) if nu is None else multivariate_t(X @ beta, V, nu)
        assert ours[g] == pytest.approx(law.logpdf(y), rel=1e-10)
    if nu is None and not own:
        assert ours.sum() == pytest.approx(log_likelihood(ls, beta, Psi, sigma2[0]))


def test_log_density_of_a_mixture(problem):
    X, Y, ls, Psi = problem
    beta, sigma2 = np.array([0.5, -0.2, 0.1]), np.array([0.7])
    up, down, delta, tau2 = np.zeros((4, 3))
    up[1], down[1], delta[1], tau2[1] = 0.1, 0.05, 2.0, 0.3
    ours = log_density(ls, Parameters(beta, Psi, sigma2, None, Shifts(up, down, delta, tau2)))
    e = np.eye(3)[1]
    for g, y in enumerate(Y):
        total = 0.0
        for share, shift, extra in ((0.85, 0.0, 0.0), (0.1, 2.0, 0.3), (0.05, -2.0, 0.3)):
            V = X @ (Psi + extra * np.outer(e, e)) @ X.T + sigma2[0] * np.eye(9)
            total += share * multivariate_normal(X @ (beta + shift * e), V).pdf(y)
        assert ours[g] == pytest.approx(np.log(total), rel=1e-9)


def test_a_mixture_on_some_of_the_columns(problem):
    """Columns without random effects count too."""
    X, Y, _, _ = problem
    ls = least_squares(X, Y, np.array([0, 2]))
    beta, sigma2 = ls.mean + np.array([0.3, 0.0, -0.2]), np.array([0.7])
    A = np.array([[1.0, 0.2], [0.2, 0.5]])
    shifts = Shifts(np.array([0.1, 0]), np.array([0.2, 0]), np.array([1.5, 0]), np.array([0.4, 0]))
    ours = log_density(ls, Parameters(beta, A, sigma2, None, shifts))
    Z = X[:, [0, 2]]
    for g, y in enumerate(Y):
        total = 0.0
        for share, shift, extra in ((0.7, 0.0, 0.0), (0.1, 1.5, 0.4), (0.2, -1.5, 0.4)):
            Psi = A + np.diag([extra, 0.0])
            V = Z @ Psi @ Z.T + sigma2[0] * np.eye(9)
            total += share * multivariate_normal(X @ beta + shift * Z[:, 0], V).pdf(y)
        assert ours[g] == pytest.approx(np.log(total), rel=1e-9)


def test_replicated_genes_have_the_moments_of_the_law(problem):
    _, _, ls, Psi = problem
    many = ls._replace(b=np.zeros((20_000, 3)))
    beta, sigma2 = np.array([1.0, 0.0, -1.0]), np.array([0.5])
    T = Psi + sigma2[0] * ls.V
    scale = np.sqrt(np.diag(T))
    drawn = replicate(many, Parameters(beta, Psi, sigma2), np.random.default_rng(1))
    assert (np.abs(drawn.mean(axis=0) - beta) < 4 * scale / np.sqrt(20_000)).all()
    np.testing.assert_allclose(np.cov(drawn.T), T, atol=0.05 * T.max())
    shifts = Shifts(np.array([0.2, 0, 0]), np.zeros(3), np.array([50.0, 0, 0]), np.zeros(3))
    drawn = replicate(many, Parameters(beta, Psi, sigma2, None, shifts), np.random.default_rng(1))
    share = np.mean(drawn[:, 0] > 25)
    assert abs(share - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 20_000)


def test_every_method_has_the_same_groups(group_cohort):
    tables = group_cohort.expression, group_cohort.proportions, group_cohort.covariates
    shapes = []
    for method in ("moments", "map", "mixture"):
        idata = bd.fastmix(*tables, method).to_inference_data(log_likelihood=True)
        assert set(idata) == {
            "posterior", "sample_stats", "posterior_predictive", "log_likelihood",
            "observed_data", "constant_data", "fit",
        }  # fmt: skip
        posterior = dataset(idata["posterior"])
        assert {"beta", "Psi", "psi_sd", "sigma"} == set(posterior.data_vars)
        shapes.append({name: posterior[name].dims for name in ("beta", "Psi", "psi_sd")})
        assert np.isfinite(idata["log_likelihood"]["coefficients"]).all()
    assert shapes[0] == shapes[1] == shapes[2]
