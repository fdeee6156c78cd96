r"""Laplace approximation, made exact by adaptive importance sampling as far as that goes.

The normal at the mode of the free coordinates is too short where a proportion is close to zero: its
logarithm has a long left tail. So the normal is only the first of a few rounds of proposals (a
multivariate t around the current mean and covariance); all of them together are weighted by the
exact density over their mixture (deterministic-mixture adaptive importance sampling, Cornuet et
al. 2012), and draws are resampled from these weights. Their Pareto shape ``k`` says whether that
worked (Vehtari et al. 2024).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from bayesdecov.algebra.terms import Array, Term
from bayesdecov.deconvolution.fit import log_posterior
from bayesdecov.deconvolution.posterior import Expansion, Posterior, expand, summarised
from bayesdecov.deconvolution.problem import Problem

_ROUNDS = 4
_PER_ROUND = 250
_LAST = 1000  # proposals of the last round, or as many as draws are asked for
_AGAIN, _EFFECTIVE = 3, 0.4  # times that samples below this share are adapted further
_DF = 5.0
_CHUNK_FLOATS = 4_000_000


class Proposals(NamedTuple):
    """Proposals (row, proposal, parameter), their log-densities, weights, and what they teach."""

    x: Array
    value: Array
    log_weights: Array
    mean: Array
    root: Array


def laplace(problem: Problem, draws: int, rngs: list[np.random.Generator]) -> Posterior:
    """Draws of every sample, one independent random stream each."""
    normal = expand(problem)
    last = max(_LAST, draws)
    step = max(1, _CHUNK_FLOATS // (last * problem.density.n_genes))
    parts = [
        _refined(problem, normal, np.arange(i, min(i + step, len(rngs))), last, rngs)
        for i in range(0, len(rngs), step)
    ]
    x = np.concatenate([part.x for part in parts])
    log_weights = np.concatenate([part.log_weights for part in parts])
    kept = np.stack(
        [_resample(w, draws, rng) for w, rng in zip(truncated(log_weights), rngs, strict=True)]
    )
    drawn = np.take_along_axis(x, kept[:, :, None], axis=1)
    return summarised(problem, normal, drawn[:, None], {}, log_weights)


def _refined(
    problem: Problem, normal: Expansion, rows: np.ndarray, last: int,
    rngs: list[np.random.Generator],
) -> Proposals:  # fmt: skip
    """Adapt from the normal at the mode; once more where few proposals carry the weight."""
    target = log_posterior(problem, normal.modes.data, normal.modes.phi, jacobian=True, order=0)
    sizes = [_PER_ROUND] * _ROUNDS + [last]
    found = adapt(target, normal.modes.x[rows], normal.root[rows], rows, sizes, rngs)
    total = sum(sizes)
    for _ in range(_AGAIN):
        poor = np.flatnonzero(_effective(found.log_weights) < _EFFECTIVE * total)
        if not len(poor):
            break
        halves = [total // 2, total - total // 2]
        again = adapt(target, found.mean[poor], found.root[poor], rows[poor], halves, rngs)
        for old, new in zip(found, again, strict=True):
            old[poor] = new
    return found


def adapt(
    target: Callable[[Array, NDArray[np.intp]], Term], mean: Array, root: Array,
    rows: np.ndarray, sizes: list[int], rngs: list[np.random.Generator],
) -> Proposals:  # fmt: skip
    """Rounds of proposals, each around what those before have taught."""
    x = np.empty((len(rows), 0, mean.shape[1]))
    value, laws = np.empty((len(rows), 0)), []
    log_weights = value
    for size in sizes:
        laws.append((mean, root, size))
        normals = np.stack([rngs[i].standard_normal((size, mean.shape[1])) for i in rows])
        tails = np.stack([rngs[i].chisquare(_DF, size) for i in rows]) / _DF
        new = mean[:, None] + (normals / np.sqrt(tails)[:, :, None]) @ root.transpose(0, 2, 1)
        found = target(new.reshape(-1, new.shape[2]), np.repeat(rows, size)).value
        found = np.where(np.isfinite(found), found, -np.inf).reshape(len(rows), size)
        x, value = np.concatenate([x, new], axis=1), np.concatenate([value, found], axis=1)
        log_weights = value - _log_mixture(x, laws)
        mean, root = _moments(x, truncated(log_weights))
    return Proposals(x, value, log_weights, mean, root)


def _effective(log_weights: Array) -> Array:
    """Effective number of proposals."""
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    return np.asarray(weights.sum(axis=1) ** 2 / np.square(weights).sum(axis=1))


def _log_mixture(x: Array, laws: list[tuple[Array, Array, int]]) -> Array:
    """Log-density of the mixture of all proposals, (row, proposal)."""
    n_parameters, total = x.shape[2], x.shape[1]
    terms = []
    for mean, root, size in laws:
        white = (x - mean[:, None]) @ np.linalg.pinv(root).transpose(0, 2, 1)
        volume = np.linalg.slogdet(root)[1]
        tail = -0.5 * (_DF + n_parameters) * np.log1p(np.square(white).sum(axis=2) / _DF)
        terms.append(tail - volume[:, None] + np.log(size / total))
    constant = gammaln((_DF + n_parameters) / 2) - gammaln(_DF / 2)
    constant -= 0.5 * n_parameters * np.log(_DF * np.pi)
    return np.asarray(logsumexp(terms, axis=0) + constant)


def truncated(log_weights: Array) -> Array:
    """Normalised weights, none above ``sqrt(S)`` times their mean (Ionides 2008)."""
    top = log_weights.max(axis=1, keepdims=True)
    weights = np.exp(np.where(np.isfinite(top), log_weights - top, 0.0))
    limit = weights.mean(axis=1, keepdims=True) * np.sqrt(weights.shape[1])
    weights = np.minimum(weights, limit)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _moments(x: Array, weights: Array) -> tuple[Array, Array]:
    """Weighted means and roots of covariances, (row, parameter) and (row, parameter, parameter)."""
    mean = (weights[:, None] @ x)[:, 0]
    centred = x - mean[:, None]
    covariance = (centred * weights[:, :, None]).transpose(0, 2, 1) @ centred
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 1e-6 * values[:, -1:])
    return mean, vectors * np.sqrt(values)[:, None, :]


def _resample(weights: Array, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Systematic resampling, in random order."""
    points = (np.arange(draws) + rng.uniform()) / draws
    chosen = np.searchsorted(np.cumsum(weights), points)
    return rng.permutation(np.minimum(chosen, len(weights) - 1))
