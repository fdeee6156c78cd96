r"""Weighted least squares with positive coefficients, all samples at once, in log coordinates.

.. math:: \hat q = \arg\max_q\; -\tfrac12 \sum_g w_g (y_g - (Pq)_g)^2 + \alpha \sum_j \log p_j,
          \qquad p = q / \textstyle\sum_j q_j .

The prior is a Dirichlet with concentration :math:`\alpha` as a density of :math:`\log q`; the total
of :math:`q` is free. The variances :math:`1/w` are held, so that no log-determinant pulls at
:math:`q`. Damped Gauss-Newton; the Hessian is :math:`X^\top W X` with
:math:`X = P\,\mathrm{diag}(q)`, plus that of the prior.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls
from scipy.special import softmax

from bayesdecov.algebra.counting import inverse_root_of_mean
from bayesdecov.algebra.terms import Array, add_diagonal

_STEPS = 30
_GAIN = 1e-6  # of the objective, in log units, below which a sample is done
_LARGEST_STEP = 2.0  # in log q
_SMALLEST_SHARE = 3e-3  # of the even share, where least squares say none


class Positive(NamedTuple):
    """Log-coefficients (sample, column) and their information (sample, column, column).

    The information has the curvature that the prior gives a cell type that is absent: there the
    posterior is a gamma of shape ``concentration``, whose logarithm has this curvature.
    """

    log_q: Array
    information: Array


class Profiles:
    """Profiles (gene, column) and the products of their columns, gene by gene.

    The first ``n_types`` columns are cell types, which a prior holds together.
    """

    def __init__(self, matrix: Array, n_types: int) -> None:
        self.matrix = matrix
        self.n_types = n_types
        self._rows, self._columns = np.triu_indices(matrix.shape[1])
        self._products = matrix[:, self._rows] * matrix[:, self._columns]

    @classmethod
    def with_background(cls, mu: Array) -> Profiles:
        """Cell types (gene, cell_type) and a background that is the same in all genes."""
        return cls(np.column_stack([mu, np.full(len(mu), mu.mean())]), mu.shape[1])

    def scaled(self, factors: Array) -> Profiles:
        """Every gene times its factor."""
        return Profiles(self.matrix * factors[:, None], self.n_types)

    def gram(self, weights: Array) -> Array:
        """``P' diag(w) P`` for every row of ``weights`` (sample, gene)."""
        size = self.matrix.shape[1]
        found = np.empty((len(weights), size, size))
        values = weights @ self._products
        found[:, self._rows, self._columns] = values
        found[:, self._columns, self._rows] = values
        return found

    def quadratic(self, matrices: Array) -> Array:
        """Of every gene ``x' M x`` with ``x`` its row, for matrices (sample, column, column)."""
        twice = np.where(self._rows == self._columns, 1.0, 2.0)
        values: Array = (matrices[:, self._rows, self._columns] * twice) @ self._products.T
        return values


def fit_positive(
    y: Array, profiles: Profiles, weights: Array, start: Array, concentration: float
) -> Positive:
    """Maximise from ``start`` (sample, column), log-coefficients; see the module."""
    log_q, damping = start.copy(), np.full(len(y), 1e-3)
    linear = (weights * y) @ profiles.matrix
    gram = profiles.gram(weights)
    value, gradient, hessian = _objective(log_q, gram, linear, profiles.n_types, concentration)
    active = np.arange(len(y))
    for _ in range(_STEPS):
        H = hessian[active]
        diagonal = np.einsum("njj->nj", H)
        damped = add_diagonal(H, damping[active, None] * diagonal + 1e-10)
        step = np.linalg.solve(damped, gradient[active][:, :, None])[:, :, 0]
        moved = log_q[active] + np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
        new_value, new_gradient, new_hessian = _objective(
            moved, gram[active], linear[active], profiles.n_types, concentration
        )
        gain = new_value - value[active]
        better = gain >= 0
        rows = active[better]
        log_q[rows], value[rows] = moved[better], new_value[better]
        gradient[rows], hessian[rows] = new_gradient[better], new_hessian[better]
        damping[rows] = np.maximum(damping[rows] / 5, 1e-8)
        damping[active[~better]] *= 5
        active = active[~(better & (gain < _GAIN)) & (damping[active] < 1e8)]
        if not len(active):
            break
    p = softmax(log_q[:, : profiles.n_types], axis=1)
    slope = np.zeros_like(log_q)
    slope[:, : profiles.n_types] = concentration * np.maximum(1 - profiles.n_types * p, 0)
    return Positive(log_q, add_diagonal(hessian, slope))


def _objective(
    log_q: Array, gram: Array, linear: Array, n_types: int, concentration: float
) -> tuple[Array, Array, Array]:
    """Value (without the constant), gradient and minus the expected Hessian in ``log q``."""
    q = np.exp(log_q)
    product = (gram @ q[:, :, None])[:, :, 0]
    value = np.einsum("nj,nj->n", q, linear - 0.5 * product)
    gradient = q * (linear - product)
    hessian = gram * q[:, :, None] * q[:, None, :]
    of_types = log_q[:, :n_types]
    total = np.logaddexp.reduce(of_types, axis=1)
    p = np.exp(of_types - total[:, None])
    value += concentration * (of_types.sum(axis=1) - n_types * total)
    gradient[:, :n_types] += concentration * (1 - n_types * p)
    outer = p[:, :, None] * p[:, None, :]
    hessian[:, :n_types, :n_types] += concentration * n_types * add_diagonal(-outer, p)
    return value, gradient, hessian


def rough(y: Array, matrix: Array) -> Array:
    """Log-coefficients to start from: positive least squares weighted by the mean profile."""
    weight = inverse_root_of_mean(matrix)
    q = np.stack([nnls(matrix * weight[:, None], each * weight)[0] for each in y])
    least = _SMALLEST_SHARE * q.sum(axis=1, keepdims=True) / matrix.shape[1]
    return np.log(np.maximum(q, np.maximum(least, 1e-12)))
