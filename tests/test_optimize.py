"""The optimiser on functions that have nothing to do with deconvolution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der, rosen_hess

from bayesdecov.algebra.terms import Term
from bayesdecov.optimize import marquardt


def _rosenbrock(x, rows):
    return Term(
        -np.array([rosen(point) for point in x]),
        -np.array([rosen_der(point) for point in x]),
        -np.array([rosen_hess(point) for point in x]),
    )


def test_rosenbrock_from_many_starts():
    starts = np.random.default_rng(0).uniform(-2, 2, (20, 3))
    found = marquardt(_rosenbrock, starts)
    ends = np.array([minimize(rosen, s, jac=rosen_der, method="BFGS").x for s in starts])
    assert found.converged.all()
    assert (found.rdm < 1e-7).all()
    # a start may lie in the basin of the local minimum near (-1, 1, 1): compare values
    theirs = np.array([rosen(end) for end in ends])
    assert (-found.value <= theirs + 1e-6).mean() > 0.8
    np.testing.assert_allclose(found.gradient, 0, atol=1e-3)


def test_problems_do_not_influence_each_other():
    starts = np.random.default_rng(1).uniform(-2, 2, (6, 2))
    together = marquardt(_rosenbrock, starts)
    for i, start in enumerate(starts):
        alone = marquardt(_rosenbrock, start[None])
        np.testing.assert_array_equal(alone.x[0], together.x[i])
        assert alone.iterations[0] == together.iterations[i]


def test_rows_say_which_problem_is_evaluated():
    targets = np.array([[1.0], [-2.0], [5.0]])

    def objective(x, rows):
        gap = x - targets[rows]
        return Term(-(gap[:, 0] ** 2), -2 * gap, np.full((len(x), 1, 1), -2.0))

    np.testing.assert_allclose(marquardt(objective, np.zeros((3, 1))).x, targets, atol=1e-10)


def test_a_saddle_is_left():
    """x^2 - y^2 - x^4 at the origin: gradient zero, not a maximum."""

    def objective(x, rows):
        a, b = x[:, 0], x[:, 1]
        zero = np.zeros_like(a)
        hessian = np.stack([np.stack([2 - 12 * a**2, zero], -1), np.stack([zero, zero - 2], -1)], 1)
        gradient = np.stack([2 * a - 4 * a**3, -2 * b], -1)
        return Term(a**2 - b**2 - a**4, gradient, hessian)

    found = marquardt(objective, np.array([[1e-4, 0.5]]))
    assert found.converged.all()
    assert abs(found.x[0, 0]) == pytest.approx(np.sqrt(0.5), rel=1e-6)


def test_a_maximum_at_infinity_settles_on_the_natural_scale():
    """-exp(x) grows as x goes to minus infinity; exp(x) settles at zero."""

    def objective(x, rows):
        e = np.exp(x[:, 0])
        return Term(-e, -e[:, None], -e[:, None, None])

    found = marquardt(objective, np.zeros((1, 1)), natural=np.exp)
    assert found.converged.all()
    assert np.exp(found.x[0, 0]) < 1e-5
    assert found.iterations[0] < 15


def test_no_convergence_is_a_field_not_an_exception():
    found = marquardt(_rosenbrock, np.array([[-1.5, 2.0]]), max_iterations=3)
    assert not found.converged.any()
    assert found.iterations[0] == 3
    never = marquardt(lambda x, rows: Term(x[:, 0] * np.nan, x, x[:, :, None]), np.ones((2, 1)))
    assert not never.converged.any()
