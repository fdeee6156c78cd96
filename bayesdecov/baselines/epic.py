"""Weighted least squares with a share for other cells."""

from __future__ import annotations

import numpy as np

from bayesdecov.algebra.terms import Array
from bayesdecov.baselines.answer import Answer, Baseline
from bayesdecov.baselines.simplex import quadratic

_LARGEST = 100.0  # weight over the median weight


def epic(mu: Array, y: Array, variance: Array) -> Answer:
    r"""Minimise :math:`\sum_g w_g (y_g - \mu_g p)^2` over :math:`p \ge 0, \sum_j p_j \le 1`.

    Genes that vary little between replicates relative to their mean weigh more: :math:`w_g =
    \sum_j \mu_{gj} / (v_{gj} + \epsilon)`, capped at a hundred times the median. One minus the
    sum of the coefficients is the share of other cells. Bulk and reference must be on one scale.
    """
    floor = 1e-12 + 1e-6 * np.mean(mu) ** 2
    weights = (mu / (variance + floor)).sum(axis=1) if variance.any() else np.ones(len(mu))
    positive = weights[weights > 0]
    weights = np.minimum(weights, _LARGEST * np.median(positive))
    p = quadratic(mu, y, exactly_one=False, weights=weights)
    return Answer(p, other=1.0 - p.sum(axis=1))


BASELINE = Baseline(
    name="epic",
    title="Least squares weighted by the reference's variability, with other cells (EPIC, Racle et "
    "al. 2017)",
    doi="10.7554/eLife.26476",
    scale="linear, bulk and reference on one scale",
    returns="fractions of the known cell types; the rest as other",
    estimate=epic,
)
