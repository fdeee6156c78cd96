"""Loadings and diagonals against full covariances, with cell types that are absent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesdecov.algebra.lowrank import LowRank, weighted_grams
from bayesdecov.algebra.terms import information, log_density
from tests.algebra.problems import evaluate, random_problem


@pytest.mark.parametrize("form", ["lowrank", "compressed"])
@pytest.mark.parametrize("rank", [0, 1, 3])
def test_factor_forms_equal_dense(form, rank):
    shared = form == "compressed"
    problem = random_problem(3, n_genes=40, rank=rank, shared=shared, counting=not shared)
    dense, dense_pieces = evaluate(problem, "dense")
    fast, fast_pieces = evaluate(problem, form)
    np.testing.assert_allclose(fast.value, dense.value, rtol=1e-12)
    np.testing.assert_allclose(fast.gradient, dense.gradient, rtol=1e-9)
    np.testing.assert_allclose(fast.hessian, dense.hessian, rtol=1e-9)
    np.testing.assert_allclose(
        information(fast_pieces, 40), information(dense_pieces, 40), rtol=1e-9
    )
    value_only = evaluate(problem, form, order=0)[0]
    np.testing.assert_allclose(value_only.value, fast.value, rtol=1e-13)


@pytest.mark.parametrize("form", ["dense", "lowrank"])
def test_an_absent_cell_type_has_no_influence(form):
    """At q_j = 0 the value must not depend on Sigma_j (and the Woodbury form must survive it)."""
    problem = random_problem(5, n_genes=20)
    q = problem.q.copy()
    q[:, 1] = 0.0
    before = evaluate(problem, form, q)[0].value
    model = problem.forms[form]
    if form == "dense":
        Sigma = model.Sigma.copy()
        Sigma[1] *= 7.0
        other = replace(model, Sigma=Sigma)
    else:
        U = model.U.copy()
        U[:, model.owner == 1] *= 7.0
        other = replace(model, U=U)
    after = evaluate(problem._replace(forms={form: other}), form, q)[0].value
    np.testing.assert_allclose(before, after, rtol=1e-13)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(0, 8), st.booleans())
def test_values_do_not_depend_on_how_much_is_asked_for(seed, n_genes, n_factors, absent):
    rng = np.random.default_rng(seed)
    J = 3
    density = LowRank(
        rng.lognormal(1, 1, (n_genes, J)),
        rng.lognormal(0, 1, (n_genes, J)),
        rng.normal(size=(n_genes, n_factors)),
        rng.integers(J, size=n_factors),
    )
    q = rng.dirichlet(np.ones(J), 4)
    if absent:
        q[:, 0] = 0.0
    y, phi = rng.lognormal(1, 1, (4, n_genes)), rng.uniform(0, 1, 4)
    alone, all_of_it = (density.pieces(q, y, phi, order=order) for order in (0, 2))
    np.testing.assert_allclose(alone.logdet.value, all_of_it.logdet.value, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(alone.quad.value, all_of_it.quad.value, rtol=1e-8)


def test_factors_are_those_of_the_inverse():
    problem = random_problem(14, n_genes=15)
    model, dense = problem.forms["lowrank"], problem.forms["dense"]
    V = dense.covariance(problem.q, problem.phi)
    found = model.factorise(problem.q, problem.phi)
    for i in range(3):
        Theta = np.diag(1 / found.d[i]) - found.P[i] @ found.P[i].T
        np.testing.assert_allclose(Theta @ V[i], np.eye(15), atol=1e-10)
        assert found.logdet[i] == pytest.approx(np.linalg.slogdet(V[i])[1], rel=1e-12)
        slow = model.U.T @ np.diag(1 / found.d[i]) @ model.U
        np.testing.assert_allclose(found.gram[i], slow, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(model.grams(found.d)[i], slow, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.mean, problem.q @ model.mu.T)


def test_weighted_grams_are_sums_over_genes():
    rng = np.random.default_rng(2)
    U, w = rng.normal(size=(9, 3)), rng.uniform(0, 2, (4, 9))
    w[0, 2] = 0.0
    slow = np.array([sum(a * np.outer(u, u) for a, u in zip(row, U, strict=True)) for row in w])
    np.testing.assert_allclose(weighted_grams(U, w), slow, rtol=1e-12, atol=1e-14)
    assert weighted_grams(U[:, :0], w).shape == (4, 0, 0)


def test_proportions_outside_of_the_simplex_have_the_same_derivatives():
    """Slopes of the diagonal with either sign, as line searches meet them."""
    problem = random_problem(15, n_genes=20)
    q = problem.q.copy()
    q[:, 0], q[1, 2] = -0.3, -0.2
    phi = 0.01 * problem.phi
    one, other = (
        log_density(problem.forms[form].pieces(q, problem.y, phi), 20)
        for form in ("lowrank", "dense")
    )
    np.testing.assert_allclose(one.gradient, other.gradient, rtol=1e-9)
    np.testing.assert_allclose(one.hessian, other.hessian, rtol=1e-8)


def test_the_rough_hessian_leaves_out_the_leverages_only():
    problem = random_problem(16, n_genes=30)
    model, q, phi = problem.forms["lowrank"], problem.q, problem.phi
    exact, rough = (m.pieces(q, problem.y, phi) for m in (model, model.approximate_hessian()))
    np.testing.assert_allclose(rough.logdet.value, exact.logdet.value, rtol=1e-13)
    np.testing.assert_allclose(rough.logdet.gradient, exact.logdet.gradient, rtol=1e-13)
    np.testing.assert_allclose(rough.quad.hessian, exact.quad.hessian, rtol=1e-13)
    P = model.factorise(q, phi).P
    for n, i, j in np.ndindex(3, 4, 4):
        b_i, b_j = (2 * q[n, k] * model.D[:, k] + phi[n] * model.mu[:, k] for k in (i, j))
        H = P[n] @ P[n].T  # the leverages
        slow = np.trace(np.diag(b_i) @ H @ np.diag(b_j) @ H)
        left_out = rough.logdet.hessian[n, i, j] - exact.logdet.hessian[n, i, j]
        assert left_out == pytest.approx(slow, rel=1e-7, abs=1e-10)


def test_variances_that_are_not_positive_are_nan_for_their_sample_only():
    problem = random_problem(17, counting=False)
    model = problem.forms["lowrank"]
    q = problem.q.copy()
    q[1] = 0.0
    d = model.moments(q, problem.phi)[1]
    assert np.isnan(d[1]).all()
    assert (d[[0, 2]] > 0).all()
    for order in (0, 1, 2):
        values = model.pieces(q, problem.y, problem.phi, order=order).logdet.value
        assert np.isnan(values).tolist() == [False, True, False]
