"""Both ways to store covariances against plain matrices."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bayesdecov.algebra.compressed import Compressed
from bayesdecov.algebra.dense import Dense
from bayesdecov.algebra.density import evaluate
from bayesdecov.algebra.lowrank import LowRank
from bayesdecov.algebra.terms import log_density
from bayesdecov.reference.structures import DenseCovariance, FactorCovariance

GENES, TYPES = 14, 3


def structure(kind, seed=0, factors=6):
    rng = np.random.default_rng(seed)
    D = rng.gamma(4.0, 0.5, (GENES, TYPES))
    U, owner = rng.normal(size=(GENES, factors)), rng.integers(TYPES, size=factors)
    multiplier = None
    if kind == "multiples":
        multiplier = np.array([0.5, 1.0, 3.0])
        D = D[:, :1] * multiplier
    found = FactorCovariance(D, U, owner, multiplier)
    if kind == "dense":
        return DenseCovariance(matrices(found))
    return found


def matrices(covariance):
    """Type by type, gene by gene."""
    if isinstance(covariance, DenseCovariance):
        return covariance.Sigma.copy()
    n_genes, n_types = covariance.D.shape
    whole = np.zeros((n_types, n_genes, n_genes))
    for j in range(n_types):
        whole[j] = np.diag(covariance.D[:, j])
        for column, own in zip(covariance.U.T, covariance.owner, strict=True):
            if own == j:
                whole[j] += np.outer(column, column)
    return whole


def assert_holds(covariance, expected):
    for j, matrix in enumerate(expected):
        np.testing.assert_allclose(covariance.matrix(j), matrix, atol=1e-12)
    variances = np.array([np.diag(matrix) for matrix in expected]).T
    np.testing.assert_allclose(covariance.variances(), variances, atol=1e-12)


KINDS = pytest.mark.parametrize("kind", ["dense", "factors", "multiples"])


@KINDS
def test_parts_of_a_covariance_are_those_of_its_matrices(kind):
    covariance = structure(kind)
    whole = matrices(covariance)
    assert_holds(covariance, whole)
    genes = np.array([5, 0, 9])
    assert_holds(covariance.take(genes), whole[:, genes][:, :, genes])
    for j in range(TYPES):
        less = covariance.without_type(j)
        assert_holds(less, np.delete(whole, j, axis=0))
        if kind == "multiples":
            ratio = less.D / less.multiplier
            np.testing.assert_allclose(ratio, np.repeat(ratio[:, :1], TYPES - 1, axis=1))


@KINDS
def test_new_genes_are_independent_and_a_new_type_is_diagonal(kind):
    rng = np.random.default_rng(1)
    covariance = structure(kind)
    of_genes, of_type = rng.gamma(2, 1, (4, TYPES)), rng.gamma(2, 1, GENES + 4)
    expected = np.zeros((TYPES + 1, GENES + 4, GENES + 4))
    for j, matrix in enumerate(matrices(covariance)):
        expected[j, :GENES, :GENES] = matrix
        expected[j, GENES:, GENES:] = np.diag(of_genes[:, j])
    expected[-1] = np.diag(of_type)
    assert_holds(covariance.extended(of_genes, of_type), expected)


@KINDS
def test_covariances_combine_with_weights_of_the_types(kind):
    covariance = structure(kind)
    w, v = np.array([0.2, 1.0, 0.0]), np.array([0.5, 0.0, 2.0])
    if kind == "dense":
        other = structure("dense", seed=3)
    else:  # of the same loadings
        scale = np.array([2.0, 0.1, 1.0])
        multiplier = None if kind == "factors" else covariance.multiplier * scale
        other = FactorCovariance(covariance.D * scale, covariance.U, covariance.owner, multiplier)
    expected = w[:, None, None] * matrices(covariance) + v[:, None, None] * matrices(other)
    found = covariance.combined(w, other, v)
    assert_holds(found, expected)
    if kind == "multiples":
        ratio = found.D / found.multiplier
        np.testing.assert_allclose(ratio, np.repeat(ratio[:, :1], TYPES, axis=1))


@KINDS
def test_draws_have_the_covariance_of_the_mixture(kind):
    covariance, rng = structure(kind), np.random.default_rng(2)
    q, n = np.array([0.2, 0.5, 1.3]), 20_000
    draws = covariance.draw(np.tile(q, (n, 1)), rng)
    V = np.tensordot(q**2, matrices(covariance), 1)
    se = np.sqrt((np.outer(np.diag(V), np.diag(V)) + V**2) / n)  # of an entry of the covariance
    assert np.abs((draws.T @ draws / n - V) / se).max() < 4.5
    assert np.abs(draws.mean(axis=0) / np.sqrt(np.diag(V) / n)).max() < 4
    one = covariance.draw(np.array([[0.0, 0.0, 0.0]]), rng)
    np.testing.assert_array_equal(one, 0.0)


@pytest.mark.parametrize(("kind", "factors", "counting", "form"), [
    ("dense", 6, False, Dense), ("factors", 3, False, LowRank), ("factors", 9, False, Dense),
    ("multiples", 6, False, Compressed), ("multiples", 6, True, LowRank),
    ("multiples", 11, False, Dense),
])  # fmt: skip
def test_the_density_is_that_of_the_mixture(kind, factors, counting, form):
    """Up to a constant where genes are compressed."""
    rng = np.random.default_rng(3)
    covariance = structure(kind, factors=factors)
    mu = rng.gamma(3, 2, (GENES, TYPES))
    density = covariance.density(mu, counting=counting)
    assert isinstance(density, form)
    q = rng.dirichlet(np.ones(TYPES), 5)
    y = np.tile(rng.gamma(3, 2, GENES), (5, 1))
    pieces = evaluate(density, q, density.project(y), np.zeros(5), order=0)
    found = log_density(pieces, density.n_genes).value
    expected = [
        multivariate_normal(mu @ one, np.tensordot(one**2, matrices(covariance), 1)).logpdf(y[0])
        for one in q
    ]
    np.testing.assert_allclose(np.diff(found), np.diff(expected), rtol=1e-8)


def test_noise_comes_off_and_stays_positive_definite():
    rng = np.random.default_rng(8)
    A = rng.normal(size=(20, 4))
    biology = A @ A.T + 0.5 * np.eye(20)
    noise = rng.uniform(0.5, 2.0, (20, 1))
    total = biology + np.diag(noise[:, 0])
    found = DenseCovariance(total[None]).without_noise(noise)
    np.testing.assert_allclose(found.matrix(0), biology, atol=1e-10)
    too_much = DenseCovariance(total[None]).without_noise(noise * 100)
    assert np.linalg.eigvalsh(too_much.matrix(0))[0] > 0


@pytest.mark.parametrize("kind", ["factors", "multiples"])
def test_noise_comes_off_the_diagonal_of_factors(kind):
    covariance = structure(kind)
    noise = 0.4 * covariance.D
    noise[3, 1] = 50.0
    found = covariance.without_noise(noise)
    expected = matrices(covariance) - np.array([np.diag(column) for column in noise.T])
    expected[1, 3, 3] += 50.0 - covariance.D[3, 1] + 0.5  # a hundredth of the noise is left
    assert_holds(found, expected)
    assert found.multiplier is None
