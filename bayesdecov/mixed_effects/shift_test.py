r"""A test of a shift in one effect that allows for shifts in the others.

Given the state of the other effects (none shifted, or a shift :math:`x` in effect ``j``) and the
other coefficients, the standardised score of effect ``k`` is standard normal where ``k`` has no
shift. Averaged over the posterior of that state given the *other* coefficients,
:math:`F = \sum_s w_s\Phi(z_{k,s})` is its distribution function, and :math:`2\min(F, 1-F)` is
uniform under the null hypothesis. The plain score test would count shifts in other effects as
evidence.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr
from scipy.stats import t as student

from bayesdecov.algebra.terms import Array
from bayesdecov.mixed_effects.contamination import Expectation
from bayesdecov.mixed_effects.parameters import Contamination

_TINY = 1e-300


def shift_p_values(seen: Expectation, at: Contamination, df: Array | None) -> Array:
    """P-values (gene, q); ``df`` (gene, q) turns the normal into Student's t."""
    inverse = seen.frame.inverse
    q = len(inverse)
    null = np.maximum(1.0 - seen.up.sum(axis=1) - seen.down.sum(axis=1), _TINY)[:, None]
    # without component k, its genes count as not shifted
    gain = np.log((at.null + at.up + at.down) / at.null)
    z = seen.score / np.sqrt(seen.information)
    peak = np.log(null) + gain + 0.5 * np.square(z) - 0.5 * np.log(seen.information)
    mass = np.ones_like(peak)
    below, above = _tails(z, df)
    for j, k in enumerate(at.active):
        K = (seen.h * inverse[:, k]) @ inverse  # column k of T^-1, (gene or 1, q)
        left = seen.information - seen.variance[:, [j]] * np.square(K)  # precision given the state
        own = np.arange(q) == k
        for weight, mean in ((seen.up, seen.mean_up), (seen.down, seen.mean_down)):
            z = (seen.score - K * mean[:, [j]]) / np.sqrt(left)
            value = np.log(np.maximum(weight[:, [j]], _TINY)) + 0.5 * np.square(z)
            value = np.where(own, -np.inf, value - 0.5 * np.log(left))
            top = np.maximum(peak, value)
            before, now = np.exp(peak - top), np.exp(value - top)
            low, high = _tails(z, df)
            mass = mass * before + now
            below, above = below * before + now * low, above * before + now * high
            peak = top
    return np.asarray(np.minimum(2 * np.minimum(below, above) / mass, 1.0))


def _tails(z: Array, df: Array | None) -> tuple[Array, Array]:
    """Probabilities below and above ``z``."""
    if df is None:
        return ndtr(z), ndtr(-z)
    return student.cdf(z, df), student.sf(z, df)
