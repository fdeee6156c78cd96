"""Errors of proportions: from numbers, tables and draws whose prior is taken out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesdecov.algebra.priors import Dirichlet, SoftmaxNormal
from bayesdecov.errors import InputError, Notes
from bayesdecov.mixed_effects.uncertain import Uncertain, _closed, _weights, uncertain
from bayesdecov.results.posterior_draws import PosteriorDraws

ROWS, TYPES = ["s1", "s2", "s3"], list("xyz")


@pytest.fixture
def table():
    return pd.DataFrame(np.random.default_rng(0).dirichlet(np.ones(3), 3), ROWS, TYPES)


def read(proportions, errors=None):
    return uncertain(proportions, errors, Notes(), needed=True)


def test_standard_errors_come_as_a_number_a_table_or_in_a_pair(table):
    one = read(table, 0.1)
    np.testing.assert_allclose(one.covariance, np.tile(0.01 * np.eye(3), (3, 1, 1)))
    assert one.stated
    assert one.least == 0.0
    errors = pd.DataFrame(np.random.default_rng(1).uniform(0.01, 0.1, (3, 3)), ROWS, TYPES)
    shuffled = errors.iloc[[2, 0, 1], [1, 2, 0]].assign(more=0.5)
    for found in (read(table, errors), read(table, shuffled), read((table, errors))):
        for i, j in np.ndindex(3, 3):
            assert found.covariance[i, j, j] == pytest.approx(errors.iloc[i, j] ** 2)
        assert found.covariance[:, 0, 1:].max() == 0
        pd.testing.assert_frame_equal(found.table, table)
    bare = read(table)
    assert not bare.stated
    assert bare.covariance is None


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        (float("nan"), "standard_errors: must be a number; found nan"),
        (-0.1, "standard_errors: must not be negative; found -0.1"),
        (7.0, "of fractions between 0 and 1; found values up to 7. Divide percentages by 100"),
        (pd.DataFrame(0.1, ROWS[:2], TYPES), "found none for s3"),
        (pd.DataFrame(0.1, ROWS, TYPES[1:]), "found none for x"),
        ([0.1], "standard_errors: must be"),
    ],
    ids=str,
)
def test_standard_errors_that_are_refused(table, errors, message):
    with pytest.raises(InputError, match=message):
        read(table, errors)


def test_errors_that_add_up_to_zero_are_a_normal_given_its_sum():
    """Each of the variances was found by conditioning; correlations are then those of that law."""
    w = np.array([0.3, 0.5, 0.4, 0.45])
    free = np.diag(w)
    ones = np.ones((4, 1))
    given = free - free @ ones @ ones.T @ free / w.sum()
    np.testing.assert_allclose(_closed(np.diag(np.diag(given))), given, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(_closed(given), given)  # sums to 0 already
    two = _closed(np.diag([0.04, 0.04]))
    np.testing.assert_allclose(two, 0.04 * np.array([[1, -1], [-1, 1]]), rtol=1e-6)
    A = np.random.default_rng(2).normal(size=(4, 4))
    full = _closed(A @ A.T)  # correlations that are known are kept but for the sum
    np.testing.assert_allclose(full.sum(axis=1), 0, atol=1e-12)
    contrast = np.array([1.0, -1.0, 0, 0])
    assert contrast @ full @ contrast == pytest.approx(contrast @ A @ A.T @ contrast)


def test_covariances_follow_the_names_of_samples_and_cell_types(table):
    rng = np.random.default_rng(3)
    A = rng.normal(size=(3, 3, 3))
    covariance = A @ A.transpose(0, 2, 1)
    given = Uncertain(table * 0.7, True, covariance)  # do not add up to 1: nothing to close
    picked = given.aligned((table * 0.7).iloc[[2, 0], [1, 2, 0]])
    for i, row in enumerate([2, 0]):
        for a, b in np.ndindex(3, 3):
            assert picked[i, a, b] == covariance[row, [1, 2, 0][a], [1, 2, 0][b]]
    with pytest.raises(InputError, match="must have nonzero errors for method='joint'; found only"):
        Uncertain(table, True, 0 * covariance).aligned(table)


@pytest.mark.parametrize("per_cell", [None, np.array([1.0, 1.0, 1.0]) * 3])
def test_weights_take_a_dirichlet_prior_out(per_cell):
    """Draws of Dirichlet(prior + counts) become Dirichlet(1 + counts), in 5 standard errors."""
    rng, counts, alpha = np.random.default_rng(4), np.array([8.0, 5.0, 12.0]), (3.0, 2.0, 0.7)
    p = rng.dirichlet(counts + alpha, (1, 40_000))
    found = PosteriorDraws(p, pd.Index(["a"]), pd.Index(TYPES), Dirichlet(alpha), per_cell, "cells")
    weights = _weights(found, p, Notes())
    a = 1 + counts
    mean, sd = a / a.sum(), np.sqrt(a * (a.sum() - a) / a.sum() ** 2 / (a.sum() + 1))
    effective = 1 / np.square(weights).sum()
    assert effective > 1000
    assert (np.abs(weights[0] @ p[0] - mean) < 5 * sd / np.sqrt(effective)).all()
    spread = np.sqrt(weights[0] @ (p[0] - mean) ** 2)
    assert (np.abs(spread / sd - 1) < 5 / np.sqrt(effective)).all()


def test_a_softmax_normal_prior_is_taken_out_by_its_density():
    rng = np.random.default_rng(5)
    p = rng.dirichlet([20.0, 30.0, 10.0], (1, 500))
    found = PosteriorDraws(p, pd.Index(["a"]), pd.Index(TYPES), SoftmaxNormal(1.5), None, "mRNA")
    weights = _weights(found, p, Notes())[0]
    z = np.log(p[0]) - np.log(p[0]).mean(axis=1, keepdims=True)
    slow = np.exp(0.5 * np.square(z).sum(axis=1) / 1.5**2) * p[0].prod(axis=1)
    np.testing.assert_allclose(weights, slow / slow.sum(), rtol=1e-9)


def test_a_prior_that_is_unknown_or_decides_everything_stays_in():
    rng, notes = np.random.default_rng(6), Notes()
    p = rng.dirichlet([0.5, 0.5, 0.5], (2, 200))
    unknown = PosteriorDraws(p, pd.Index(["a", "b"]), pd.Index(TYPES), None, None, "mRNA")
    np.testing.assert_allclose(_weights(unknown, p, notes), 1 / 200)
    assert "unknown and was not removed" in notes.lines[-1]
    strong = unknown._replace(prior=Dirichlet(60.0))
    np.testing.assert_allclose(_weights(strong, p, notes), 1 / 200)
    assert "not removed in 2 samples" in notes.lines[-1]
