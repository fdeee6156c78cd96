"""The simplex map, its chain rule and the priors against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import dirichlet

from bayesdecov.algebra import simplex
from bayesdecov.algebra.priors import Dirichlet, SoftmaxNormal
from bayesdecov.algebra.terms import Term


def _difference(function, x, step=1e-5):
    """Central differences of a batched function along every coordinate, last axis."""
    columns = []
    for j in range(x.shape[1]):
        shift = np.zeros(x.shape[1])
        shift[j] = step
        columns.append((function(x + shift) - function(x - shift)) / (2 * step))
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("n_types", [2, 3, 5, 8])
def test_map_and_its_derivatives(n_types):
    theta = np.random.default_rng(n_types).normal(size=(4, n_types - 1))
    p = simplex.proportions(theta)
    np.testing.assert_allclose(p.sum(1), 1.0, rtol=1e-14)
    np.testing.assert_allclose(simplex.theta_of(p), theta, rtol=1e-10, atol=1e-12)
    J = _difference(simplex.proportions, theta)
    np.testing.assert_allclose(simplex.jacobian(p), J, atol=1e-9)
    second = _difference(lambda t: simplex.jacobian(simplex.proportions(t)), theta)
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
    np.testing.assert_allclose(got.gradient, _difference(lambda t: term(t).value, x), atol=1e-7)
    np.testing.assert_allclose(got.hessian, _difference(lambda t: term(t).gradient, x), atol=1e-6)


@pytest.mark.parametrize("jacobian", [False, True])
@pytest.mark.parametrize(
    "prior", [Dirichlet(), Dirichlet(0.4), Dirichlet((2.0, 1.0, 3.0, 0.5)), SoftmaxNormal(0.8)]
)
def test_prior_derivatives(prior, jacobian):
    theta = np.random.default_rng(0).normal(size=(3, 3))
    term = prior.log_prior(theta, jacobian=jacobian)
    numeric = _difference(lambda t: prior.log_prior(t, jacobian=jacobian).value, theta)
    np.testing.assert_allclose(term.gradient, numeric, atol=1e-8)
    bend = _difference(lambda t: prior.log_prior(t, jacobian=jacobian).gradient, theta)
    np.testing.assert_allclose(term.hessian, bend, atol=1e-8)


def test_dirichlet_is_scipys_up_to_its_constant():
    theta = np.random.default_rng(4).normal(size=(6, 2))
    p = simplex.proportions(theta)
    ours = Dirichlet((2.0, 3.0, 1.5)).log_prior(theta, jacobian=False).value
    theirs = np.array([dirichlet([2.0, 3.0, 1.5]).logpdf(row) for row in p])
    np.testing.assert_allclose(ours - ours[0], theirs - theirs[0], rtol=1e-12)


def test_softmax_normal_does_not_care_about_the_order_of_cell_types():
    p = np.random.default_rng(1).dirichlet([1.0, 2.0, 3.0], 4)
    prior = SoftmaxNormal(1.0)
    one = prior.log_prior(simplex.theta_of(p), jacobian=True).value
    other = prior.log_prior(simplex.theta_of(p[:, [2, 0, 1]]), jacobian=True).value
    np.testing.assert_allclose(one, other, rtol=1e-12)
