"""Baselines against general-purpose solvers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, lsq_linear, minimize

from bayesdecov.baselines import BASELINES


@pytest.fixture
def problem():
    rng = np.random.default_rng(1)
    mu = rng.gamma(2.0, 3.0, (20, 4))
    return mu, rng.dirichlet(np.ones(4) * 0.3, 15) @ mu.T + rng.normal(size=(15, 20))


def test_nnls(problem):
    mu, y = problem
    expected = [lsq_linear(mu, row, (0, np.inf), tol=1e-12).x for row in y]
    np.testing.assert_allclose(BASELINES["nnls"].estimate(mu, y), expected, atol=1e-6)


def test_simplex(problem):
    mu, y = problem
    found = BASELINES["simplex"].estimate(mu, y)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found == 0).any()
    for row, p in zip(y, found, strict=True):
        best = minimize(
            lambda q, row=row: ((row - mu @ q) ** 2).sum(), np.full(4, 0.25), bounds=[(0, 1)] * 4,
            constraints=LinearConstraint(np.ones(4), 1, 1), method="SLSQP",
            options={"ftol": 1e-12},
        )  # fmt: skip
        assert ((row - mu @ p) ** 2).sum() <= best.fun + 1e-6


def test_every_record_is_complete():
    for name, baseline in BASELINES.items():
        assert baseline.name == name
        assert baseline.title
        assert baseline.doi.startswith("10.")
