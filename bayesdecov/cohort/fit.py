"""Chains of the cohort model: the fast method, and all bulks jointly by NUTS."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bayesdecov import checks
from bayesdecov.algebra.terms import Array
from bayesdecov.cohort.collapsed import collapsed, find_mode
from bayesdecov.cohort.expectation import first_sites, update
from bayesdecov.cohort.gibbs import Likelihoods, Particles, Prior, Sites, sample
from bayesdecov.cohort.joint import Bulks, Sizes, log_joint, take_apart
from bayesdecov.cohort.measured import Measured
from bayesdecov.errors import Notes
from bayesdecov.nuts import run_nuts
from bayesdecov.sampling import Schedule

MANY = 400  # samples above which likelihoods are approximated as normal
INTERCEPT_SD, SLOPE_SD = 5.0, 1.0  # of log-ratios; slopes per standard deviation of the column
_ROUNDS = 6  # of expectation propagation
_SETTLED = 0.005  # change of the coefficients at which it stops
_FEW = 0.01  # share of the samples without a warning
_POOR = 10.0  # effective draws of a sample below which they are too few
_EFFORT = 20_000  # samples x draws of a chain between two rounds


class CohortDraws(NamedTuple):
    """Draws of a cohort: coefficients (chain, draw, column, d), covariances (chain, draw, d, d).

    ``total`` is the covariance of a sample of a new subject.
    """

    coefficients: Array
    total: Array
    mean: Array  # log-ratios of the samples within the cohort, (sample, d)
    spread: Array
    stats: dict[str, Array]


def with_shared_errors(drawn: CohortDraws, X: Array, shared: Array | None) -> CohortDraws:
    """Coefficients moved by the errors (replicate, sample, d) that all samples have in common.

    Least squares of these errors on the design is what they do to the coefficients: the same error
    in all samples moves the intercept alone. Draws use the replicates in turn.
    """
    if shared is None:
        return drawn
    chains, count = drawn.coefficients.shape[:2]
    moves = np.linalg.pinv(X) @ shared
    turn = np.arange(chains * count) % len(moves)
    moved = drawn.coefficients + moves[turn].reshape(drawn.coefficients.shape)
    return drawn._replace(coefficients=moved)


def prior_of(n_columns: int) -> Prior:
    """Wide for the intercept, one log-ratio per standard deviation for slopes."""
    sd = np.full(n_columns, SLOPE_SD)
    sd[0] = INTERCEPT_SD
    return Prior(sd)


def fast(
    data: Measured,
    X: Array,
    subjects: NDArray[np.intp] | None,
    schedule: Schedule,
    notes: Notes,
    rng: np.random.Generator,
) -> CohortDraws:
    """Gibbs sampling with the samples' draws, or with normals for many samples."""
    n, count = data.z.shape[:2]
    prior = prior_of(X.shape[1])
    samples: Likelihoods = Particles(data.z, data.log_prior)
    with threadpool_limits(limits=1, user_api="blas"):
        if count == 1 or n > MANY:
            samples = sites = _sites(data, X, prior, subjects, rng)
            if subjects is None and n > MANY:
                found = _independent(data, sites, X, prior, schedule, notes, rng)
                if found is not None:
                    return found
        chains = [
            sample(X, samples, prior, subjects, draws=schedule.draws, tune=schedule.tune, rng=one)
            for one in rng.spawn(schedule.chains)
        ]
    total = np.stack([chain.covariance for chain in chains])
    if subjects is not None:
        total = total + np.stack([chain.between_subjects for chain in chains])
    mean = np.mean([chain.mean for chain in chains], axis=0)
    between = np.var([chain.mean for chain in chains], axis=0)
    spread = np.sqrt(np.mean([chain.spread**2 for chain in chains], axis=0) + between)
    if count > 1:
        _warn_of_few_draws(
            data,
            np.mean([chain.centre for chain in chains], axis=0),
            np.mean([chain.covariance for chain in chains], axis=(0, 1)),
            notes,
        )
    return CohortDraws(np.stack([chain.coefficients for chain in chains]), total, mean, spread, {})


