r"""The posterior of every gene effect under the contaminated normal: a mixture of normals.

Given its state (no shift, or a shift :math:`x` in effect ``k``), a gene's effect
:math:`\beta + \gamma_g` is normal with mean
:math:`\beta + \Psi T^{-1}(c - \beta) + x\,\sigma_g^2 V_z T^{-1} e_k`; the shift is part of the
effect.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from bayesdecov.algebra.shared_design import LeastSquares
from bayesdecov.algebra.terms import Array
from bayesdecov.mixed_effects.contamination import Expectation
from bayesdecov.mixed_effects.eblup import conditional, fixed_part
from bayesdecov.mixed_effects.parameters import Contamination

_CHUNK = 4096
_NEWTON = 25
_CLOSE = 1e-4  # of a standard deviation


class GenePosterior(NamedTuple):
    """Random effect; sd, false-sign rate and interval of the whole effect; all (gene, q)."""

    gamma: Array
    sd: Array
    lfsr: Array
    low: Array
    high: Array


class _States(NamedTuple):
    """Normal components of the random effects, (state, gene, q); weights are (state, gene, 1)."""

    weight: Array
    mean: Array
    sd: Array


def posterior(
    ls: LeastSquares,
    seen: Expectation,
    at: Contamination,
    sigma2: Array,
    beta: Array,
    beta_cov: Array,
    prob: float = 0.95,
) -> GenePosterior:
    """Means, standard deviations, false-sign rates and intervals.

    Parameters
    ----------
    beta, beta_cov
        Fixed effects (column,) and their covariance.
    """
    m, centre = len(seen.z), beta[ls.random]
    extra = fixed_part(ls, seen.frame, seen.h, beta_cov)
    parts = [
        _judge(
            _states(_rows(seen, slice(i, i + _CHUNK)), at, _some(sigma2, i), extra, m), centre, prob
        )
        for i in range(0, m, _CHUNK)
    ]
    gamma, sd, lfsr, low, high = (np.concatenate(part) for part in zip(*parts, strict=True))
    return GenePosterior(gamma, sd, lfsr, low, high)


def _some(values: Array, start: int) -> Array:
    return values if len(values) == 1 else values[start : start + _CHUNK]


def _rows(seen: Expectation, rows: slice) -> Expectation:
    """A subset of the genes; arrays shared by all genes are unchanged."""
    m = len(seen.z)
    parts: dict[str, Any] = {
        name: value[rows]
        for name, value in seen._asdict().items()
        if isinstance(value, np.ndarray) and len(value) == m
    }
    return seen._replace(**parts)


def _states(seen: Expectation, at: Contamination, sigma2: Array, extra: Array, m: int) -> _States:
    W, inverse, _ = seen.frame
    s2h = sigma2[:, None] * seen.h
    base, variance = conditional(seen.frame, seen.h, sigma2, seen.z, m)
    variance = np.broadcast_to(variance + extra, base.shape)
    null = 1.0 - seen.up.sum(axis=1) - seen.down.sum(axis=1)
    weights, means, variances = [np.maximum(null, 0.0)], [base], [variance]
    for j, k in enumerate(at.active):
        moves = (s2h * inverse[:, k]) @ W.T  # of all effects by a unit shift in effect k
        v = variance + seen.variance[:, [j]] * np.square(moves)
        for weight, mean in ((seen.up, seen.mean_up), (seen.down, seen.mean_down)):
            weights.append(weight[:, j])
            means.append(base + mean[:, [j]] * moves)
            variances.append(v)
    return _States(np.stack(weights)[:, :, None], np.stack(means), np.sqrt(np.stack(variances)))


def _judge(states: _States, centre: Array, prob: float) -> tuple[Array, Array, Array, Array, Array]:
    """Random effect, sd, lfsr, low and high of the whole effect."""
    weight, mean, sd = states
    gamma = (weight * mean).sum(axis=0)
    spread = np.sqrt((weight * (np.square(mean - gamma) + np.square(sd))).sum(axis=0))
    u = (centre + mean) / sd
    positive, negative = ((weight * ndtr(side * u)).sum(axis=0) for side in (1, -1))
    tail = (1 - prob) / 2
    low, high = (_quantile(states, p, gamma, spread) for p in (tail, 1 - tail))
    return gamma, spread, np.minimum(positive, negative), centre + low, centre + high


def _quantile(states: _States, p: float, centre: Array, spread: Array) -> Array:
    """Quantiles of the mixtures by Newton's method within a shrinking bracket."""
    weight, mean, sd = states
    reach = float(ndtri(p))
    low = (mean + min(reach, 0.0) * sd).min(axis=0) - spread
    high = (mean + max(reach, 0.0) * sd).max(axis=0) + spread
    x = centre + reach * spread
    if len(weight) == 1:
        return x
    for _ in range(_NEWTON):
        u = (x - mean) / sd
        error = (weight * ndtr(u)).sum(axis=0) - p
        density = (weight * np.exp(-0.5 * u * u) / sd).sum(axis=0) / np.sqrt(2 * np.pi)
        low, high = np.where(error < 0, x, low), np.where(error > 0, x, high)
        step = x - error / np.maximum(density, 1e-300)
        new = np.where((step > low) & (step < high), step, 0.5 * (low + high))
        close = float(np.abs((new - x) / spread).max())
        x = new
        if close < _CLOSE:
            break
    return x
