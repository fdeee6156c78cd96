"""Any form, in any chunks and at shared points: the same values."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.algebra import dense, lowrank
from bayesdecov.algebra.density import evaluate
from bayesdecov.algebra.terms import log_density
from tests.algebra.problems import random_problem


@pytest.mark.parametrize("form", ["dense", "lowrank", "compressed"])
def test_scan_gives_the_values_of_pieces(form):
    shared = form == "compressed"
    problem = random_problem(6, n_genes=30, shared=shared, counting=not shared)
    phi = problem.phi[0]
    model = problem.forms[form]
    y = model.project(problem.y) if shared else problem.y
    points = np.random.default_rng(0).dirichlet(np.ones(4), 5)
    scanned = log_density(model.scan(points, y, phi), 30).value
    assert scanned.shape == (3, 5)
    for k, point in enumerate(points):
        one = model.pieces(np.tile(point, (3, 1)), y, np.full(3, phi), order=0)
        np.testing.assert_allclose(scanned[:, k], log_density(one, 30).value, rtol=1e-11)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("form", ["dense", "lowrank", "compressed"])
def test_chunks_do_not_matter(form, order, monkeypatch):
    """Seven samples, two at a time: the last one is alone."""
    shared = form == "compressed"
    problem = random_problem(18, n=7, n_genes=30, shared=shared, counting=not shared)
    model = problem.forms[form]
    y = model.project(problem.y)
    whole = evaluate(model, problem.q, y, problem.phi, order=order)
    assert model.chunk >= 7
    for module in (dense, lowrank):
        monkeypatch.setattr(module, "_CHUNK_FLOATS", int(2.5 * module._CHUNK_FLOATS / model.chunk))
    assert model.chunk == 2
    parts = evaluate(model, problem.q, y, problem.phi, order=order)
    for one, other in zip(parts[:2], whole[:2], strict=True):
        for left, right in zip(one, other, strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-9)
    for one, other in zip(parts[2:], whole[2:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)
    assert parts.quad.hessian.size == (7 * 16 if order == 2 else 0)
