"""Importance sampling around the mode against integrals on a grid; resampling."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.algebra.density import evaluate
from bayesdecov.deconvolution.laplace import _resample, laplace
from bayesdecov.deconvolution.model import model_of
from tests.deconvolution.problems import problem, reference_of


def test_draws_have_the_moments_of_the_exact_posterior_near_an_edge():
    """Two cell types: the posterior of a share on a grid of 4,000 points."""
    model = model_of(reference_of(1, n_types=2), "none")
    share = np.array([0.02, 0.5])
    p = np.column_stack([share, 1 - share])
    rng = np.random.default_rng(0)
    y = p @ model.mu.T + model.covariance.draw(p, rng)
    data = model.data(y, np.zeros(2))
    found = laplace(model, data, 4000, list(rng.spawn(2)))
    grid = (np.arange(4000) + 0.5) / 4000
    q = np.column_stack([grid, 1 - grid])
    for i in range(2):
        projected = model.density.project(np.tile(y[i], (len(q), 1)))
        value = model.target(evaluate(model.density, q, projected, np.zeros(len(q)), order=0)).value
        weight = np.exp(value - value.max())
        mean = weight @ grid / weight.sum()
        sd = np.sqrt(weight @ (grid - mean) ** 2 / weight.sum())
        drawn = found.p[i, 0, :, 0]
        # about 1,500 effective proposals
        assert abs(drawn.mean() - mean) < 4 * sd / np.sqrt(1500)
        assert drawn.std() == pytest.approx(sd, rel=4 / np.sqrt(2 * 1500))


def test_a_sample_has_its_own_stream():
    model, data, _ = problem(2)
    whole = laplace(model, data, 50, [np.random.default_rng([7, i]) for i in range(4)])
    last = laplace(model, data.rows(2, 4), 50, [np.random.default_rng([7, i]) for i in (2, 3)])
    np.testing.assert_allclose(last.p, whole.p[2:], atol=1e-12)
    np.testing.assert_allclose(last.log_weights, whole.log_weights[2:, : last.log_weights.shape[1]])


def test_resampling_takes_each_as_often_as_its_weight_says():
    weights = np.random.default_rng(3).dirichlet(np.ones(20))
    chosen = _resample(weights, 1000, np.random.default_rng(4))
    assert np.abs(np.bincount(chosen, minlength=20) - 1000 * weights).max() < 1
    assert (np.diff(chosen) < 0).any()  # in random order
