"""Samples in shards: what one worker fits, and how the parts come together again.

Shards have a fixed size and every sample has its own random stream, so results are the same bits
whatever the number of workers.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from bayesdecov.algebra.terms import Array
from bayesdecov.baselines import BASELINES
from bayesdecov.deconvolution.fit import Estimates, maximum_a_posteriori
from bayesdecov.deconvolution.laplace import laplace
from bayesdecov.deconvolution.posterior import Posterior
from bayesdecov.deconvolution.problem import Problem
from bayesdecov.deconvolution.sampling import nuts
from bayesdecov.progress import track
from bayesdecov.sampling import Sampling

_SHARD_FLOATS = 50_000  # samples x genes of one shard; never depends on n_jobs


class Output(NamedTuple):
    """Estimates of some samples, draws where the method has them, and what a baseline says.

    ``replicates`` of a bootstrap are proportions (sample, replicate, cell_type) and size factors
    (sample, replicate).
    """

    estimates: Estimates
    posterior: Posterior | None
    facts: dict[str, Array]
    replicates: tuple[Array, Array] | None = None


def run_shards(
    problem: Problem, method: str, how: Sampling, stream: int, n_jobs: int,
    progress: bool | None, bootstrap: int = 0, first: int = 0,
) -> list[Output]:  # fmt: skip
    """Fit all samples in shards, in order, with ``n_jobs`` workers; the first has this number."""
    n, size = len(problem.y), shard_size(method, problem.y.shape[1])
    tasks = [(start, min(start + size, n)) for start in range(0, n, size)]
    jobs = (
        joblib.delayed(_fit_shard)(
            problem.rows(start, stop), method, how, stream, first + start, bootstrap
        )
        for start, stop in tasks
    )
    if n_jobs == 1 or len(tasks) == 1:
        results = (function(*args, **kwargs) for function, args, kwargs in jobs)
    else:
        results = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
    if progress is None:
        progress = len(tasks) > 1 and sys.stderr.isatty()
    sizes = [stop - start for start, stop in tasks]
    title = "Sampling" if method == "nuts" else "Deconvolving"
    return list(track(results, sizes, title, show=progress, unit="samples"))


def shard_size(method: str, n_genes: int) -> int:
    """Samples of a shard: what is computed together never depends on the number of workers."""
    return 1 if method == "nuts" else max(32, min(4096, _SHARD_FLOATS // n_genes))


def _fit_shard(
    problem: Problem, method: str, how: Sampling, stream: int, first: int, bootstrap: int
) -> Output:
    """Fit some samples; one BLAS thread, so that sums do not depend on the number of workers."""
    with threadpool_limits(limits=1, user_api="blas"):
        if method in ("laplace", "nuts"):
            rngs = [np.random.default_rng([stream, first + i]) for i in range(len(problem.y))]
            posterior = (
                nuts(problem, how, rngs) if method == "nuts" else laplace(problem, how.draws, rngs)
            )
            return Output(posterior.estimates, posterior, {})
        if method == "map":
            return Output(maximum_a_posteriori(problem), None, {})
        return _baseline(problem, method, bootstrap, stream)


def _baseline(problem: Problem, method: str, bootstrap: int, stream: int) -> Output:
    """A baseline's coefficients, normalised; no likelihood, and no uncertainty but a bootstrap's.

    The bootstrap draws genes with replacement, the same for all samples.
    """
    estimate = BASELINES[method].estimate
    variance = problem.reference.covariance.variances()
    answer = estimate(problem.mu, problem.y, variance)
    facts = dict(answer.facts)
    if answer.other is not None:
        facts["other"] = answer.other
    p, total = _normalised(answer.coefficients)
    n, n_types = p.shape
    failed = ~(total > 0)
    replicates = None
    if bootstrap:
        found = []
        for number in range(bootstrap):
            n_genes = problem.y.shape[1]
            genes = np.random.default_rng([stream, number]).integers(n_genes, size=n_genes)
            again = estimate(problem.mu[genes], problem.y[:, genes], variance[genes])
            found.append(_normalised(again.coefficients))
        replicates = (
            np.stack([one for one, _ in found], axis=1),
            np.stack([size * problem.unit for _, size in found], axis=1),
        )
    missing = np.full(n, np.nan)
    estimates = Estimates(
        p=p,
        size=total * problem.unit,
        covariance=np.full((n, n_types, n_types), np.nan),
        log_likelihood=missing,
        quad=missing,
        iterations=np.zeros(n, dtype=np.int64),
        rdm=missing,
        converged=~failed,
        modes=np.ones(n, dtype=np.int64),
        phi=missing,
    )
    return Output(estimates, None, facts, replicates)


def _normalised(coefficients: Array) -> tuple[Array, Array]:
    """Proportions and the coefficients' sum; NaN where there is nothing to divide by."""
    total = coefficients.sum(axis=1)
    failed = ~(total > 0)
    return (
        np.where(failed[:, None], np.nan, coefficients / np.where(failed, 1.0, total)[:, None]),
        total,
    )


def collect(shards: list[Output]) -> Output:
    """One output from all shards."""
    estimates = Estimates(
        *(np.concatenate(field) for field in zip(*(s.estimates for s in shards), strict=True))
    )
    facts = {name: np.concatenate([shard.facts[name] for shard in shards])
             for name in shards[0].facts}  # fmt: skip
    parts = [shard.posterior for shard in shards if shard.posterior is not None]
    if not parts:
        drawn = [shard.replicates for shard in shards if shard.replicates is not None]
        replicates = None
        if drawn:
            replicates = (np.concatenate([p for p, _ in drawn]),
                          np.concatenate([size for _, size in drawn]))  # fmt: skip
        return Output(estimates, None, facts, replicates)
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in Posterior._fields
        if name not in ("estimates", "stats")
    }
    stats = {name: np.concatenate([part.stats[name] for part in parts]) for name in parts[0].stats}
    return Output(estimates, Posterior(estimates=estimates, stats=stats, **joined), facts)
