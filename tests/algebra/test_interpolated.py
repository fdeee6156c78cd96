"""Densities that cut a corner: how far they are from the exact one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bayesdecov.algebra.interpolated import helps, interpolate
from bayesdecov.algebra.lowrank import LowRank
from bayesdecov.algebra.terms import log_density
from tests.algebra.problems import random_problem


@pytest.fixture(scope="module")
def problem():
    return random_problem(3, n=1, n_genes=400, n_types=6, rank=6)


@pytest.fixture(scope="module")
def points(problem):
    """Log-ratios around those of the sample, as wide as those of a posterior."""
    rng = np.random.default_rng(5)
    theta = np.log(problem.q) + 0.1 * rng.standard_t(5, (600, 6))
    theta[0] = np.log(problem.q[0])
    q = np.exp(theta)
    return q / q.sum(axis=1, keepdims=True)


def _values(density, problem, q):
    n = len(q)
    pieces = density.pieces(q, np.repeat(problem.y, n, 0), np.repeat(problem.phi, n), order=0)
    return log_density(pieces, density.n_genes).value


def test_values_between_the_points_of_support(problem, points):
    exact: LowRank = problem.forms["lowrank"]
    assert helps(exact)
    found = interpolate(exact, points[:100], float(problem.phi[0]))
    assert len(found.genes) < 60  # of 400
    value = _values(exact, problem, points[100:])
    error = np.abs(_values(found, problem, points[100:]) - value)
    weighty = value > value.max() - 15  # a posterior has nothing beyond
    assert weighty.sum() > 300
    assert weighty.mean() < 0.9
    assert error[weighty].max() < 2e-3
    assert error.max() < 0.1


def test_points_of_support_are_met_closely(problem, points):
    exact = problem.forms["lowrank"]
    found = interpolate(exact, points[:100], float(problem.phi[0]))
    _, d = exact.moments(points[:20], np.repeat(problem.phi, 20))
    np.testing.assert_allclose(found.grams(d), exact.grams(d), rtol=1e-3, atol=1e-3)


def test_derivatives_stay_exact(problem):
    exact = problem.forms["lowrank"]
    found = interpolate(exact, np.repeat(problem.q, 3, 0), float(problem.phi[0]))
    ours = found.pieces(problem.q, problem.y, problem.phi)
    theirs = exact.pieces(problem.q, problem.y, problem.phi)
    np.testing.assert_array_equal(ours.logdet.hessian, theirs.logdet.hessian)


def test_helps_only_where_something_is_saved(problem):
    few_genes = random_problem(1, n_genes=30, rank=6)
    assert not helps(few_genes.forms["lowrank"])
    assert not helps(problem.forms["dense"])
    exact = problem.forms["lowrank"]
    assert not helps(replace(exact, U=exact.U[:, :6], owner=exact.owner[:6]))


def test_the_rough_hessian_differs_by_a_little_and_nothing_else_does(problem):
    exact = problem.forms["lowrank"]
    full, rough = (
        density.pieces(problem.q, problem.y, problem.phi)
        for density in (exact, exact.approximate_hessian())
    )
    assert not np.array_equal(full.logdet.hessian, rough.logdet.hessian)
    scale = np.abs(full.logdet.hessian).max()
    np.testing.assert_allclose(rough.logdet.hessian, full.logdet.hessian, atol=0.1 * scale)
    np.testing.assert_array_equal(rough.logdet.gradient, full.logdet.gradient)
    np.testing.assert_array_equal(rough.quad.hessian, full.quad.hessian)


def test_a_negative_proportion_has_its_hessian_too(problem):
    exact = problem.forms["lowrank"]
    q = problem.q.copy()
    q[:, 0] = -0.05
    step = np.array([1e-5, 0, 0, 0, 0, 0])
    up, down = (exact.pieces(q + s * step, problem.y, problem.phi, order=1) for s in (1, -1))
    bend = (up.logdet.gradient - down.logdet.gradient) / 2e-5
    found = exact.pieces(q, problem.y, problem.phi).logdet.hessian[:, 0]
    np.testing.assert_allclose(found, bend, rtol=1e-5, atol=1e-3)