def _independent(
    data: Measured,
    sites: Sites,
    X: Array,
    prior: Prior,
    schedule: Schedule,
    notes: Notes,
    rng: np.random.Generator,
) -> CohortDraws | None:
    """Independent draws with log-ratios integrated out; None if not accurate."""
    start = find_mode(X, sites, prior, None)
    found = collapsed(X, sites, prior, start, schedule.chains * schedule.draws, rng)
    if found is None:
        return None
    if data.z.shape[1] > 1:
        _warn_of_few_draws(data, X @ found.mode.B, found.mode.Omega, notes)
    shape = schedule.chains, schedule.draws
    return CohortDraws(
        found.coefficients.reshape(*shape, *found.coefficients.shape[1:]),
        found.covariance.reshape(*shape, *found.covariance.shape[1:]),
        found.mode.mean,
        found.mode.spread,
        {},
    )


def _sites(
    data: Measured,
    X: Array,
    prior: Prior,
    subjects: NDArray[np.intp] | None,
    rng: np.random.Generator,
) -> Sites:
    """Normal likelihoods, fitted in the region supported by the cohort."""
    sites = first = first_sites(data)
    if data.z.shape[1] == 1:
        return sites
    if subjects is None:
        mode = None
        for _ in range(_ROUNDS):
            last, mode = mode, find_mode(X, sites, prior, mode, steps=60)
            if last is not None and np.abs(mode.B - last.B).max() < _SETTLED:
                break
            sites, _ = update(data, sites, first, X @ mode.B, mode.Omega)
        return sites
    size = int(np.clip(_EFFORT // len(data.z), 30, 300))
    for _ in range(_ROUNDS):
        chain = sample(X, sites, prior, subjects, draws=size, tune=size // 2, rng=rng)
        sites, _ = update(data, sites, first, chain.centre, chain.covariance.mean(axis=0))
    return sites


def _warn_of_few_draws(data: Measured, centre: Array, covariance: Array, notes: Notes) -> None:
    """Report samples with few effective draws under the cohort's distribution."""
    weights = Particles(data.z, data.log_prior).weights(centre, np.linalg.inv(covariance))
    effective = weights.sum(axis=1) ** 2 / np.square(weights).sum(axis=1)
    poor = data.samples[effective < _POOR]
    if len(poor):
        say = notes.warn if len(poor) > _FEW * len(effective) else notes.info
        say(
            f"{len(poor)} of {len(data.z)} samples have few draws in the range expected by the "
            f"cohort model: {checks.some(poor)}; deconvolve with more draws= for reliable results"
        )


def joint(
    bulks: Bulks,
    data: Measured,
    X: Array,
    schedule: Schedule,
    notes: Notes,
    rng: np.random.Generator,
    log_size: Array,
) -> CohortDraws:
    """NUTS on all parameters, started and scaled by the fast method."""
    n, _, d = data.z.shape
    sizes = Sizes(n, X.shape[1], d, bulks.free_size)
    prior = prior_of(X.shape[1])
    start = fast(data, X, None, schedule._replace(draws=500, tune=200, chains=1), notes, rng)
    B, Omega = start.coefficients[0], start.total[0]
    factor = np.linalg.cholesky(np.linalg.inv(Omega.mean(axis=0)))
    factor[np.diag_indices(d)] = np.log(np.diagonal(factor))
    lower = np.tril_indices(d)
    centre = np.concatenate(
        [
            B.mean(axis=0).ravel(),
            factor[lower],
            [0.0],
            start.mean.ravel(),
            log_size if bulks.free_size else np.empty(0),
        ]
    )
    scale = np.concatenate(
        [
            B.std(axis=0).ravel(),
            np.full(len(lower[0]), 0.2),
            [0.5],
            start.spread.ravel(),
            np.full(n * bulks.free_size, 0.05),
        ]
    )

    def density(u: Array) -> tuple[float, Array]:
        value, gradient = log_joint(centre + scale * u, X, bulks, prior, sizes)
        return value, scale * gradient

    starts = 0.3 * rng.standard_normal((schedule.chains, len(centre)))
    with threadpool_limits(limits=1, user_api="blas"):
        chains = run_nuts(density, starts, schedule, rng)
    x = centre + scale * chains.x
    shape = x.shape[:2]
    coefficients = x[..., : sizes.ends[0]].reshape(*shape, X.shape[1], d)
    total = np.empty((*shape, d, d))
    z = np.empty((*shape, n, d))
    for index in np.ndindex(shape):
        parts = take_apart(x[index], sizes)
        total[index] = np.exp(parts.log_scale) * np.linalg.inv(parts.A @ parts.A.T)
        z[index] = parts.z
    return CohortDraws(coefficients, total, z.mean(axis=(0, 1)), z.std(axis=(0, 1)), chains.stats)
