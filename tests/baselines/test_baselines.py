"""Baselines against general-purpose solvers."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import LinearConstraint, lsq_linear, minimize
from sklearn.svm import NuSVR

import bayesdecov as bd
from bayesdecov.baselines import BASELINES
from bayesdecov.baselines.nusvr import p_values
from bayesdecov.errors import InputError


def coefficients(name, mu, y, variance=None):
    return BASELINES[name].estimate(mu, y, np.zeros_like(mu) if variance is None else variance)


@pytest.fixture
def problem():
    rng = np.random.default_rng(1)
    mu = rng.gamma(2.0, 3.0, (20, 4))
    return mu, rng.dirichlet(np.ones(4) * 0.3, 15) @ mu.T + rng.normal(size=(15, 20))


def test_nnls(problem):
    mu, y = problem
    expected = [lsq_linear(mu, row, (0, np.inf), tol=1e-12).x for row in y]
    np.testing.assert_allclose(coefficients("nnls", mu, y).coefficients, expected, atol=1e-6)


def test_simplex(problem):
    mu, y = problem
    found = coefficients("simplex", mu, y).coefficients
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found == 0).any()
    for row, p in zip(y, found, strict=True):
        best = minimize(
            lambda q, row=row: ((row - mu @ q) ** 2).sum(),
            np.full(4, 0.25),
            bounds=[(0, 1)] * 4,
            constraints=LinearConstraint(np.ones(4), 1, 1),
            method="SLSQP",
            options={"ftol": 1e-12},
        )
        assert ((row - mu @ p) ** 2).sum() <= best.fun + 1e-6


def test_ols(problem):
    mu, y = problem
    found = coefficients("ols", mu, y)
    for row, b, negative in zip(y, found.coefficients, found.facts["negative"], strict=True):
        free = np.linalg.solve(mu.T @ mu, mu.T @ row)
        np.testing.assert_allclose(b, np.where(free > 0, free, 0), atol=1e-10)
        assert negative == (free < 0).sum()
    assert found.facts["negative"].max() > 0


def test_rlm_solves_hubers_equations(problem):
    """Columns are orthogonal to the residuals cut at 1.345 times their scale."""
    mu, y = problem
    y = y.copy()
    y[:, 3] += 40  # an outlying gene
    for row, b in zip(y, coefficients("rlm", mu, y).coefficients, strict=True):
        residual = row - mu @ b
        scale = np.median(np.abs(residual)) / 0.6744897501960817
        cut = np.clip(residual / scale, -1.345, 1.345)
        assert np.abs(mu.T @ cut).max() < 2e-3 * np.abs(mu).T.sum(axis=1).max()


def test_fardeep_is_nnls_on_the_genes_it_keeps(problem):
    mu, y = problem
    wild = y.copy()
    wild[:, [2, 11]] += [60.0, 90.0]
    found = coefficients("fardeep", mu, wild)
    assert (found.facts["outliers"] >= 2).all()
    plain = coefficients("nnls", mu, wild).coefficients
    truth = coefficients("nnls", np.delete(mu, [2, 11], 0), np.delete(y, [2, 11], 1)).coefficients
    assert np.abs(found.coefficients - truth).mean() < 0.2 * np.abs(plain - truth).mean()
    for row, b, count in zip(wild, found.coefficients, found.facts["outliers"], strict=True):
        size = np.abs(row - mu @ b)
        kept = np.argsort(size)[: len(mu) - int(count)]
        np.testing.assert_allclose(
            lsq_linear(mu[kept], row[kept], (0, np.inf), tol=1e-12).x, b, atol=1e-6
        )


def test_nusvr_is_the_best_of_three_machines(problem):
    """Through the dual problem with a kernel of our own."""
    mu, y = problem
    found = coefficients("nusvr", mu, y)
    X = (mu - mu.mean()) / mu.std()
    for row, b, nu in zip(y, found.coefficients, found.facts["nu"], strict=True):
        z = (row - row.mean()) / row.std()
        errors = {}
        for each in (0.25, 0.5, 0.75):
            machine = NuSVR(kernel="precomputed", nu=each).fit(X @ X.T, z)
            w = np.maximum(machine.dual_coef_.ravel() @ X[machine.support_], 0)
            errors[each] = np.sqrt(np.mean((z - X @ w / w.sum()) ** 2))
            if each == nu:
                np.testing.assert_allclose(b, w, atol=2e-3)
        assert errors[nu] == pytest.approx(min(errors.values()), abs=1e-3)


def test_permutations_tell_mixtures_from_noise(problem):
    mu, y = problem
    rng = np.random.default_rng(0)
    noise = rng.permuted(y, axis=1)[:3]
    p = p_values(mu, np.vstack([y[:3], noise]), rng, permutations=60)
    assert (p[:3] < 0.05).all()
    assert (p[3:] > 0.05).sum() >= 2


@pytest.mark.parametrize("name", ["quantiseq", "epic"])
def test_other_content(problem, name):
    """Against a general solver, with weights where the reference varies."""
    mu, _ = problem
    rng = np.random.default_rng(3)
    y = rng.dirichlet(np.ones(5), 8)[:, :4] @ mu.T + 0.1 * rng.normal(size=(8, 20))
    variance = rng.gamma(1.0, 1.0, mu.shape) if name == "epic" else np.zeros_like(mu)
    weights = np.ones(20)
    if name == "epic":
        weights = (mu / (variance + 1e-12 + 1e-6 * mu.mean() ** 2)).sum(axis=1)
        weights = np.minimum(weights, 100 * np.median(weights))
    found = coefficients(name, mu, y, variance)
    np.testing.assert_allclose(found.other, 1 - found.coefficients.sum(axis=1))
    for row, p in zip(y, found.coefficients, strict=True):

        def loss(q, row=row):
            return (weights * (row - mu @ q) ** 2).sum() / weights.sum()

        best = minimize(
            loss,
            np.full(4, 0.2),
            bounds=[(0, 1)] * 4,
            constraints=LinearConstraint(np.ones(4), 0, 1),
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        np.testing.assert_allclose(p, best.x, atol=2e-4)


def test_every_record_is_complete():
    for name, baseline in BASELINES.items():
        assert baseline.name == name
        assert baseline.title
        assert baseline.doi.startswith("10.")
        assert "linear" in baseline.scale
        assert baseline.returns
        assert baseline.estimate.__doc__


@pytest.fixture(scope="module")
def cohort():
    made = bd.simulate.convolution(n_samples=40, n_genes=400, n_types=4, seed=2)
    return made, bd.Reference.from_samples(made.purified, made.labels, genes=120)


@pytest.mark.parametrize("method", ["nnls", "rlm", "quantiseq"])
def test_bootstrap(cohort, method):
    """Draws around the estimate, the same whatever the samples beside it."""
    made, reference = cohort
    few = made.bulk.iloc[:, :3]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bd.BayesdecovWarning)
        fit = bd.deconvolve(few, reference, method, seed=1, sampling=bd.Sampling(bootstrap=40))
        plain = bd.deconvolve(few, reference, method)
        one = bd.deconvolve(
            few.iloc[:, [1]], reference, method, seed=1, sampling=bd.Sampling(bootstrap=40)
        )
    assert (fit.proportions == plain.proportions).all(axis=None)
    table = fit.intervals(0.9)
    assert (table["low"] <= table["high"]).all()
    assert np.abs(fit.draws.pooled.mean(axis=1) - fit.proportions.to_numpy()).max() < 0.05
    assert np.allclose(one.draws.proportions[0], fit.draws.proportions[1])
    posterior = fit.to_inference_data()["posterior"]
    assert posterior["proportions"].shape == (1, 40, 3, 4)
    assert plain.intervals()["low"].isna().all()


def test_bootstrap_of_nnls_is_what_a_loop_gives(cohort):
    made, reference = cohort
    fit = bd.deconvolve(made.bulk, reference, "nnls", seed=3, sampling=bd.Sampling(bootstrap=25))
    mu = fit.reference.mean.to_numpy()
    y = fit.bulk.to_numpy()
    genes = np.random.default_rng([fit.settings["random_stream"], 7]).integers(120, size=120)
    b = np.stack([lsq_linear(mu[genes], y[genes, i], (0, np.inf), tol=1e-12).x for i in range(40)])
    np.testing.assert_allclose(
        fit.draws.proportions[:, 0, 7], b / b.sum(1, keepdims=True), atol=1e-5
    )


def test_bootstrap_belongs_to_baselines(cohort):
    made, reference = cohort
    with pytest.raises(InputError, match="bootstrap: is not an option of method='map'"):
        bd.deconvolve(made.bulk, reference, sampling=bd.Sampling(bootstrap=10))
    with pytest.raises(InputError, match="bootstrap: must be a whole number >= 2"):
        bd.deconvolve(made.bulk, reference, "nnls", sampling=bd.Sampling(bootstrap=1))


def test_negative_proportions_are_said(cohort):
    _, reference = cohort
    noise = np.random.default_rng(0).lognormal(sigma=0.4, size=(len(reference.genes), 12))
    pure = reference.mean.iloc[:, [0]].to_numpy() * noise
    rare = pd.DataFrame(pure, reference.genes, [f"s{i}" for i in range(12)])
    with pytest.warns(bd.BayesdecovWarning, match="have negative proportions, which this method"):
        fit = bd.deconvolve(rare, reference, "rlm")
    assert (fit.proportions < 0).any(axis=None)
    assert fit.proportions.sum(axis=1).to_numpy() == pytest.approx(1)


def test_other_content_is_in_the_diagnostics(cohort):
    made, reference = cohort
    half = made.bulk.copy()
    half.loc[reference.genes] *= 0.5  # half of the mixture expresses none of these genes
    with pytest.warns(bd.BayesdecovWarning, match="assumes bulk and reference on one scale"):
        free = bd.deconvolve(half, reference, "quantiseq")
    assert free.diagnostics["other"].mean() < 0.2  # hidden in the size factor, as the warning says
    fixed = bd.deconvolve(half, reference, "quantiseq", size_factor="fixed")
    assert fixed.diagnostics["other"].mean() > 0.3
