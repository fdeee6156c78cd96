"""Proportions drawn from the prior, bulks from the likelihood, and their posteriors."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from bayesdecov import checks
from bayesdecov.algebra.terms import Array
from bayesdecov.deconvolution.model import model_of
from bayesdecov.deconvolution.shards import Task, collect, run_shards
from bayesdecov.diagnostics import pareto_k
from bayesdecov.errors import InputError
from bayesdecov.reference.reference import Reference
from bayesdecov.sampling import Schedule
from bayesdecov.simulate.convolution import convolution
from bayesdecov.verdicts import PARETO_K


class Replicates(NamedTuple):
    """True values (simulation, parameter) and draws (simulation, draw, parameter) or None.

    ``mean`` and ``sd`` are those of the posterior or of the estimate; ``trusted`` marks
    simulations with good diagnostics.
    """

    names: list[str]
    truth: Array
    draws: Array | None
    mean: Array
    sd: Array
    trusted: np.ndarray


def example_reference(n_types: int, n_genes: int, rng: np.random.Generator) -> Reference:
    """Simulated moments, the default for calibration."""
    cohort = convolution(n_samples=2, n_genes=n_genes, n_types=n_types, seed=rng)
    return Reference.from_moments(cohort.mean, cohort.covariances)


def replicates(
    reference: Reference,
    method: str,
    simulations: int,
    schedule: Schedule,
    df: float | None,
    rng: np.random.Generator,
    n_jobs: int,
    progress: bool | None,
) -> Replicates:
    """Simulate from the model and fit all simulations as samples of one bulk table."""
    checks.check_collinear(reference.mean, "reference")
    exact = replace(reference, scale="exact")
    model = model_of(exact, "none", df=df)
    p = rng.dirichlet(np.ones(model.n_types), simulations)
    noise = model.covariance.draw(p, rng)
    if df is not None:
        noise *= np.sqrt(df / rng.chisquare(df, simulations))[:, None]
    data = model.data(p @ model.mu.T + noise, np.zeros(simulations))
    variances = exact.covariance.variances()
    task = Task(method, model, schedule, variances, int(rng.integers(2**62)))
    estimates, posterior, *_ = collect(run_shards(task, data, n_jobs=n_jobs, progress=progress))
    cell_types = [str(name) for name in reference.cell_types]
    sd = np.sqrt(np.maximum(np.einsum("njj->nj", estimates.covariance), 0.0))
    trusted = estimates.converged.copy()
    draws = None
    if posterior is not None:
        n, chains, count, n_types = posterior.p.shape
        draws = posterior.p.reshape(n, chains * count, n_types)
        if posterior.log_weights.size:
            trusted &= pareto_k(posterior.log_weights) <= PARETO_K
    elif not np.isfinite(sd).any():
        raise InputError(
            "method",
            "must have intervals to calibrate",
            found=repr(method),
            fix="use 'map', 'laplace' or 'nuts'",
        )
    return Replicates(cell_types, p, draws, estimates.p, sd, trusted)
