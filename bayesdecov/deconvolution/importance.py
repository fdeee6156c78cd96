"""Deterministic-mixture adaptive importance sampling (Cornuet et al. 2012), many targets at once.

Proposals are multivariate t. Each round is centred and scaled by the moments found in the previous
rounds; all proposals are weighted by the density over the mixture of all rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, logsumexp

from bayesdecov.algebra.terms import Array
from bayesdecov.optimize import Objective

DF = 5.0  # of the proposals


class Proposals(NamedTuple):
    """Proposals (row, proposal, parameter), their log-densities, weights and moments.

    ``rounds`` holds the mean, the root of the covariance and the size of every round;
    ``log_mixture`` is the log-density of their mixture.
    """

    x: Array
    value: Array
    log_mixture: Array
    mean: Array
    root: Array
    rounds: tuple[tuple[Array, Array, int], ...]

    @property
    def log_weights(self) -> Array:
        """Minus infinity where the density is zero."""
        return self.value - self.log_mixture

    def take(self, rows: np.ndarray) -> Proposals:
        """Some of the rows."""
        x, value, log_mixture, mean, root = (part[rows] for part in self[:5])
        rounds = tuple((mean[rows], root[rows], size) for mean, root, size in self.rounds)
        return Proposals(x, value, log_mixture, mean, root, rounds)


def adapt(
    target: Objective,
    mean: Array,
    root: Array,
    rows: np.ndarray,
    sizes: list[int],
    rngs: list[np.random.Generator],
    before: Proposals | None = None,
    widen: float = 1.0,
) -> Proposals:
    """Rounds of weighted proposals, each from the moments of the previous rounds.

    ``widen`` multiplies their standard deviations.
    """
    if before is None:
        n, k = mean.shape
        before = Proposals(np.empty((n, 0, k)), np.empty((n, 0)), np.empty((n, 0)), mean, root, ())
    x, value, rounds = before.x, before.value, before.rounds
    for size in sizes:
        root = widen * root
        rounds = (*rounds, (mean, root, size))
        normals = np.stack([rngs[i].standard_normal((size, mean.shape[1])) for i in rows])
        tails = np.stack([rngs[i].chisquare(DF, size) for i in rows]) / DF
        new = mean[:, None] + (normals / np.sqrt(tails)[:, :, None]) @ root.transpose(0, 2, 1)
        at = values(target, new, rows)
        x, value = np.concatenate([x, new], axis=1), np.concatenate([value, at], axis=1)
        found = Proposals(x, value, _log_mixture(x, rounds), mean, root, rounds)
        mean, root = _moments(x, truncated(found.log_weights))
    return found._replace(mean=mean, root=root)


def values(target: Objective, x: Array, rows: np.ndarray) -> Array:
    """Log-densities of ``x`` (row, point, parameter); minus infinity where there is none."""
    n, points, _ = x.shape
    found = target(x.reshape(n * points, -1), np.repeat(rows, points)).value
    return np.where(np.isfinite(found), found, -np.inf).reshape(n, points)


def effective(log_weights: Array) -> Array:
    """Effective number of proposals."""
    weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
    return np.asarray(weights.sum(axis=1) ** 2 / np.square(weights).sum(axis=1))


def _log_mixture(x: Array, rounds: Sequence[tuple[Array, Array, int]]) -> Array:
    """Log-density of the mixture of all proposals, (row, proposal)."""
    n_parameters, total = x.shape[2], x.shape[1]
    terms = []
    for mean, root, size in rounds:
        white = (x - mean[:, None]) @ np.linalg.pinv(root).transpose(0, 2, 1)
        volume = np.linalg.slogdet(root)[1]
        tail = -0.5 * (DF + n_parameters) * np.log1p(np.square(white).sum(axis=2) / DF)
        terms.append(tail - volume[:, None] + np.log(size / total))
    constant = gammaln((DF + n_parameters) / 2) - gammaln(DF / 2)
    constant -= 0.5 * n_parameters * np.log(DF * np.pi)
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
