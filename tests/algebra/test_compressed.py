"""The factor form in k dimensions against scipy in all genes, and what it may not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bayesdecov.algebra.compressed import compress
from bayesdecov.algebra.terms import log_density
from tests.algebra.problems import evaluate, random_problem

GENES, TYPES, N = 25, 3, 4


class Parts:
    """What `compress` takes, samples, and the covariances that are meant."""

    def __init__(self, seed=0, factors=4, genes=GENES):
        rng = self.rng = np.random.default_rng(seed)
        self.mu, self.D = rng.gamma(3.0, 4.0, (genes, TYPES)), rng.uniform(0.5, 3.0, genes)
        self.U, self.owner = rng.normal(size=(genes, factors)), rng.integers(TYPES, size=factors)
        self.a = rng.uniform(0.5, 2.0, TYPES)
        self.q = rng.dirichlet(np.ones(TYPES), N)
        self.y = self.q @ self.mu.T + 2 * rng.normal(size=(N, genes))

    def values(self, model=None, y=None):
        model = compress(self.mu, self.D, self.U, self.owner, self.a) if model is None else model
        y = self.y if y is None else y
        pieces = model.pieces(self.q, model.project(y), np.zeros(N))
        return log_density(pieces, model.n_genes)

    def slow(self):
        for q, y in zip(self.q, self.y, strict=True):
            V = (q**2 @ self.a) * np.diag(self.D)
            for column, owner in zip(self.U.T, self.owner, strict=True):
                V = V + q[owner] ** 2 * np.outer(column, column)
            yield multivariate_normal.logpdf(y, self.mu @ q, V)


@pytest.mark.parametrize("factors", [0, 1, 4, GENES - TYPES - 1])
def test_it_is_the_normal_of_all_genes(factors):
    parts = Parts(factors=factors)
    np.testing.assert_allclose(parts.values().value, list(parts.slow()), rtol=1e-10)


def test_order_and_units_of_genes():
    """A unit changes the value by its Jacobian, the order nothing."""
    parts = Parts(1)
    base = parts.values()
    genes, a = parts.rng.permutation(GENES), parts.rng.uniform(0.1, 9, GENES)
    model = compress(
        (parts.mu * a[:, None])[genes],
        (parts.D * a**2)[genes],
        (parts.U * a[:, None])[genes],
        parts.owner,
        parts.a,
    )
    found = parts.values(model, (parts.y * a)[:, genes])
    np.testing.assert_allclose(found.value, base.value - np.log(a).sum(), rtol=1e-10)
    np.testing.assert_allclose(found.gradient, base.gradient, rtol=1e-7, atol=1e-7)


def test_the_order_and_rotation_of_loadings_of_one_cell_type_do_not_matter():
    parts = Parts(2)
    parts.owner[:] = 1
    R = np.linalg.qr(parts.rng.normal(size=(4, 4)))[0]
    turned = compress(parts.mu, parts.D, parts.U @ R, parts.owner, parts.a)
    np.testing.assert_allclose(parts.values(turned).value, parts.values().value, rtol=1e-10)


def test_projected_bulks_keep_the_length_of_the_whitened_ones():
    parts = Parts(3)
    model = compress(parts.mu, parts.D, parts.U, parts.owner, parts.a)
    seen = model.project(parts.y)
    length = np.square(parts.y / np.sqrt(parts.D)).sum(axis=1)
    np.testing.assert_allclose(np.square(seen[:, :-1]).sum(axis=1) + seen[:, -1], length)
    inside = model.project(parts.q @ parts.mu.T)  # nothing lies outside, and no rounding below 0
    assert (inside[:, -1] >= 0).all()
    np.testing.assert_allclose(inside[:, -1], 0, atol=1e-9 * length.max())
    assert model.logdet_diagonal == pytest.approx(np.log(parts.D).sum(), rel=1e-12)
    assert model.chunk == model.core.chunk
    assert model.approximate_hessian() is model


@pytest.mark.parametrize("order", [0, 1])
def test_lower_orders_are_the_same(order):
    problem = random_problem(3, n_genes=40, shared=True, counting=False)
    whole, some = (evaluate(problem, "compressed", order=o)[0] for o in (2, order))
    np.testing.assert_allclose(some.value, whole.value, rtol=1e-12)
    if order:
        np.testing.assert_allclose(some.gradient, whole.gradient, rtol=1e-9)


def test_columns_that_fill_all_genes_are_refused():
    parts = Parts(factors=GENES - TYPES)
    with pytest.raises(ValueError, match="needs fewer columns than genes"):
        parts.values()
