r"""A prior for variances, estimated from many of them (Smyth 2004, doi:10.2202/1544-6115.1027).

:math:`1/\sigma_g^2 \sim \chi^2_{d_0}/(d_0 s_0^2)` and :math:`s_g^2 \sim \sigma_g^2\chi^2_d/d`: the
mean and the spread of :math:`\log s_g^2` give :math:`s_0^2` and :math:`d_0`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

from bayesdecov.algebra.terms import Array

SMALLEST = 1e-5  # of the median: below it a gene is fitted exactly
SMALLEST_EXCESS = 1e-3  # spread of log variances beyond sampling below which they count as equal


class VariancePrior(NamedTuple):
    """Prior degrees of freedom (infinite: one variance for all) and location."""

    df: float
    location: float


def inverse_trigamma(value: float) -> float:
    """X with trigamma(x) = value."""
    return float(np.exp(brentq(lambda log_x: float(polygamma(1, np.exp(log_x))) - value, -8, 12)))


def variance_prior(variances: Array, df: int) -> VariancePrior:
    """Fit the prior to sample variances with ``df`` degrees of freedom each.

    Variances below ``SMALLEST`` of the median (genes fitted exactly) are set to that value.
    """
    variances = np.maximum(variances, SMALLEST * np.median(variances))
    half = df / 2
    centred = np.log(variances) - digamma(half) + np.log(half)
    excess = float(np.var(centred, ddof=1) - polygamma(1, half))
    if excess <= SMALLEST_EXCESS:
        return VariancePrior(np.inf, float(variances.mean()))
    prior_df = 2 * inverse_trigamma(excess)
    shift = digamma(prior_df / 2) - np.log(prior_df / 2)
    return VariancePrior(prior_df, float(np.exp(centred.mean() + shift)))


def moderated(variances: Array, df: int, prior: VariancePrior) -> Array:
    """Each variance shrunk towards the prior's location: 1 / E[1/sigma^2 given the data]."""
    if np.isinf(prior.df):
        return np.full_like(variances, prior.location)
    return np.asarray((prior.df * prior.location + df * variances) / (prior.df + df))
