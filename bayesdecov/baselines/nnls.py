"""Non-negative least squares."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls as scipy_nnls

from bayesdecov.algebra.terms import Array


def nnls(mu: Array, y: Array) -> Array:
    r"""Minimise :math:`\|y - \mu b\|^2` over :math:`b \ge 0` for every sample.

    Returns the coefficients (sample, cell_type); their sum estimates the size factor.
    """
    return np.stack([scipy_nnls(mu, row)[0] for row in y])
