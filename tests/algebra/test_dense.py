"""Full covariances against scipy, and what a sample without a density does to the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal, multivariate_t

from bayesdecov.algebra.dense import Dense
from bayesdecov.algebra.terms import log_density
from tests.algebra.problems import evaluate, random_problem


@pytest.mark.parametrize("df", [None, 4.0])
def test_dense_equals_scipy(df):
    problem = random_problem(1)
    model: Dense = problem.forms["dense"]
    ours = evaluate(problem, "dense", df=df)[0].value
    for i, (q, y, phi) in enumerate(zip(problem.q, problem.y, problem.phi, strict=True)):
        V = np.tensordot(q**2, model.Sigma, 1) + np.diag(phi * model.mu @ q + phi**2 / 4)
        law = (
            multivariate_normal(model.mu @ q, V)
            if df is None
            else multivariate_t(model.mu @ q, V, df=df)
        )
        assert ours[i] == pytest.approx(law.logpdf(y), rel=1e-12)


def test_a_matrix_that_is_not_positive_definite_gives_nan_for_its_sample_only():
    problem = random_problem(2)
    model: Dense = problem.forms["dense"]
    Sigma = model.Sigma.copy()
    Sigma[0] = -Sigma[0]
    broken = replace(model, Sigma=Sigma)
    q = problem.q.copy()
    q[0] = [0.97, 0.01, 0.01, 0.01]
    q[1:, 0] = 0.0
    pieces = broken.pieces(q, problem.y, problem.phi * 0)
    assert np.isnan(pieces.quad.value[0])
    assert np.isfinite(pieces.quad.value[1:]).all()


def density(model, q, y, phi):
    return log_density(model.pieces(q, y, phi), model.n_genes)


def test_the_order_of_genes_and_cell_types_does_not_matter():
    problem = random_problem(11)
    model: Dense = problem.forms["dense"]
    base = density(model, problem.q, problem.y, problem.phi)
    genes, types = np.random.default_rng(0).permutation(12), np.array([2, 0, 3, 1])
    moved = Dense(model.mu[genes][:, types], model.Sigma[types][:, genes][:, :, genes])
    found = density(moved, problem.q[:, types], problem.y[:, genes], problem.phi)
    np.testing.assert_allclose(found.value, base.value, rtol=1e-12)
    np.testing.assert_allclose(found.gradient, base.gradient[:, types], rtol=1e-9)
    slow = base.hessian[:, types][:, :, types]
    np.testing.assert_allclose(found.hessian, slow, rtol=1e-9, atol=1e-9 * np.abs(slow).max())


def test_units_of_genes_change_the_density_by_their_jacobian_only():
    problem = random_problem(12, counting=False)
    model: Dense = problem.forms["dense"]
    a = np.random.default_rng(1).uniform(0.1, 5, 12)
    scaled = Dense(model.mu * a[:, None], model.Sigma * np.outer(a, a))
    base = density(model, problem.q, problem.y, problem.phi)
    found = density(scaled, problem.q, problem.y * a, problem.phi)
    np.testing.assert_allclose(found.value, base.value - np.log(a).sum(), rtol=1e-12)
    np.testing.assert_allclose(found.gradient, base.gradient, rtol=1e-8)


def test_one_gene_and_one_cell_type_is_a_normal_in_closed_form():
    model = Dense(np.array([[3.0]]), np.array([[[2.0]]]))
    q, y, phi = np.array([[0.5], [2.0]]), np.array([[1.0], [7.0]]), np.array([0.0, 0.4])
    v = 2 * q[:, 0] ** 2 + phi * 3 * q[:, 0] + phi**2 / 4
    slow = -0.5 * (np.log(2 * np.pi * v) + (y[:, 0] - 3 * q[:, 0]) ** 2 / v)
    np.testing.assert_allclose(density(model, q, y, phi).value, slow, rtol=1e-12)


def test_chunks_bound_the_work_array_and_bulks_are_taken_as_they_are():
    problem = random_problem(13)
    model: Dense = problem.forms["dense"]
    assert 1 <= model.chunk * model.Sigma.size <= 4_000_000
    assert Dense(np.ones((2, 1)), np.broadcast_to(0.0, (1, 3000, 3000))).chunk == 1
    assert model.project(problem.y) is problem.y
    assert model.approximate_hessian() is model
