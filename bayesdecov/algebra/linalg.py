"""Batched Cholesky factors that mark a failure with NaN instead of raising."""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from bayesdecov.algebra.terms import Array

_LAPACK_FROM = 24  # below this size NumPy's batched kernels win, above it one LAPACK call each


def cholesky(matrices: Array) -> Array:
    """Lower factors of ``(n, k, k)``; a matrix that is not positive definite gives NaN."""
    try:
        return np.linalg.cholesky(matrices)
    except np.linalg.LinAlgError:
        factors = np.full_like(matrices, np.nan)
        for i, matrix in enumerate(matrices):
            factor, info = lapack.dpotrf(matrix, lower=1, clean=1)
            if info == 0:
                factors[i] = factor
        return factors


def log_determinant(factors: Array) -> Array:
    """``log|LL'|`` of a batch of Cholesky factors ``(n, k, k)``."""
    return 2 * np.log(np.diagonal(factors, axis1=-2, axis2=-1)).sum(-1)


def inverse(factors: Array) -> Array:
    """``(LL')^{-1}`` of a batch of Cholesky factors; NaN factors stay NaN."""
    if factors.shape[-1] < _LAPACK_FROM:
        root = invert_lower(factors)
        product: Array = root.transpose(0, 2, 1) @ root
        return product
    inverses = np.empty_like(factors)
    for i, factor in enumerate(factors):
        half = lapack.dpotri(factor, lower=1)[0]  # the lower triangle, above it zeros
        np.add(half, half.T, out=inverses[i])
        np.fill_diagonal(inverses[i], half.diagonal())
    return inverses


def solve_lower(factors: Array, vectors: Array) -> Array:
    """``L^{-1} v`` of a batch ``(n, k, k)`` and ``(n, k)``, without the inverse."""
    if factors.shape[-1] < _LAPACK_FROM:
        solved: Array = np.linalg.solve(factors, vectors[:, :, None])[:, :, 0]
        return solved
    white = np.empty_like(vectors)
    for i, factor in enumerate(factors):  # the transpose is what LAPACK reads without a copy
        white[i] = lapack.dtrtrs(factor.T, vectors[i], lower=0, trans=1)[0]
    return white


def invert_lower(factors: Array) -> Array:
    """Inverses of lower triangular factors, ``(n, k, k)``; NaN factors stay NaN."""
    if factors.shape[-1] < _LAPACK_FROM:
        identity = np.broadcast_to(np.eye(factors.shape[-1]), factors.shape)
        return np.linalg.solve(factors, identity)
    inverses = np.empty_like(factors)
    for i, factor in enumerate(factors):
        inverses[i] = lapack.dtrtri(factor, lower=1)[0] if np.isfinite(factor[0, 0]) else np.nan
    return inverses
