"""The likelihood of a shared design as a function of the design: derivatives and what it is."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.algebra.shared_design import least_squares, log_likelihood
from bayesdecov.algebra.subspace import moments, subspace, subspace_hessian

N, L, D, M = 14, 5, 2, 60


@pytest.fixture(scope="module")
def known():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, L))
    Y = (rng.normal(size=(M, L)) + 0.5) @ X.T + 0.5 * rng.normal(size=(M, N))
    W = np.eye(N) + 0.2 * rng.normal(size=(N, N))  # not symmetric either
    lifts, step = rng.normal(size=(N, L, D)), rng.normal(size=(N, D))
    return X + 0.1 * rng.normal(size=X.shape), Y, W, lifts, step


def test_gradient_and_hessian_are_those_of_differences(known):
    X, Y, W, lifts, step = known
    seen, eps = moments(Y, W), 1e-5
    move = np.einsum("iad,id->ia", lifts, step)
    up, down, here = (subspace(X + t * eps * move, seen) for t in (1, -1, 0))
    slopes = [np.einsum("ia,iad->id", at.gradient, lifts).ravel() for at in (up, down, here)]
    assert slopes[2] @ step.ravel() == pytest.approx((up.value - down.value) / (2 * eps), rel=1e-7)
    H = subspace_hessian(here, seen, lifts)
    numeric = (slopes[0] - slopes[1]) / (2 * eps)
    np.testing.assert_allclose(H @ step.ravel(), numeric, atol=1e-6 * np.abs(numeric).max())
    np.testing.assert_array_equal(H, H.T)


def test_it_knows_the_space_of_the_design_only(known):
    X, Y, W, _, _ = known
    seen = moments(Y, W)
    B = np.random.default_rng(1).normal(size=(L, L))
    assert subspace(X @ B, seen).value == pytest.approx(subspace(X, seen).value, rel=1e-12)


def test_it_is_the_likelihood_at_its_maximum(known):
    X, Y, _, _, _ = known
    at = subspace(X, moments(Y, np.eye(N)))
    ls = least_squares(X, Y)
    scatter = (ls.b - ls.mean).T @ (ls.b - ls.mean) / M
    value = log_likelihood(ls, ls.mean, scatter - at.sigma2 * ls.V, at.sigma2)
    df = M * (N - L)
    constant = -0.5 * (M * N * np.log(2 * np.pi) + M * L * (1 - np.log(M)) + df * (1 - np.log(df)))
    assert at.value + constant == pytest.approx(value, rel=1e-12)
    assert at.sigma2 == pytest.approx(ls.rss.sum() / df, rel=1e-12)
