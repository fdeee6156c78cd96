r"""Counting noise: the variance of a bulk that was counted.

A count with expectation :math:`\lambda` has variance :math:`\lambda`; in units where one count is
worth :math:`\varphi` that is :math:`\varphi\,\mu q`. A normal density also needs a constant term:
where the expectation is zero, its variance would vanish and a count of zero would have infinite
density, so that genes without counts would force a proportion to exactly zero. Counts are whole
numbers, and this rounding adds a constant variance of `RESOLUTION` counts squared:

.. math:: \varphi\,\mu q + c\,\varphi^2 .
"""

from __future__ import annotations

import numpy as np

from bayesdecov.algebra.terms import Array

RESOLUTION = 0.25
_FLOOR = 1e-3  # of the mean profile, for genes that are silent everywhere


def counting_variance(phi: Array, mean: Array) -> Array:
    """Variances (sample, gene) for ``phi`` (sample,) and expectations ``mean`` (sample, gene)."""
    unit = phi[:, None]
    return unit * mean + RESOLUTION * unit**2


def inverse_root_of_mean(mu: Array) -> Array:
    """Weights (gene,) of least squares where variances grow with the mean over cell types."""
    return 1 / np.sqrt(mu.mean(axis=1) + _FLOOR * mu.mean())
