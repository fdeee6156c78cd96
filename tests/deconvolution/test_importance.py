"""Adaptive importance sampling of targets that are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logsumexp

from bayesdecov.algebra.terms import Term
from bayesdecov.deconvolution.importance import adapt, effective, truncated
from bayesdecov.diagnostics import pareto_k

SHIFT = np.array([[0.0, 0.0], [3.0, -1.0], [-2.0, 2.0]])


def target(x, rows):
    """Normals around `SHIFT`, the last one only where its first coordinate is negative."""
    value = -0.5 * np.square(x - SHIFT[rows]).sum(axis=1) - np.log(2 * np.pi)
    nothing = np.empty(0)
    return Term(np.where((rows == 2) & (x[:, 0] > 0), np.nan, value), nothing, nothing)


def start(rows):
    n = len(rows)
    return SHIFT[rows] + 0.8, np.broadcast_to(0.5 * np.eye(2), (n, 2, 2)), rows


def streams():
    return list(np.random.default_rng(1).spawn(3))


def test_evidence_and_moments_are_right_after_rows_were_taken_and_continued():
    rngs = streams()
    found = adapt(target, *start(np.arange(3)), [300, 300], rngs)
    rows = np.array([1, 2])
    found = found.take(rows)
    found = adapt(target, found.mean, found.root, rows, [2000, 1000], rngs, found)
    assert found.x.shape == (2, 3600, 2)
    assert [size for _, _, size in found.rounds] == [300, 300, 2000, 1000]
    weights = found.log_weights
    evidence = logsumexp(weights, axis=1) - np.log(3600)
    expected = [0.0, np.log(0.97725)]  # of the part below zero
    error = 1 / np.sqrt(effective(weights))
    assert (np.abs(evidence - expected) < 4 * error).all()
    mean = (truncated(weights)[:, :, None] * found.x).sum(axis=1)
    assert np.abs(mean[0] - SHIFT[1]).max() < 4 * error[0]


def test_a_row_does_not_know_the_others():
    together = adapt(target, *start(np.arange(3)), [300, 300], streams())
    alone = adapt(target, *start(np.array([2])), [300, 300], streams())
    np.testing.assert_allclose(alone.x[0], together.x[2], rtol=1e-12)
    np.testing.assert_allclose(alone.log_weights[0], together.log_weights[2], rtol=1e-9)


def test_no_density_is_no_weight():
    found = adapt(target, *start(np.array([2])), [300], streams())
    outside = found.x[0, :, 0] > 0
    assert outside.any()
    assert np.isneginf(found.log_weights[0, outside]).all()
    assert truncated(found.log_weights)[0, outside].sum() == 0


def test_effective_numbers():
    assert effective(np.zeros((1, 50)))[0] == pytest.approx(50)
    assert effective(np.log([[1.0, 1.0, 1e-12, 1e-12]]))[0] == pytest.approx(2)


def test_pareto_shapes_of_rows_of_different_length():
    rng = np.random.default_rng(2)
    weights = np.full((3, 4000), np.nan)
    for row, (shape, size) in enumerate([(0.3, 4000), (0.8, 2500), (0.3, 4000)]):
        weights[row, :size] = shape * rng.exponential(size=size)
    found = pareto_k(weights)
    np.testing.assert_allclose(found, [0.3, 0.8, 0.3], atol=0.2)
    np.testing.assert_allclose(found[1], pareto_k(weights[1:2, :2500])[0], rtol=1e-12)
