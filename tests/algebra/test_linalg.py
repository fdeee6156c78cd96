"""Batched factors against NumPy, on both sides of the size where LAPACK takes over."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.algebra.linalg import cholesky, inverse, invert_lower, solve_lower


@pytest.mark.parametrize("k", [3, 40])
def test_factors_solve_and_invert(k):
    rng = np.random.default_rng(k)
    A = rng.normal(size=(4, k, 2 * k))
    A = A @ A.transpose(0, 2, 1)
    v = rng.normal(size=(4, k))
    L = cholesky(A)
    np.testing.assert_allclose(np.einsum("nij,nj->ni", L, solve_lower(L, v)), v, atol=1e-9)
    np.testing.assert_allclose(invert_lower(L) @ L, np.broadcast_to(np.eye(k), A.shape), atol=1e-9)
    np.testing.assert_allclose(inverse(L) @ A, np.broadcast_to(np.eye(k), A.shape), atol=1e-7)


@pytest.mark.parametrize("k", [3, 40])
def test_what_is_not_positive_definite_is_nan_and_harms_no_other(k):
    A = np.stack([np.eye(k), -np.eye(k)])
    L = cholesky(A)
    white = solve_lower(L, np.ones((2, k)))
    assert np.isfinite(white[0]).all()
    assert np.isnan(white[1]).all()
