"""Proportions drawn from the prior, bulks from the likelihood, and the posterior of each."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayesdecov.algebra.terms import Array
from bayesdecov.deconvolution.problem import prepare
from bayesdecov.deconvolution.shards import collect, run_shards
from bayesdecov.diagnostics import PARETO_K, pareto_k
from bayesdecov.errors import InputError, Notes
from bayesdecov.reference.reference import Reference
from bayesdecov.sampling import Sampling
from bayesdecov.simulate.convolution import convolution


class Replicates(NamedTuple):
    """Truth (simulation, parameter), draws (simulation, draw, parameter) where there are any.

    ``mean`` and ``sd`` are those of the posterior or of the estimate; ``trusted`` marks the
    simulations whose diagnostics are good.
    """

    names: list[str]
    truth: Array
    draws: Array | None
    mean: Array
    sd: Array
    trusted: np.ndarray


def example_reference(n_types: int, n_genes: int, rng: np.random.Generator) -> Reference:
    """Moments to calibrate with where the user brings none."""
    cohort = convolution(n_samples=2, n_genes=n_genes, n_types=n_types, seed=rng)
    return Reference.from_moments(cohort.mean, cohort.covariances)


def replicates(
    reference: Reference, method: str, simulations: int, how: Sampling, df: float | None,
    rng: np.random.Generator, n_jobs: int, progress: bool | None,
) -> Replicates:  # fmt: skip
    """Simulate from the model and fit all simulations as samples of one bulk table."""
    names = [f"simulation{i + 1:05d}" for i in range(simulations)]
    mu = reference.mean.to_numpy()
    any_bulk = pd.DataFrame(np.tile(mu.mean(axis=1)[:, None], simulations), reference.genes, names)
    exact = replace(reference, scale="exact")
    problem = prepare(any_bulk, exact, noise="none", df=df, notes=Notes())
    p = rng.dirichlet(np.ones(problem.n_types), simulations)
    noise = problem.covariance.draw(p, rng)
    if df is not None:
        noise *= np.sqrt(df / rng.chisquare(df, simulations))[:, None]
    problem = replace(problem, y=p @ mu.T + noise)
    estimates, posterior, *_ = collect(
        run_shards(problem, method, how, int(rng.integers(2**62)), n_jobs, progress)
    )
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
        raise InputError("method", "has no intervals to calibrate", found=repr(method),
                         fix="use 'map', 'laplace' or 'nuts'")  # fmt: skip
    return Replicates(cell_types, p, draws, estimates.p, sd, trusted)
