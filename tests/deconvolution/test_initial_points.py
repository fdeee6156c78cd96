"""Where the optimiser starts: points spread over the simplex, least squares, peaks of a scan."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from bayesdecov.algebra.simplex import proportions
from bayesdecov.deconvolution.initial_points import candidates, initial_points, least_squares
from bayesdecov.deconvolution.model import model_of
from tests.deconvolution.problems import problem, reference_of


@pytest.mark.parametrize("n_types", [2, 3, 8, 12])
def test_candidates_lie_inside_of_the_simplex_and_near_each_corner(n_types):
    points = candidates(n_types)
    np.testing.assert_allclose(points.sum(axis=1), 1)
    assert (points > 0).all()
    assert len(np.unique(points.round(12), axis=0)) == len(points)
    assert (points.max(axis=0) > 0.8).all()


def test_least_squares_without_noise_are_the_proportions():
    model, data, p = problem(1)
    exact = least_squares(model, data._replace(y=p @ model.mu.T))
    np.testing.assert_allclose(exact, 0.98 * p + 0.02 / model.n_types, atol=1e-9)
    noisy = least_squares(model, data)
    np.testing.assert_allclose(noisy.sum(axis=1), 1)
    assert (noisy > 0).all()


def test_every_sample_starts_at_least_once_and_no_worse_than_from_least_squares():
    model, data, _ = problem(2)
    rows, theta = initial_points(model, data, model.density.project(data.y), data.phi)
    assert set(rows) == set(range(len(data.y)))
    assert len(rows) <= 2 * len(data.y)
    np.testing.assert_allclose(proportions(theta)[: len(data.y)], least_squares(model, data))


def test_two_cell_types_start_at_every_peak_of_a_grid():
    reference = reference_of(3, n_types=2)
    model = model_of(reference, "none")
    y = np.array([[0.3, 0.7], [0.9, 0.1]]) @ model.mu.T
    data = model.data(y, np.zeros(2))
    rows, theta = initial_points(model, data, model.density.project(y), data.phi)
    first = proportions(theta)[:, 0]
    for i, truth in enumerate((0.3, 0.9)):
        weights, _ = nnls(model.mu, y[i])
        assert weights[0] == pytest.approx(truth)
        assert np.abs(first[rows == i] - truth).min() < 0.05
