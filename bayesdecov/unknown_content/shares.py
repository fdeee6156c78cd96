"""Shares of known cell types and of unknown cells in every sample: non-negative regression."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from bayesdecov.algebra.terms import Array
from bayesdecov.unknown_content.cohort import ObservedCohort
from bayesdecov.unknown_content.profile import Profile, variance

_START_ROUNDS = 30
_ABOVE = 3.0  # how fast weights fall with residuals above the fit


def regression(cohort: ObservedCohort, profile: Profile, B: Array, w: Array) -> tuple[Array, Array]:
    """Coefficients of known types and of ``profile.h``; ``B, w`` determine the variances."""
    spread = variance(cohort, B) + profile.shift_error
    spread += np.square(w)[:, None] * (profile.between + profile.error)
    X = np.column_stack([cohort.mu, profile.h])
    weights = 1 / spread
    y = cohort.y - profile.shift
    n, K = len(y), X.shape[1]
    pairs = (X[:, :, None] * X[:, None, :]).reshape(len(X), K * K)
    gram = (weights @ pairs).reshape(n, K, K)
    target = (weights * y) @ X
    gram += 1e-10 * np.einsum("njj->n", gram)[:, None, None] * np.eye(K)
    roots = np.linalg.cholesky(gram)
    sides = np.linalg.solve(roots, target[:, :, None])[:, :, 0]
    found = np.stack([nnls(root.T, side)[0] for root, side in zip(roots, sides, strict=True)])
    return found[:, :-1], found[:, -1]


def from_below(cohort: ObservedCohort) -> Array:
    """Proportions of the known types at the lower envelope: unknown cells can only add.

    Non-negative least squares on the markers, reweighted so that genes above the fit count little.
    """
    marks = cohort.owner >= 0
    X, size = cohort.mu[marks], cohort.mu[marks].mean(axis=1)
    found = []
    for y, phi in zip(cohort.y[:, marks], cohort.phi, strict=True):
        weights = 1 / (0.1 * y.mean() + 0.3 * size)
        for _ in range(_START_ROUNDS):
            b = nnls(X * weights[:, None], y * weights)[0]
            fitted = X @ b
            scale = 1 / np.sqrt(np.square(0.3 * fitted) + (0.02 * size.mean()) ** 2 + phi * fitted)
            z = (y - fitted) * scale
            weights = scale / np.where(z > 0, np.sqrt(1 + _ABOVE * z**2), 1.0)
        found.append(b)
    return np.array(found)
