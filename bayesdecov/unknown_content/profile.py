r"""The mean profile of unknown cells, from the expression that known types do not explain.

With proportions ``B`` (sample, cell_type) and shares ``w`` given, the remainder of sample i is

.. math:: r_{ig} = y_{ig} - (B\mu^T)_{ig} = w_i h_g + \delta_g + \epsilon_{ig},

``h`` is the mean profile of unknown cells, ``delta`` the deviation from the reference that all
samples share: its error, with variance :math:`2\sum_j \bar b_j^2\sigma_{gj}^2 / n_j` (errors are
correlated where donors provided several cell types); ``epsilon`` is the variation between donors,
within known cells and (:math:`\tau` times ``h``) within unknown ones. Every gene is a linear
regression, with a broad prior of ``h`` around an ordinary cell.

The remainder identifies ``h`` only up to a combination of the known profiles. The markers of a
cell type are the anchor: unknown cells are assumed to express them like other genes of the same
level (at the lower quartile, so that most markers may even be shared).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayesdecov.algebra.terms import Array
from bayesdecov.unknown_content.cohort import ObservedCohort

_MEASUREMENT = 0.02  # unexplained relative error
_SPREAD = 1.5  # prior sd of h over the level of an ordinary cell
_ROUNDS = 8
_TAU = (0.3, 1.2)  # relative sd between donors of unknown cells, at least and at most
_TOGETHER = 2.0  # times the variance of independent errors of the means
_QUANTILE = 0.25
_FEWEST = 5  # markers of a type that can anchor
_ANCHOR_STEPS = 60


class Profile(NamedTuple):
    """Mean of unknown cells, its variance and that between donors; the shared deviation."""

    h: Array
    error: Array  # variance of h
    between: Array  # variance over donors
    shift: Array
    shift_error: Array


def variance(cohort: ObservedCohort, B: Array) -> Array:
    """Variance of the known part of every sample, (sample, gene)."""
    within = cohort.relative_variance * np.square(B) @ np.square(cohort.mu).T
    counting = cohort.phi[:, None] * (cohort.y.mean(axis=0) + cohort.phi[:, None] / 4)
    measured = np.square(_MEASUREMENT * (cohort.mu.mean(axis=1) + cohort.level))
    return np.asarray(within + counting + measured)


def regress(cohort: ObservedCohort, B: Array, w: Array) -> Profile:
    """Profile given proportions and shares, before it is `anchored`."""
    rest = cohort.y - B @ cohort.mu.T
    known = variance(cohort, B)
    mean = B.mean(axis=0)
    of_mean = np.divide(
        1.0, cohort.replicates, out=np.zeros_like(mean), where=cohort.replicates > 0
    )
    common = cohort.relative_variance * np.square(cohort.mu) @ (np.square(mean) * of_mean)
    common = _TOGETHER * common + np.square(_MEASUREMENT * (cohort.mu.mean(axis=1) + cohort.level))
    prior = np.square(_SPREAD * cohort.level)
    a, tau, h = w[:, None], 0.6, cohort.level
    for _ in range(_ROUNDS):
        between = np.square(tau * np.maximum(h, 0.05 * cohort.level))
        W = 1 / (known + a**2 * between)
        aa, ab, bb = (a * a * W).sum(axis=0) + 1 / prior, (a * W).sum(axis=0), W.sum(axis=0)
        bb = bb + 1 / common
        to_h = (a * rest * W).sum(axis=0) + cohort.level / prior
        to_shift = (rest * W).sum(axis=0)
        determinant = aa * bb - ab**2
        h = (bb * to_h - ab * to_shift) / determinant
        shift = (aa * to_shift - ab * to_h) / determinant
        tau = _between_donors(rest - a * h - shift, known, a * np.maximum(h, 0), W)
    return Profile(h, bb / determinant, between, shift, aa / determinant)


def _between_donors(residual: Array, known: Array, part: Array, W: Array) -> float:
    """Relative sd of unknown cells between donors, from the residuals of their mean."""
    weights = np.square(part * W)
    total = (weights * np.square(part)).sum()
    excess = (weights * (np.square(residual) - known)).sum()
    return float(np.sqrt(np.clip(excess / total, *np.square(_TAU)))) if total > 0 else 0.6


def anchored(cohort: ObservedCohort, h: Array) -> Array:
    """``h`` without the known profiles, so that markers behave like other genes."""
    marks = [cohort.owner == j for j in range(cohort.n_types)]
    usable = [j for j, rows in enumerate(marks) if _FEWEST <= rows.sum() < len(h)]
    height = {j: float(np.median(cohort.mu[marks[j], j] / cohort.level[marks[j]])) for j in usable}
    b = np.zeros(cohort.n_types)
    for _ in range(_ANCHOR_STEPS):
        ratio = (h - cohort.mu @ b) / cohort.level
        step = np.zeros_like(b)
        for j in usable:
            at, others = (np.quantile(ratio[rows], _QUANTILE) for rows in (marks[j], ~marks[j]))
            step[j] = (at - others) / height[j]
        b += 0.5 * step
        if np.abs(step).max() < 1e-4:
            break
    return np.maximum(h - cohort.mu @ b, 0.0)
