"""Positive least squares in log coordinates: gradients, maxima, the curvature of absent types."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from bayesdecov.platform.positive import Profiles, _objective, fit_positive, rough


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    matrix = rng.gamma(1.0, 10.0, (60, 5))
    q = np.array([[5.0, 3.0, 1.0, 0.5, 0.2], [1.0, 1.0, 2.0, 3.0, 0.1], [4.0, 0.0, 2.0, 1.0, 0.3]])
    mean = q @ matrix.T
    y = mean * (1 + 0.1 * rng.normal(size=mean.shape))
    return matrix, q, y, 1 / (0.1 * mean) ** 2


def test_products_of_profiles(problem):
    matrix, _, _, weights = problem
    profiles = Profiles(matrix, 4)
    np.testing.assert_allclose(
        profiles.gram(weights), np.stack([matrix.T @ (w[:, None] * matrix) for w in weights])
    )
    M = np.cov(np.random.default_rng(1).normal(size=(5, 9)))
    np.testing.assert_allclose(
        profiles.quadratic(M[None])[0], np.einsum("gi,ij,gj->g", matrix, M, matrix)
    )
    np.testing.assert_allclose(
        profiles.scaled(np.arange(60.0)).matrix, matrix * np.arange(60.0)[:, None]
    )


def test_derivatives_are_those_of_the_value(problem):
    matrix, q, y, weights = problem
    profiles = Profiles(matrix, 4)
    gram, linear = profiles.gram(weights), (weights * y) @ matrix
    x = np.log(q + 0.1)
    _, gradient, _ = _objective(x, gram, linear, 4, 0.5)
    for j in range(5):
        step = np.zeros(5)
        step[j] = 1e-6
        up, down = (_objective(x + s * step, gram, linear, 4, 0.5)[0] for s in (1, -1))
        np.testing.assert_allclose(gradient[:, j], (up - down) / 2e-6, rtol=1e-4, atol=1e-3)


def test_the_maximum_has_no_gradient_whatever_the_start(problem):
    matrix, _, y, weights = problem
    profiles = Profiles(matrix, 4)
    found = [
        fit_positive(y, profiles, weights, start, 0.5)
        for start in (np.zeros((3, 5)), rough(y, matrix), np.full((3, 5), 3.0))
    ]
    gram, linear = profiles.gram(weights), (weights * y) @ matrix
    _, gradient, _ = _objective(found[0].log_q, gram, linear, 4, 0.5)
    assert np.abs(gradient).max() < 0.01
    for other in found[1:]:
        np.testing.assert_allclose(
            np.exp(other.log_q), np.exp(found[0].log_q), rtol=1e-2, atol=1e-4
        )


def test_without_a_prior_it_is_positive_least_squares(problem):
    matrix, _, y, weights = problem
    found = fit_positive(y, Profiles(matrix, 4), weights, np.zeros((3, 5)), 1e-9)
    for each, w, log_q in zip(y, weights, found.log_q, strict=True):
        root = np.sqrt(w)
        np.testing.assert_allclose(
            np.exp(log_q), nnls(matrix * root[:, None], each * root)[0], atol=0.02
        )


def test_the_information_is_minus_the_hessian(problem):
    """Where a type is absent too: its logarithm has the curvature of a log-gamma."""
    matrix, _, y, weights = problem
    profiles = Profiles(matrix, 5)
    found = fit_positive(y, profiles, weights, np.zeros((3, 5)), 0.5)
    gram, linear = profiles.gram(weights), (weights * y) @ matrix
    for j in range(5):
        step = np.zeros(5)
        step[j] = 1e-4
        up, down = (
            _objective(found.log_q + s * step, gram, linear, 5, 0.5)[1][:, j] for s in (1, -1)
        )
        hessian = -(up - down) / 2e-4
        p = np.exp(found.log_q)
        p /= p.sum(axis=1, keepdims=True)
        below = p[:, j] < 1 / 5  # above, the information is a little larger, so that it is positive
        np.testing.assert_allclose(
            found.information[below, j, j], hessian[below], rtol=0.02, atol=0.02
        )
        assert (found.information[:, j, j] >= hessian - 0.02 * np.abs(hessian) - 0.02).all()
    assert (np.linalg.eigvalsh(found.information) > 0).all()


def test_rough_is_positive_and_near(problem):
    matrix, q, y, _ = problem
    found = np.exp(rough(y, matrix))
    assert (found > 0).all()
    np.testing.assert_allclose(found, q, atol=0.5)
