"""What has to hold for any proportions and any covariances, on inputs that hypothesis chooses."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bayesdecov.algebra.simplex import shift_log_ratios
from bayesdecov.reference.structures import DenseCovariance, FactorCovariance

numbers = st.floats(-30, 30)
sizes = st.floats(1e-3, 1e3)


@given(
    arrays(float, (2, 6, 3), elements=sizes), arrays(float, (4, 2, 3), elements=st.floats(-2, 2))
)
def test_shifted_proportions_stay_proportions(weights, shift):
    p = weights / weights.sum(axis=2, keepdims=True)
    found = shift_log_ratios(p, shift)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=2), 1)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(2, 5), st.integers(0, 6))
def test_structures_agree_whatever_is_done_to_them(seed, n_genes, n_types, n_factors):
    rng = np.random.default_rng(seed)
    D = rng.lognormal(0, 1, (n_genes, n_types))
    U = rng.normal(size=(n_genes, n_factors))
    factor = FactorCovariance(D, U, rng.integers(n_types, size=n_factors))
    dense = DenseCovariance(np.stack([factor.matrix(j) for j in range(n_types)]))
    more, of_type = rng.lognormal(size=(2, n_types)), rng.lognormal(size=n_genes + 2)
    j = int(rng.integers(n_types))
    genes = rng.permutation(n_genes)[: max(1, n_genes // 2)]
    weights = rng.uniform(0, 2, n_types)
    steps = (
        lambda c: c,
        lambda c: c.take(genes),
        lambda c: c.without_type(j),
        lambda c: c.extended(more, of_type),
        lambda c: c.extended(more, of_type).without_type(n_types),
        lambda c: c.combined(weights, c, 1 - weights / 2),
    )
    for step in steps:
        a, b = step(factor), step(dense)
        for k in range(b.Sigma.shape[0]):
            np.testing.assert_allclose(a.matrix(k), b.matrix(k), rtol=1e-10, atol=1e-12)
            assert np.linalg.eigvalsh(b.matrix(k))[0] > -1e-9
