"""The normal at the mode, and what is reported of draws, against sums and differences."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.algebra.priors import Dirichlet
from bayesdecov.algebra.simplex import proportions, theta_of
from bayesdecov.deconvolution.fit import log_posterior
from bayesdecov.deconvolution.model import EQ8
from bayesdecov.deconvolution.posterior import laplace_approximation, maxima, summarise
from tests.deconvolution.problems import problem


@pytest.mark.parametrize("options", [{}, {"free_size": True}, {"prior": Dirichlet(2.0)}])
def test_the_covariance_is_the_inverse_curvature_at_the_mode(options):
    model, data, _ = problem(1, **options)
    found = laplace_approximation(model, data)
    density = log_posterior(model, found.modes.projected, found.modes.phi, jacobian=True)
    rows, x, step = np.arange(len(data.y)), found.modes.x, 1e-4
    np.testing.assert_allclose(density(x, rows).gradient, 0, atol=1e-3)
    k = x.shape[1]
    H = np.empty((len(rows), k, k))
    for a in range(k):
        move = step * np.eye(k)[a]
        change = density(x + move, rows).gradient - density(x - move, rows).gradient
        H[:, a] = change / (2 * step)
    np.testing.assert_allclose(found.covariance, np.linalg.inv(-H), rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(found.root @ found.root.transpose(0, 2, 1), found.covariance)
    assert not found.expected_information.any()


def test_a_summary_holds_moments_of_the_draws_in_the_unit_of_the_bulk():
    model, data, _ = problem(2, free_size=True)
    normal = laplace_approximation(model, data)
    x = normal.modes.x[:, None, None] + 0.1 * np.random.default_rng(0).normal(size=(4, 2, 50, 3))
    found = summarise(model, data, normal, x, {}, np.empty((4, 0)))
    p = proportions(x.reshape(-1, 3)[:, :2]).reshape(4, 100, 3)
    np.testing.assert_allclose(found.p.reshape(4, 100, 3), p)
    np.testing.assert_allclose(found.estimates.p, p.mean(axis=1))
    for i in range(4):
        np.testing.assert_allclose(found.estimates.covariance[i], np.cov(p[i].T))
    size = np.exp(x[..., 2]) * data.unit[:, None, None]
    np.testing.assert_allclose(found.size, size)
    np.testing.assert_allclose(found.estimates.size, size.reshape(4, -1).mean(axis=1))
    np.testing.assert_allclose(found.mode[:, 2], normal.modes.x[:, 2] + np.log(data.unit))


def test_shifts_move_the_last_cell_type_and_keep_the_others_in_proportion():
    model, data, _ = problem(3)
    normal = laplace_approximation(model, data)
    x = np.repeat(normal.modes.x[:, None, None], 6, axis=2)
    shift = np.zeros((3, 4, 3))
    shift[:, :, -1] = np.array([0.5, -0.5, 0.0])[:, None]
    plain, moved = (
        summarise(model, each, normal, x, {}, np.empty((4, 0))).p
        for each in (data, data._replace(shared_shift=shift))
    )
    odds = np.log(moved[..., -1] / (1 - moved[..., -1]) * (1 - plain[..., -1]) / plain[..., -1])
    np.testing.assert_allclose(odds[0, 0], [0.5, -0.5, 0, 0.5, -0.5, 0], atol=1e-10)
    np.testing.assert_allclose(moved[..., 0] / moved[..., 1], plain[..., 0] / plain[..., 1])


def test_without_a_prior_both_maxima_are_one_and_the_papers_prior_moves_one_of_them():
    model, data, _ = problem(4)
    highest, likeliest = maxima(model, data)
    np.testing.assert_array_equal(highest, likeliest)
    paper, _, _ = problem(4, logdet_weight=EQ8)
    highest, again = maxima(paper, data)
    np.testing.assert_allclose(again, likeliest, atol=1e-7)
    assert np.abs(highest - likeliest).max() > 1e-3


def test_a_mode_on_the_edge_of_the_simplex_keeps_a_finite_covariance():
    model, data, _ = problem(5)
    edge = np.array([[1.0, 0.0, 0.0]]) @ model.mu.T
    found = laplace_approximation(model, data.rows(0, 1)._replace(y=edge))
    assert np.isfinite(found.covariance).all()
    assert proportions(found.modes.x)[0, 0] > 0.8  # of log-ratios, whose density ends inside
    assert np.isfinite(theta_of(proportions(found.modes.x))).all()
