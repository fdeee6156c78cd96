"""The simplex map and its chain rule against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bayesdecov.algebra import simplex
from bayesdecov.algebra.simplex import proportions, theta_of, to_cells, to_mrna
from bayesdecov.algebra.terms import Term
from tests.algebra.problems import difference

numbers = st.floats(-30, 30)
sizes = st.floats(1e-3, 1e3)


@pytest.mark.parametrize("n_types", [2, 3, 5, 8])
def test_map_and_its_derivatives(n_types):
    theta = np.random.default_rng(n_types).normal(size=(4, n_types - 1))
    p = simplex.proportions(theta)
    np.testing.assert_allclose(p.sum(1), 1.0, rtol=1e-14)
    np.testing.assert_allclose(simplex.theta_of(p), theta, rtol=1e-10, atol=1e-12)
    J = difference(simplex.proportions, theta)
    np.testing.assert_allclose(simplex.jacobian(p), J, atol=1e-9)
    second = difference(lambda t: simplex.jacobian(simplex.proportions(t)), theta)
    np.testing.assert_allclose(simplex.second_derivatives(p), second, atol=1e-9)


@pytest.mark.parametrize("free_scale", [False, True])
@pytest.mark.parametrize("n_types", [2, 4, 8])
def test_chain_rule(n_types, free_scale):
    rng = np.random.default_rng(n_types)
    A = rng.normal(size=(n_types, n_types))
    A = A @ A.T
    b = rng.normal(size=n_types)

    def split(x):
        p = simplex.proportions(x[:, : n_types - 1])
        return p, (np.exp(x[:, -1]) if free_scale else None)

    def term(x):
        p, s = split(x)
        q = p if s is None else s[:, None] * p
        value = np.sin(q @ b) + 0.5 * np.einsum("ni,ij,nj->n", q, A, q)
        gradient = np.cos(q @ b)[:, None] * b + q @ A
        hessian = -np.sin(q @ b)[:, None, None] * np.outer(b, b) + A
        return simplex.pull_back(Term(value, gradient, hessian), p, s)

    x = rng.normal(size=(5, n_types - 1 + free_scale)) * 0.7
    got = term(x)
    np.testing.assert_allclose(got.gradient, difference(lambda t: term(t).value, x), atol=1e-7)
    np.testing.assert_allclose(got.hessian, difference(lambda t: term(t).gradient, x), atol=1e-6)


@given(arrays(float, st.tuples(st.integers(1, 5), st.integers(1, 60)), elements=numbers))
def test_any_coordinates_are_proportions(theta):
    p = proportions(theta)
    assert p.shape == (len(theta), theta.shape[1] + 1)
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)
    if p.min() > 1e-12:
        np.testing.assert_allclose(theta_of(p), theta, atol=1e-8)


@given(arrays(float, (3, 4), elements=sizes), arrays(float, 4, elements=sizes))
def test_cells_and_mrna_are_inverse(weights, per_cell):
    p = weights / weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(to_mrna(to_cells(p, per_cell), per_cell), p, rtol=1e-9)


def test_extreme_coordinates_neither_overflow_nor_lose_the_small_logarithms():
    theta = np.array([[800.0, -800.0], [-1e5, 0.0]])
    log_p = simplex.log_proportions(theta)
    np.testing.assert_allclose(log_p[0], [0.0, -1600.0, -800.0], rtol=1e-12)
    np.testing.assert_allclose(log_p[1], [-1e5 - np.log(2), -np.log(2), -np.log(2)], rtol=1e-12)


@pytest.mark.parametrize("n_types", [2, 3, 7])
def test_isometric_log_ratios_are_orthonormal_and_undone_by_softmax(n_types):
    V = simplex.log_ratio_basis(n_types)
    assert V.shape == (n_types, n_types - 1)
    np.testing.assert_allclose(V.T @ V, np.eye(n_types - 1), atol=1e-12)
    np.testing.assert_allclose(V.sum(axis=0), 0, atol=1e-12)
    p = np.random.default_rng(n_types).dirichlet(np.ones(n_types), 4)
    weights = np.exp(np.log(p) @ V @ V.T)
    np.testing.assert_allclose(weights / weights.sum(axis=1, keepdims=True), p, rtol=1e-10)


def test_cells_are_shares_of_mrna_over_mrna_per_cell_whatever_its_unit():
    p, per_cell = np.array([[0.2, 0.3, 0.5]]), np.array([1.0, 3.0, 0.5])
    np.testing.assert_allclose(to_cells(p, per_cell), [[2 / 13, 1 / 13, 10 / 13]], rtol=1e-12)
    np.testing.assert_allclose(to_cells(p, 7 * per_cell), to_cells(p, per_cell), rtol=1e-12)
    np.testing.assert_allclose(to_cells(p, np.full(3, 4.0)), p, rtol=1e-12)


@pytest.mark.parametrize("free_scale", [False, True])
def test_the_chain_rule_without_a_hessian_is_the_same_gradient(free_scale):
    rng = np.random.default_rng(3)
    p, s = rng.dirichlet(np.ones(4), 5), rng.uniform(0.5, 2, 5) if free_scale else None
    g, H = rng.normal(size=(5, 4)), rng.normal(size=(5, 4, 4))
    whole = simplex.pull_back(Term(np.zeros(5), g, H + H.transpose(0, 2, 1)), p, s)
    first = simplex.pull_back(Term(np.zeros(5), g, np.empty(0)), p, s)
    np.testing.assert_allclose(first.gradient, whole.gradient, rtol=1e-12)
    assert first.hessian.size == 0


def test_the_chain_rule_contracts_the_second_derivatives():
    rng = np.random.default_rng(4)
    p, g, H = rng.dirichlet(np.ones(4), 5), rng.normal(size=(5, 4)), rng.normal(size=(5, 4, 4))
    J, second = simplex.jacobian(p), simplex.second_derivatives(p)
    slow = np.einsum("nia,nij,njb->nab", J, H, J) + np.einsum("ni,niab->nab", g, second)
    found = simplex.pull_back(Term(np.zeros(5), g, H), p).hessian
    np.testing.assert_allclose(found, slow, rtol=1e-10, atol=1e-12)


def test_shifts_move_logarithms_in_turn_and_are_taken_back():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), (3, 2, 10))
    shift = rng.normal(0, 0.5, (5, 3, 4))
    found = simplex.shift_log_ratios(p, shift)
    np.testing.assert_allclose(found.sum(axis=-1), 1)
    step = np.log(found / p)[1, 0, 7]
    expected = shift[2, 1]
    np.testing.assert_allclose(step - step[0], expected - expected[0])
    np.testing.assert_allclose(simplex.shift_log_ratios(found, -shift), p)


def test_the_covariance_of_shifts_is_that_of_shifted_draws():
    rng = np.random.default_rng(0)
    p = np.array([[0.3, 0.3, 0.4]])
    shift = rng.normal(0, 0.3, (4000, 1, 3))
    draws = simplex.shift_log_ratios(np.broadcast_to(p[:, None], (1, 4000, 3)), shift)
    found = simplex.second_moments(simplex.moves_of_shifts(p, shift))[0]
    np.testing.assert_allclose(found, np.cov(draws[0].T), rtol=0.02, atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=0), 0, atol=1e-12)
