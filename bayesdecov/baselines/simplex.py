"""Least squares on the simplex."""

from __future__ import annotations

import numpy as np
import quadprog

from bayesdecov.algebra.terms import Array


def simplex(mu: Array, y: Array) -> Array:
    r"""Minimise :math:`\|y - \mu p\|^2` over :math:`p \ge 0, \sum_j p_j = 1` for every sample.

    A quadratic programme (Goldfarb & Idnani 1983) of the size of the number of cell types. ``mu``
    and ``y`` must be on one scale, because the constraint fixes the size factor.
    """
    n_types = mu.shape[1]
    scale = np.linalg.norm(mu)
    gram = mu.T @ mu / scale**2
    linear = y @ mu / scale**2
    constraints = np.column_stack([np.ones(n_types), np.eye(n_types)])
    bounds = np.concatenate([[1.0], np.zeros(n_types)])
    solutions = [quadprog.solve_qp(gram, row, constraints, bounds, 1)[0] for row in linear]
    return np.maximum(np.stack(solutions), 0.0)
