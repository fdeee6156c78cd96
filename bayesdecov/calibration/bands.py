r"""Simultaneous bands for the distribution of ranks.

If a posterior is correct, the rank of the true value among ``L`` of its draws is uniform on
``0..L``. The empirical distribution of ``N`` such ranks is binomial at every point. A simultaneous
band with coverage ``1 - alpha`` uses a pointwise level ``gamma`` that is found by simulating
uniform ranks (Saeilynoja, Buerkner and Vehtari 2022, doi:10.1007/s11222-022-10090-6).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import binom

from bayesdecov.algebra.terms import Array

_SIMULATED = 20_000
_CHUNK = 2_000


class Band(NamedTuple):
    """Limits of the empirical distribution at ``points`` (shares of the ranks)."""

    points: Array
    low: Array
    high: Array
    gamma: float


def ecdf(ranks: np.ndarray, draws: int) -> Array:
    """Share of ranks up to each of ``0..draws-1``, (point, parameter)."""
    counts = np.stack(
        [np.bincount(column, minlength=draws + 1)[:draws].cumsum() for column in ranks.T], axis=1
    )
    return np.asarray(counts / len(ranks))


def _pointwise(counts: np.ndarray, n: int, draws: int) -> np.ndarray:
    """Two-sided binomial tail of each count, (..., point)."""
    share = np.arange(1, draws + 1) / (draws + 1)
    values = np.arange(n + 1)
    below = binom.cdf(values[None], n, share[:, None])
    above = binom.sf(values[None] - 1, n, share[:, None])
    table = 2 * np.minimum(below, above)
    return np.asarray(table[np.arange(draws), counts])


def band(n: int, draws: int, alpha: float = 0.001, seed: int = 0) -> Band:
    """The band for ``n`` ranks in ``0..draws``."""
    rng = np.random.default_rng(seed)
    smallest = []
    for _ in range(_SIMULATED // _CHUNK):
        ranks = rng.integers(0, draws + 1, (_CHUNK, n))
        flat = ranks + (draws + 1) * np.arange(_CHUNK)[:, None]
        counts = np.bincount(flat.ravel(), minlength=_CHUNK * (draws + 1))
        counts = counts.reshape(_CHUNK, draws + 1)[:, :draws].cumsum(axis=1)
        smallest.append(_pointwise(counts, n, draws).min(axis=1))
    gamma = float(np.quantile(np.concatenate(smallest), alpha))
    points = np.arange(1, draws + 1) / (draws + 1)
    low, high = (binom.ppf(p, n, points) / n for p in (gamma / 2, 1 - gamma / 2))
    return Band(points, low, high, gamma)


def uniformity(ranks: np.ndarray, draws: int, alpha: float = 0.001) -> tuple[Array, Band]:
    """Smallest pointwise tail of each parameter's ranks, and the band to compare it with.

    A parameter is miscalibrated if its tail is below ``band.gamma``.
    """
    n = len(ranks)
    counts = np.rint(ecdf(ranks, draws) * n).astype(int)
    return _pointwise(counts.T, n, draws).min(axis=1), band(n, draws, alpha)
