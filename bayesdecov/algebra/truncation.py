r"""Means and covariances from the central part of a contaminated multivariate normal.

Trimming genes far from the centre makes the variance of the rest too small. For a
:math:`d`-dimensional standard normal cut at the :math:`1-S` quantile ``q`` of its squared length
the covariance of the remainder is :math:`F_{d+2}(q)/(1-S)` times the identity, in closed form.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from bayesdecov.algebra.terms import Array

_GRID = 501  # points of the one-dimensional integral over the ball
_LARGEST_STEPS = 10
_MAD = 1.4826  # a normal's standard deviation over its median absolute deviation
_NEAR, _FAR = 3.0, 3.0
_FARTHEST = 1e-3  # probability that any of m normal rows exceeds the limit
_ROOT_FLOOR = 1e-6  # of the largest eigenvalue


def consistency(d: int, trim: float) -> float:
    r"""The factor :math:`\lambda_d = (1-S)/F_{d+2}(\chi^2_{d,1-S})` that undoes trimming."""
    return float((1 - trim) / chi2.cdf(chi2.ppf(1 - trim, d), d + 2))


def trimmed_variance_df(d: int, trim: float, m: int) -> float:
    r"""Degrees of freedom of a variance estimated from the central share of ``m`` genes.

    Twice the squared variance over its sampling variance, from the influence function of the
    trimmed estimator (its quantile estimated too); ``m - 1`` without trimming.
    """
    if trim == 0:
        return float(m - 1)
    keep = 1 - trim
    q = float(chi2.ppf(keep, d))
    scale = consistency(d, trim) / keep
    second, fourth = float(chi2.cdf(q, d + 2)), 3.0 * float(chi2.cdf(q, d + 4))
    # scale (x^2 1 - (q/d)(1 - keep)) with 1 the indicator of being kept
    shift = q / d
    mean_square = fourth - 2 * shift * second + shift**2 * keep
    variance = scale**2 * (mean_square - (second - shift * keep) ** 2)
    return float(m * 2.0 / variance)


def inverse_root(A: Array, *, floor: float = _ROOT_FLOOR) -> Array:
    """Symmetric inverse square root; eigenvalues are floored relative to the largest."""
    return _power(A, -0.5, floor)


def root(A: Array, *, floor: float = _ROOT_FLOOR) -> Array:
    """Symmetric square root with the same floor as `inverse_root`."""
    return _power(A, 0.5, floor)


def _power(A: Array, exponent: float, floor: float) -> Array:
    values, vectors = np.linalg.eigh((A + A.T) / 2)
    values = np.maximum(values, floor * values[-1])
    return np.asarray((vectors * values**exponent) @ vectors.T)


def at_least(A: Array, smallest: float) -> Array:
    """The symmetric matrix (or a batch of them) with no eigenvalue below ``smallest``."""
    values, vectors = np.linalg.eigh((A + np.swapaxes(A, -1, -2)) / 2)
    scaled = vectors * np.maximum(values, smallest)[..., None, :]
    return np.asarray(scaled @ np.swapaxes(vectors, -1, -2))


def central(x: Array) -> tuple[Array, Array]:
    """Median, and a covariance of the genes near it scaled to the median absolute deviations."""
    centre = np.median(x, axis=0)
    spread = _MAD * np.median(np.abs(x - centre), axis=0)
    near = (np.abs(x - centre) < _NEAR * spread).all(axis=1)
    cov = np.atleast_2d(np.cov(x[near] if near.sum() > 2 * x.shape[1] else x, rowvar=False))
    variance = np.diag(cov)
    scale = np.where((spread > 0) & (variance > 0), spread / np.sqrt(variance), 1.0)
    return centre, cov * np.outer(scale, scale)


def far_out(x: Array) -> NDArray[np.bool_]:
    """Rows three times as far from the centre as the most extreme of as many normal rows."""
    m, d = x.shape
    centre, cov = central(x)
    t = (x - centre) @ inverse_root(cov)
    limit = _FAR**2 * chi2.isf(_FARTHEST / m, d)
    return np.asarray(np.einsum("gk,gk->g", t, t) > limit)


class RobustMean(NamedTuple):
    """A centre corrected for trimming around it, and details of the iteration."""

    centre: Array
    iterations: int
    step: float  # length of the last move, in standard deviations
    inflation: float  # of the variance, relative to the plain mean
    converged: bool


def robust_mean(
    x: Array,
    covariance: Array,
    *,
    trim: float = 0.5,
    tolerance: float = 1e-3,
    iterations: int = _LARGEST_STEPS,
) -> RobustMean:
    r"""Centre of the main part of ``x`` (gene, d) with known ``covariance``.

    Repeats: keep the :math:`1-S` share nearest to the current centre; their mean deviation ``M`` is
    too short, because the ball moves with the centre; find the shift ``u`` whose truncated mean
    :math:`S(u) = E[x_1 : |x| \le R],\ x \sim N(u e_1, I)` has that length and move by it.
    """
    d = x.shape[1]
    whiten, colour = inverse_root(covariance), root(covariance)
    t = x @ whiten
    centre = t.mean(axis=0)
    used, u, length = 0, 0.0, 0.0
    for _ in range(iterations):
        used += 1
        deviation = t - centre
        distance = np.sqrt(np.einsum("gk,gk->g", deviation, deviation))
        radius = float(np.quantile(distance, 1 - trim))
        M = deviation[distance <= radius].mean(axis=0)
        length = float(np.linalg.norm(M))
        if length == 0 or radius == 0:
            u = 0.0
            break
        u = _shift(length, radius, d)
        centre = centre + u * M / length
        if u <= tolerance:
            break
    keep = 1 - trim
    gain = u / length if length > 0 else 1.0
    inflation = gain**2 * float(chi2.cdf(chi2.ppf(keep, d), d + 2)) / keep**2
    return RobustMean(centre @ colour, used, u, inflation, u <= tolerance)


def _shift(length: float, radius: float, d: int) -> float:
    """Newton for ``S(u) = length``, from ``u = length``; S' is a truncated variance."""
    grid = np.linspace(-radius, radius, _GRID)
    inside = np.where(np.abs(grid) < radius, 1.0, 0.0)
    if d > 1:
        inside = chi2.cdf(np.maximum(radius**2 - grid**2, 0.0), d - 1)
    u = length
    for _ in range(_LARGEST_STEPS):
        weight = np.exp(-0.5 * (grid - u) ** 2) * inside
        total = weight.sum()
        mean = (grid * weight).sum() / total
        variance = (grid**2 * weight).sum() / total - mean**2
        step = float((length - mean) / variance)
        u += step
        if abs(step) <= 1e-4:
            break
    return u
