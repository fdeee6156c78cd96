"""Every covariance structure against a slow formula, finite differences and the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal, multivariate_t

from bayesdecov.algebra.dense import Dense
from bayesdecov.algebra.terms import information, log_density
from tests.algebra.problems import Problem, random_problem

EVALUATIONS = [(0.5, None), (1.0, None), (0.5, 5.0)]  # likelihood, Eq. 8, multivariate t


def _evaluate(problem: Problem, form: str, q=None, *, weight=0.5, df=None, order=2):
    model = problem.forms[form]
    q = problem.q if q is None else q
    y = model.project(problem.y) if form == "compressed" else problem.y
    pieces = model.pieces(q, y, problem.phi, order=order)
    return log_density(pieces, model.n_genes, logdet_weight=weight, df=df), pieces


@pytest.mark.parametrize("df", [None, 4.0])
def test_dense_equals_scipy(df):
    problem = random_problem(1)
    model: Dense = problem.forms["dense"]
    ours = _evaluate(problem, "dense", df=df)[0].value
    for i, (q, y, phi) in enumerate(zip(problem.q, problem.y, problem.phi, strict=True)):
        V = np.tensordot(q**2, model.Sigma, 1) + np.diag(phi * model.mu @ q + phi**2 / 4)
        law = multivariate_normal(model.mu @ q, V) if df is None else multivariate_t(
            model.mu @ q, V, df=df)  # fmt: skip
        assert ours[i] == pytest.approx(law.logpdf(y), rel=1e-12)


@pytest.mark.parametrize(("weight", "df"), EVALUATIONS)
@pytest.mark.parametrize("n_types", [2, 4, 5, 8])
@pytest.mark.parametrize("form", ["dense", "lowrank", "compressed"])
def test_derivatives_equal_finite_differences(form, n_types, weight, df):
    shared = form == "compressed"
    problem = random_problem(
        n_types, n_types=n_types, n_genes=30, shared=shared, counting=not shared
    )
    term = _evaluate(problem, form, weight=weight, df=df)[0]
    step = 1e-5
    for j in range(n_types):
        shift = np.zeros(n_types)
        shift[j] = step
        up = _evaluate(problem, form, problem.q + shift, weight=weight, df=df)[0]
        down = _evaluate(problem, form, problem.q - shift, weight=weight, df=df)[0]
        slope = (up.value - down.value) / (2 * step)
        bend = (up.gradient - down.gradient) / (2 * step)
        np.testing.assert_allclose(term.gradient[:, j], slope, rtol=2e-6, atol=1e-4)
        scale = np.abs(term.hessian).max()
        np.testing.assert_allclose(term.hessian[:, j], bend, rtol=1e-6, atol=1e-7 * scale)


@pytest.mark.parametrize("form", ["lowrank", "compressed"])
@pytest.mark.parametrize("rank", [0, 1, 3])
def test_factor_forms_equal_dense(form, rank):
    shared = form == "compressed"
    problem = random_problem(3, n_genes=40, rank=rank, shared=shared, counting=not shared)
    dense, dense_pieces = _evaluate(problem, "dense")
    fast, fast_pieces = _evaluate(problem, form)
    np.testing.assert_allclose(fast.value, dense.value, rtol=1e-12)
    np.testing.assert_allclose(fast.gradient, dense.gradient, rtol=1e-9)
    np.testing.assert_allclose(fast.hessian, dense.hessian, rtol=1e-9)
    np.testing.assert_allclose(
        information(fast_pieces, 40), information(dense_pieces, 40), rtol=1e-9
    )
    value_only = _evaluate(problem, form, order=0)[0]
    np.testing.assert_allclose(value_only.value, fast.value, rtol=1e-13)


@pytest.mark.parametrize(("weight", "df"), EVALUATIONS)
@pytest.mark.parametrize("n_genes", [20, 40])
@pytest.mark.parametrize("form", ["dense", "lowrank", "compressed"])
def test_first_order_is_the_same_gradient(form, n_genes, weight, df):
    shared = form == "compressed"
    problem = random_problem(7, n_genes=n_genes, shared=shared, counting=not shared)
    whole = _evaluate(problem, form, weight=weight, df=df)[0]
    first = _evaluate(problem, form, weight=weight, df=df, order=1)[0]
    np.testing.assert_allclose(first.value, whole.value, rtol=1e-12)
    np.testing.assert_allclose(first.gradient, whole.gradient, rtol=1e-10)
    assert first.hessian.size == 0


@pytest.mark.parametrize("form", ["dense", "lowrank"])
def test_an_absent_cell_type_has_no_influence(form):
    """At q_j = 0 the value must not depend on Sigma_j (and the Woodbury form must survive it)."""
    problem = random_problem(5, n_genes=20)
    q = problem.q.copy()
    q[:, 1] = 0.0
    before = _evaluate(problem, form, q)[0].value
    model = problem.forms[form]
    if form == "dense":
        Sigma = model.Sigma.copy()
        Sigma[1] *= 7.0
        other = replace(model, Sigma=Sigma)
    else:
        U = model.U.copy()
        U[:, model.owner == 1] *= 7.0
        other = replace(model, U=U)
    after = _evaluate(problem._replace(forms={form: other}), form, q)[0].value
    np.testing.assert_allclose(before, after, rtol=1e-13)


def test_information_is_minus_the_expected_hessian():
    """Monte Carlo over bulks drawn from the model, judged in standard errors."""
    problem = random_problem(8, n=1, n_genes=6, n_types=3, rank=1)
    model: Dense = problem.forms["dense"]
    draws = 40_000
    rng = np.random.default_rng(11)
    q, phi = np.repeat(problem.q, draws, 0), np.repeat(problem.phi, draws)
    V = model.covariance(problem.q, problem.phi)[0]
    y = rng.multivariate_normal(model.mu @ problem.q[0], V, draws)
    pieces = model.pieces(q, y, phi)
    minus_hessian = -log_density(pieces, 6).hessian
    expected = information(pieces, 6)[0]
    error = minus_hessian.std(0) / np.sqrt(draws)
    assert np.all(np.abs(minus_hessian.mean(0) - expected) < 4.5 * error)


def test_a_matrix_that_is_not_positive_definite_gives_nan_for_its_sample_only():
    problem = random_problem(2)
    model: Dense = problem.forms["dense"]
    Sigma = model.Sigma.copy()
    Sigma[0] = -Sigma[0]
    broken = replace(model, Sigma=Sigma)
    q = problem.q.copy()
    q[0] = [0.97, 0.01, 0.01, 0.01]
    q[1:, 0] = 0.0
    pieces = broken.pieces(q, problem.y, problem.phi * 0)
    assert np.isnan(pieces.quad.value[0])
    assert np.isfinite(pieces.quad.value[1:]).all()


@pytest.mark.parametrize("form", ["dense", "lowrank", "compressed"])
def test_scan_gives_the_values_of_pieces(form):
    shared = form == "compressed"
    problem = random_problem(6, n_genes=30, shared=shared, counting=not shared)
    phi = problem.phi[0]
    model = problem.forms[form]
    y = model.project(problem.y) if shared else problem.y
    points = np.random.default_rng(0).dirichlet(np.ones(4), 5)
    scanned = log_density(model.scan(points, y, phi), 30).value
    assert scanned.shape == (3, 5)
    for k, point in enumerate(points):
        one = model.pieces(np.tile(point, (3, 1)), y, np.full(3, phi), order=0)
        np.testing.assert_allclose(scanned[:, k], log_density(one, 30).value, rtol=1e-11)
