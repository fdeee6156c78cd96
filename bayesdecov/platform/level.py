r"""The level of the cell types: the mean of a cohort's bulks, fitted as one mixture.

.. math:: \log(\bar y_g + \delta) - \log(f_g + \delta) \sim t_\nu(0, c^2), \qquad f = P q,

with a Dirichlet prior on ``q / sum(q)``. What separates two platforms multiplies a gene's
expression, so residuals are those of logarithms: with linear ones, a gene that is three times too
high would weigh more than one that is three times too low, and the fit would be too large. Single
bulks, whose noise adds to their expression, are fitted on the linear scale (`rounds`).
:math:`\delta` keeps genes that are silent from deciding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from bayesdecov.algebra.terms import Array, add_diagonal
from bayesdecov.platform.noise import heaviness
from bayesdecov.platform.positive import Profiles

_SILENT = 0.01  # of the mean expression
_ROUNDS = 40
_STEPS = 3  # of Gauss-Newton in a round
_SETTLED = 1e-4  # change of log-coefficients below which rounds end
_LARGEST_STEP = 2.0
_LEAST = -30.0  # of log-coefficients
_LEAST_SCALE = 1e-6
_HALF_NORMAL = 0.45  # median of a squared standard normal


class Common(NamedTuple):
    """Log-coefficients (column,), their information, residuals and weights (gene,), ``c2``, nu."""

    log_q: Array
    information: Array
    share: Array  # of each column in every gene's fit, (gene, column)
    residual: Array
    weights: Array
    c2: float
    nu: float


class _Point(NamedTuple):
    log_q: Array
    share: Array
    residual: Array

    def objective(self, weights: Array, n_types: int, concentration: float) -> float:
        of_types = self.log_q[:n_types]
        prior = of_types.sum() - n_types * np.logaddexp.reduce(of_types)
        return float(-0.5 * (weights @ self.residual**2) + concentration * prior)


def fit_level(mean_bulk: Array, profiles: Profiles, start: Array, concentration: float) -> Common:
    """Fit the mean bulk (gene,) from log-coefficients ``start``, scale and tails with it."""
    matrix, n_types = profiles.matrix, profiles.n_types
    floor = _SILENT * float(mean_bulk.mean())
    logs = np.log(mean_bulk + floor)

    def point(log_q: Array) -> _Point:
        parts = matrix * np.exp(log_q)
        fit = parts.sum(axis=1) + floor
        return _Point(log_q, parts / fit[:, None], logs - np.log(fit))

    at = point(np.maximum(start, _LEAST))
    c2 = max(float(np.median(at.residual**2)) / _HALF_NORMAL, _LEAST_SCALE)
    damping = 1e-3
    for _ in range(_ROUNDS):
        nu, scale = heaviness(at.residual**2 / c2)
        c2 = max(c2 * scale, _LEAST_SCALE)
        weights = (nu + 1) / (nu + at.residual**2 / c2)
        before = at.log_q
        for _ in range(_STEPS):
            gradient, H = _slopes(at, weights / c2, n_types, concentration)
            value = at.objective(weights / c2, n_types, concentration)
            while damping < 1e8:
                damped = add_diagonal(H.copy(), damping * np.diag(H) + 1e-10)
                step = np.clip(np.linalg.solve(damped, gradient), -_LARGEST_STEP, _LARGEST_STEP)
                new = point(np.maximum(at.log_q + step, _LEAST))
                if new.objective(weights / c2, n_types, concentration) >= value:
                    at, damping = new, max(damping / 5, 1e-8)
                    break
                damping *= 5
            damping = min(damping, 1e3)
        q = np.exp(at.log_q) + np.exp(before)
        if np.abs(at.log_q - before)[q > 1e-3 * q.sum()].max(initial=0.0) < _SETTLED:
            break
    _, H = _slopes(at, weights / c2, n_types, concentration)
    p = softmax(at.log_q[:n_types])
    absent = np.zeros(len(H))
    absent[:n_types] = concentration * np.maximum(1 - n_types * p, 0)
    H = add_diagonal(H, absent + 1e-10)
    return Common(at.log_q, H, at.share, at.residual, weights, c2, nu)


def _slopes(at: _Point, weights: Array, n_types: int, concentration: float) -> tuple[Array, Array]:
    """Gradient and minus the expected Hessian."""
    X = at.share
    gradient = X.T @ (weights * at.residual)
    H = X.T @ (weights[:, None] * X)
    p = softmax(at.log_q[:n_types])
    gradient[:n_types] += concentration * (1 - n_types * p)
    H[:n_types, :n_types] += concentration * n_types * (np.diag(p) - np.outer(p, p))
    return gradient, H
