"""Non-negative least squares."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls as scipy_nnls

from bayesdecov.algebra.terms import Array
from bayesdecov.baselines.answer import Answer, Baseline


def nnls(mu: Array, y: Array, variance: Array) -> Answer:
    r"""Minimise :math:`\|y - \mu b\|^2` over :math:`b \ge 0` for every sample.

    The sum of the coefficients estimates the size factor.
    """
    return Answer(np.stack([scipy_nnls(mu, row)[0] for row in y]))


BASELINE = Baseline(
    name="nnls",
    title="Non-negative least squares (Lawson and Hanson 1974), normalised to one",
    doi="10.1137/1.9781611971217",
    scale="linear",
    returns="fractions of the known cell types",
    estimate=nnls,
)
