"""Least squares on the simplex."""

from __future__ import annotations

import numpy as np
import quadprog

from bayesdecov.algebra.terms import Array
from bayesdecov.baselines.answer import Answer, Baseline


def simplex(mu: Array, y: Array, variance: Array) -> Answer:
    r"""Minimise :math:`\|y - \mu p\|^2` over :math:`p \ge 0, \sum_j p_j = 1` for every sample.

    ``mu`` and ``y`` must be on one scale, because the constraint fixes the size factor.
    """
    return Answer(quadratic(mu, y, exactly_one=True))


def quadratic(mu: Array, y: Array, *, exactly_one: bool, weights: Array | None = None) -> Array:
    r"""Weighted least squares over :math:`p \ge 0` with :math:`\sum_j p_j = 1` or at most 1.

    A quadratic programme (Goldfarb & Idnani 1983) with one variable per cell type.
    """
    if weights is not None:
        root = np.sqrt(weights)
        mu, y = mu * root[:, None], y * root
    n_types = mu.shape[1]
    scale = np.linalg.norm(mu)
    gram = mu.T @ mu / scale**2
    linear = y @ mu / scale**2
    total = np.ones(n_types) if exactly_one else -np.ones(n_types)
    constraints = np.column_stack([total, np.eye(n_types)])
    bounds = np.concatenate([[1.0 if exactly_one else -1.0], np.zeros(n_types)])
    equalities = 1 if exactly_one else 0
    solutions = [quadprog.solve_qp(gram, row, constraints, bounds, equalities)[0] for row in linear]
    return np.maximum(np.stack(solutions), 0.0)


BASELINE = Baseline(
    name="simplex",
    title="Least squares on the simplex by quadratic programming (DeconRNASeq, Gong and "
    "Szustakowski 2013)",
    doi="10.1093/bioinformatics/btt090",
    scale="linear, bulk and reference on one scale",
    returns="fractions of the known cell types",
    estimate=simplex,
)
