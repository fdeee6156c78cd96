"""Priors of proportions against finite differences and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.special import gammaln
from scipy.stats import dirichlet

from bayesdecov.algebra import simplex
from bayesdecov.algebra.priors import Dirichlet, SoftmaxNormal
from tests.algebra.problems import difference


@pytest.mark.parametrize("jacobian", [False, True])
@pytest.mark.parametrize(
    "prior", [Dirichlet(), Dirichlet(0.4), Dirichlet((2.0, 1.0, 3.0, 0.5)), SoftmaxNormal(0.8)]
)
def test_prior_derivatives(prior, jacobian):
    theta = np.random.default_rng(0).normal(size=(3, 3))
    term = prior.log_prior(theta, jacobian=jacobian)
    numeric = difference(lambda t: prior.log_prior(t, jacobian=jacobian).value, theta)
    np.testing.assert_allclose(term.gradient, numeric, atol=1e-8)
    bend = difference(lambda t: prior.log_prior(t, jacobian=jacobian).gradient, theta)
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


def test_the_density_of_coordinates_integrates_to_the_dirichlets_constant():
    """By quadrature over both coordinates of three cell types."""
    alpha = (2.0, 1.0, 3.0)

    def density(a, b):
        return np.exp(Dirichlet(alpha).log_prior(np.array([[a, b]]), jacobian=True).value[0])

    total = dblquad(density, -25, 25, -25, 25, epsabs=1e-7, epsrel=1e-5)[0]
    assert np.log(total) == pytest.approx(gammaln(alpha).sum() - gammaln(6), abs=1e-3)


@pytest.mark.parametrize("n_types", [2, 5])
def test_softmax_normal_is_independent_normals_less_their_mean(n_types):
    """Its covariance of log-ratios to the last type is that of differences."""
    theta = np.zeros((1, n_types - 1))
    H = SoftmaxNormal(0.7).log_prior(theta, jacobian=False).hessian[0]
    differences = np.hstack([np.eye(n_types - 1), -np.ones((n_types - 1, 1))])
    np.testing.assert_allclose(np.linalg.inv(-H), 0.49 * differences @ differences.T, rtol=1e-10)


@pytest.mark.parametrize("jacobian", [False, True])
@pytest.mark.parametrize("prior", [Dirichlet(0.4), Dirichlet((2.0, 1.0, 3.0)), SoftmaxNormal(0.8)])
def test_the_first_order_is_the_same_without_a_hessian(prior, jacobian):
    theta = np.random.default_rng(5).normal(size=(4, 2))
    whole = prior.log_prior(theta, jacobian=jacobian)
    first = prior.log_prior(theta, jacobian=jacobian, order=1)
    np.testing.assert_array_equal(first.value, whole.value)
    np.testing.assert_array_equal(first.gradient, whole.gradient)
    assert first.hessian.size == 0


def test_a_flat_prior_is_flat_also_at_the_edge():
    theta = np.array([[0.3, -2.0], [900.0, -900.0]])
    for part in Dirichlet().log_prior(theta, jacobian=False):
        np.testing.assert_array_equal(part, 0)


def test_the_mode_of_the_coordinates_is_where_alpha_says():
    alpha = np.array([2.0, 1.0, 3.0])
    theta = simplex.theta_of((alpha / alpha.sum())[None])
    at = Dirichlet(tuple(alpha)).log_prior(theta, jacobian=True)
    np.testing.assert_allclose(at.gradient, 0, atol=1e-12)
    inside = simplex.theta_of(((alpha[[0, 0, 2]] - 1) / 4)[None])  # (2, 2, 3) in proportions
    flat = Dirichlet((2.0, 2.0, 3.0)).log_prior(inside, jacobian=False)
    np.testing.assert_allclose(flat.gradient, 0, atol=1e-12)
