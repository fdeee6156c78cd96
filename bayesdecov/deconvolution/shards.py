"""Samples in shards: the work of one worker, and how the parts are joined.

Shards have a fixed size and every sample has its own random stream, so results are identical bit by
bit for any number of workers.
"""

from __future__ import annotations

import copy
import sys
from typing import Any, NamedTuple

import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from bayesdecov.algebra.terms import Array
from bayesdecov.baselines import BASELINES
from bayesdecov.deconvolution.chains import sample_chains
from bayesdecov.deconvolution.fit import Estimates, maximum_a_posteriori
from bayesdecov.deconvolution.laplace import laplace
from bayesdecov.deconvolution.model import Data, Model
from bayesdecov.deconvolution.posterior import Posterior
from bayesdecov.platform.samples import BLOCK
from bayesdecov.progress import track
from bayesdecov.sampling import Schedule

_SHARD_FLOATS = 50_000  # samples x genes of one shard; never depends on n_jobs


class Output(NamedTuple):
    """Estimates of some samples, draws where the method has them, and output of a baseline.

    ``replicates`` of a bootstrap are proportions (sample, replicate, cell_type) and size factors
    (sample, replicate).
    """

    estimates: Estimates
    posterior: Posterior | None
    facts: dict[str, Array]
    replicates: tuple[Array, Array] | None = None


class Task(NamedTuple):
    """Settings of the fit, the same in every shard.

    ``variances`` (gene, cell_type) are the reference's, for baselines; ``bootstrap`` is how often
    these are repeated. ``stream`` is the random stream that each sample's own is derived from.
    """

    method: str
    model: Model
    schedule: Schedule
    variances: Array
    stream: int
    bootstrap: int = 0


def run_shards(
    task: Task, data: Data, *, n_jobs: int = 1, progress: bool | None = None, first: int = 0
) -> list[Output]:
    """Fit all samples in shards, in order, with ``n_jobs`` workers; the first has this number."""
    n, size = len(data.y), shard_size(task.method, data.y.shape[1])
    spans = [(start, min(start + size, n)) for start in range(0, n, size)]
    parts = ((task, data.rows(start, stop), first + start) for start, stop in spans)
    if n_jobs == 1 or len(spans) == 1:
        results = (_fit_shard(*part) for part in parts)
    else:
        jobs = (joblib.delayed(_fit_received)(*part) for part in parts)
        results = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
    if progress is None:
        progress = len(spans) > 1 and sys.stderr.isatty()
    sizes = [stop - start for start, stop in spans]
    title = "Sampling" if task.method == "nuts" else "Deconvolving"
    return list(track(results, sizes, title, show=progress, unit="samples"))


def shard_size(method: str, n_genes: int) -> int:
    """Samples of a shard, which never depend on the number of workers."""
    most = min(4096, _SHARD_FLOATS // n_genes)
    return 1 if method == "nuts" else max(BLOCK, most // BLOCK * BLOCK)


def _fit_received(task: Task, data: Data, first: int) -> Output:
    """Fit some samples in a worker.

    Arrays may arrive unaligned, where NumPy sums in another order: copies are aligned.
    """
    return _fit_shard(copy.deepcopy(task), copy.deepcopy(data), first)


def _fit_shard(task: Task, data: Data, first: int) -> Output:
    """Fit some samples; one BLAS thread, so that sums do not depend on the number of workers."""
    with threadpool_limits(limits=1, user_api="blas"):
        if task.method == "map":
            return Output(maximum_a_posteriori(task.model, data), None, {})
        if task.method not in ("laplace", "nuts"):
            return _baseline(task, data)
        rngs = [np.random.default_rng([task.stream, first + i]) for i in range(len(data.y))]
        if task.method == "nuts":
            posterior = sample_chains(task.model, data, task.schedule, rngs)
        else:
            posterior = laplace(task.model, data, task.schedule.draws, rngs)
        return Output(posterior.estimates, posterior, {})


def _baseline(task: Task, data: Data) -> Output:
    """A baseline's coefficients, normalised; no likelihood, and no uncertainty but a bootstrap's.

    The bootstrap draws genes with replacement, the same for all samples.
    """
    estimate, mu = BASELINES[task.method].estimate, task.model.mu
    answer = estimate(mu, data.y, task.variances)
    facts = dict(answer.facts)
    if answer.other is not None:
        facts["other"] = answer.other
    p, total = _normalised(answer.coefficients)
    n, n_types = p.shape
    failed = ~(total > 0)
    replicates = None
    if task.bootstrap:
        found = []
        for number in range(task.bootstrap):
            rng = np.random.default_rng([task.stream, number])
            genes = rng.integers(len(mu), size=len(mu))
            again = estimate(mu[genes], data.y[:, genes], task.variances[genes])
            found.append(_normalised(again.coefficients))
        replicates = (
            np.stack([one for one, _ in found], axis=1),
            np.stack([size * data.unit for _, size in found], axis=1),
        )
    missing = np.full(n, np.nan)
    estimates = Estimates(
        p=p,
        size=total * data.unit,
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
    facts = {
        name: np.concatenate([shard.facts[name] for shard in shards]) for name in shards[0].facts
    }
    parts = [shard.posterior for shard in shards if shard.posterior is not None]
    if not parts:
        drawn = [shard.replicates for shard in shards if shard.replicates is not None]
        replicates = None
        if drawn:
            replicates = (
                np.concatenate([p for p, _ in drawn]),
                np.concatenate([size for _, size in drawn]),
            )
        return Output(estimates, None, facts, replicates)
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in Posterior._fields
        if name not in ("estimates", "stats")
    }
    stats = {name: np.concatenate([part.stats[name] for part in parts]) for name in parts[0].stats}
    return Output(estimates, Posterior(estimates=estimates, stats=stats, **joined), facts)
