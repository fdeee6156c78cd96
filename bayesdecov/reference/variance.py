r"""Variances from few replicates: a mean-variance trend and moderation towards it.

Sample variances of two or three replicates are very imprecise. As in limma (Smyth 2004,
doi:10.2202/1544-6115.1027) each is shrunk towards a trend,

.. math:: \tilde s^2_{gj} = \frac{d_0 s_0^2(\mu_{gj}) + d_j s^2_{gj}}{d_0 + d_j},

with :math:`\log s_0^2` a quadratic in :math:`\log\mu` and the prior degrees of freedom
:math:`d_0` estimated from the spread of :math:`\log s^2` around it. Both are shared by all cell
types, so a cell type with a single replicate gets the trend itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

from bayesdecov.algebra.moderation import SMALLEST_EXCESS, inverse_trigamma
from bayesdecov.algebra.terms import Array

FALLBACK_CV = 0.3  # coefficient of variation where no cell type has replicates
_MEAN_FLOOR = 0.01  # of the gene's mean over cell types: the least mean used in the trend


class Moderated(NamedTuple):
    """Moderated variances (gene, cell_type), prior degrees of freedom, and how they were made."""

    variances: Array
    prior_df: float
    trend: str


def moderate(means: Array, variances: Array, replicates: NDArray[np.int64]) -> Moderated:
    """Shrink sample variances towards the mean-variance trend.

    Parameters
    ----------
    means, variances
        Sample moments, (gene, cell_type); variances of types with one replicate are ignored.
    replicates
        Number of replicates of each type.
    """
    floor = _MEAN_FLOOR * means.mean(axis=1, keepdims=True)
    level = np.log(np.maximum(np.maximum(means, floor), 1e-300))
    df = np.maximum(replicates - 1, 0).astype(float)
    usable = (variances > 0) & (df > 0)
    if usable.sum() < 3:
        return Moderated(
            (FALLBACK_CV * np.exp(level)) ** 2,
            np.inf,
            f"no replicates: standard deviation set to {FALLBACK_CV:g} times the mean",
        )
    half = np.broadcast_to(df / 2, means.shape)[usable]
    # E log s2 = log sigma2 + digamma(d/2) - log(d/2); its variance is trigamma(d/2)
    centred = np.log(variances[usable]) - digamma(half) + np.log(half)
    degree = int(np.clip(usable.sum() // 20, 0, 2)) if np.ptp(level[usable]) > 1e-6 else 0
    weights = 1 / np.sqrt(polygamma(1, half) + 0.1)
    trend = np.polynomial.Polynomial.fit(level[usable], centred, degree, w=weights)
    inside = np.clip(level, level[usable].min(), level[usable].max())
    # outside the observed range the coefficient of variation is kept constant
    prior = np.exp(trend(inside) + 2 * (level - inside))
    excess = np.mean((centred - trend(level[usable])) ** 2 - polygamma(1, half))
    prior_df = inverse_trigamma(float(excess)) * 2 if excess > SMALLEST_EXCESS else np.inf
    prior_df = max(prior_df, 0.5)  # a gene without variation must not get variance zero
    if np.isfinite(prior_df):  # the trend is the mean of log sigma2, below log s0^2
        prior = prior * np.exp(digamma(prior_df / 2) - np.log(prior_df / 2))
    weight = np.ones_like(df) if np.isinf(prior_df) else prior_df / (prior_df + df)
    moderated = weight * prior + (1 - weight) * np.where(df > 0, variances, 0.0)
    return Moderated(moderated, prior_df, f"quadratic in log mean, prior df {prior_df:.3g}")
