r"""Laplace approximation, refined by adaptive importance sampling.

The normal at the mode of the free coordinates is too light-tailed where a proportion is close to
zero: its logarithm has a long left tail. So the normal is only the first of a few rounds of
proposals (a multivariate t with the current mean and covariance). All proposals are weighted by the
density over their mixture (deterministic-mixture adaptive importance sampling, Cornuet et al.
2012), and draws are resampled with these weights. Their Pareto shape ``k`` indicates whether this
succeeded (Vehtari et al. 2024).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bayesdecov.algebra.interpolated import helps, interpolate
from bayesdecov.algebra.lowrank import LowRank
from bayesdecov.algebra.simplex import jacobian
from bayesdecov.algebra.terms import Array, Term
from bayesdecov.deconvolution.fit import log_posterior, unpack
from bayesdecov.deconvolution.importance import DF, Proposals, adapt, effective, truncated, values
from bayesdecov.deconvolution.model import Data, Model
from bayesdecov.deconvolution.posterior import (
    LaplaceApproximation,
    Posterior,
    laplace_approximation,
    summarise,
)
from bayesdecov.diagnostics import pareto_k
from bayesdecov.optimize import Objective
from bayesdecov.verdicts import PARETO_K

_ROUNDS = 4
_PER_ROUND = 250
_LAST = 1000  # proposals of the last round, or the number of draws requested if larger
_WIDER = 3.0  # over the number of types: covers tails, and loses few proposals to dimensions
_CHEAP = (500, 500, 500, 500)  # the same where the density costs next to nothing
_MORE, _EFFECTIVE = 3, 0.8  # further rounds where fewer are effective than this share of the last
_CHUNK_FLOATS = 4_000_000
_SUPPORT = 100  # points that an interpolated density is made from
_CHECKED, _ACCURACY = 8, 0.02  # points where it is checked, largest difference of log-densities
_NOTHING = 8.0  # a log-weight below the largest by this is negligible


def laplace(model: Model, data: Data, draws: int, rngs: list[np.random.Generator]) -> Posterior:
    """Draws of every sample, one independent random stream each."""
    normal = laplace_approximation(model, data)
    if data.held is not None and model.free_size:
        return _by_cube_roots(model, data, normal, draws, rngs)
    sizes = [_PER_ROUND] * _ROUNDS + [max(_LAST, draws)]
    last = sizes[-1]
    step = max(1, _CHUNK_FLOATS // (last * model.density.n_genes))
    if helps(model.density):
        step = 1
    x = np.empty((len(rngs), draws, normal.modes.x.shape[1]))
    log_weights = np.full((len(rngs), sum(sizes) + last * _MORE), np.nan)
    for i in range(0, len(rngs), step):
        rows = np.arange(i, min(i + step, len(rngs)))
        for which, found in _refined(model, normal, rows, sizes, rngs):
            for row, each, weights in zip(
                which, found.x, truncated(found.log_weights), strict=True
            ):
                x[row] = each[_resample(weights, draws, rngs[row])]
            log_weights[which, : found.x.shape[1]] = found.log_weights
    return summarise(model, data, normal, x[:, None], {}, log_weights)


def _by_cube_roots(
    model: Model,
    data: Data,
    normal: LaplaceApproximation,
    draws: int,
    rngs: list[np.random.Generator],
) -> Posterior:
    """Draws in the coordinates ``q^(1/3)``, for a density that is a quadratic form of ``q``.

    The coefficient of a type that is nearly absent is close to a gamma, whose logarithm has a long
    tail and whose cube root is nearly normal (Wilson and Hilferty 1931), as are those of the
    others.
    """
    assert data.held is not None
    target = log_posterior(model, data.held, normal.modes.phi, jacobian=True, order=0)

    def of_roots(roots: Array, rows: np.ndarray) -> Term:
        inside = (roots > 0).all(axis=1)
        logs = np.log(np.where(roots > 0, roots, 1.0))
        value = target(_coordinates(3 * logs), rows).value - logs.sum(axis=1)
        return Term(np.where(inside, value, -np.inf), np.empty(0), np.empty(0))

    p, size = unpack(model, normal.modes.x)
    assert size is not None
    roots = np.cbrt(size[:, None] * p)
    slope = np.concatenate([jacobian(p) / p[:, :, None], np.ones((*p.shape, 1))], axis=2)
    spread = roots[:, :, None] / 3 * (slope @ normal.root)
    sizes = [*_CHEAP, max(_LAST, 2 * draws)]
    n, k = normal.modes.x.shape
    x = np.empty((n, draws, k))
    log_weights = np.full((n, sum(sizes) + sizes[-1] * _MORE), np.nan)
    step = max(1, _CHUNK_FLOATS // (sizes[-1] * data.held.shape[1]))
    for i in range(0, n, step):
        rows = np.arange(i, min(i + step, n))
        widen = 1 + _WIDER / p.shape[1]
        found = adapt(of_roots, roots[rows], spread[rows], rows, sizes, rngs, None, widen)
        for _ in range(_MORE + 1):
            weights = truncated(found.log_weights)
            for row, each, those in zip(rows, found.x, weights, strict=True):
                x[row] = _coordinates(3 * np.log(each[_resample(those, draws, rngs[row])]))
            log_weights[rows, : found.x.shape[1]] = found.log_weights
            poor = ~(pareto_k(found.log_weights) <= PARETO_K)
            if not poor.any() or found.x.shape[1] == log_weights.shape[1]:
                break
            found, rows = found.take(poor), rows[poor]
            found = adapt(of_roots, found.mean, found.root, rows, sizes[-1:], rngs, found, widen)
    return summarise(model, data, normal, x[:, None], {}, log_weights)


def _coordinates(log_q: Array) -> Array:
    """Log-ratios to the last type and the logarithm of the total, of log-coefficients."""
    total = np.logaddexp.reduce(log_q, axis=1)
    return np.column_stack([log_q[:, :-1] - log_q[:, -1:], total])


def _refined(
    model: Model,
    normal: LaplaceApproximation,
    rows: np.ndarray,
    sizes: list[int],
    rngs: list[np.random.Generator],
) -> Iterator[tuple[np.ndarray, Proposals]]:
    """Adapt from the normal at the mode; add rounds where few proposals carry the weight."""
    exact = log_posterior(model, normal.modes.projected, normal.modes.phi, jacobian=True, order=0)
    target = exact
    if helps(model.density):
        around = _around(model, normal, int(rows[0]))
        target = log_posterior(
            around, normal.modes.projected, normal.modes.phi, jacobian=True, order=0
        )
    last = sizes[-1]
    found = adapt(target, normal.modes.x[rows], normal.root[rows], rows, sizes, rngs)
    for more in range(_MORE + 1):
        if target is not exact and not _close(found, exact, rows):
            found, target = _exactly(found, exact, rows), exact
        poor = effective(found.log_weights) < _EFFECTIVE * last
        if more == _MORE:
            poor[:] = False
        if not poor.all():
            yield rows[~poor], found.take(~poor)
        if not poor.any():
            return
        found, rows = found.take(poor), rows[poor]
        found = adapt(target, found.mean, found.root, rows, [last], rngs, found)


def _around(model: Model, normal: LaplaceApproximation, row: int) -> Model:
    """The model with a density for one sample, interpolated where proposals will lie."""
    mean, root = normal.modes.x[row], normal.root[row]
    rng = np.random.default_rng(0)  # the choice of points is not random
    steps = rng.standard_normal((_SUPPORT, len(mean)))
    steps /= np.sqrt(rng.chisquare(DF, _SUPPORT) / DF)[:, None]
    steps[0] = 0.0
    p, size = unpack(model, mean + steps @ root.T)
    q = p if size is None else size[:, None] * p
    assert isinstance(model.density, LowRank)
    return replace(model, density=interpolate(model.density, q, float(normal.modes.phi[row])))


def _close(found: Proposals, exact: Objective, rows: np.ndarray) -> bool:
    """Whether interpolated and exact densities of one sample differ negligibly.

    The check uses proposals spread over the weight and proposals spread over all; those with
    negligible weight under both densities are ignored.
    """
    weights = found.log_weights[0]
    spread = np.cumsum(truncated(weights[None])[0])
    some = np.searchsorted(spread, (np.arange(_CHECKED) + 0.5) / _CHECKED)
    some = np.union1d(some, np.arange(_CHECKED) * (len(weights) // _CHECKED))
    some = some[some < len(weights)]
    value = values(exact, found.x[:, some], rows)[0]
    highest = np.maximum(value, found.value[0, some]) - found.log_mixture[0, some]
    counts = highest > weights.max() - _NOTHING
    with np.errstate(invalid="ignore"):
        error = value[counts] - found.value[0, some[counts]]
    return bool(np.isfinite(error).all() and np.ptp(error) < _ACCURACY)


def _exactly(found: Proposals, exact: Objective, rows: np.ndarray) -> Proposals:
    """The proposals of one sample with exact densities."""
    return found._replace(value=values(exact, found.x, rows))


def _resample(weights: Array, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Systematic resampling, in random order."""
    points = (np.arange(draws) + rng.uniform()) / draws
    chosen = np.searchsorted(np.cumsum(weights), points)
    return rng.permutation(np.minimum(chosen, len(weights) - 1))
