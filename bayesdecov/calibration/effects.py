"""Draws from the prior of the mixed model, their sufficient statistics and posteriors.

A data set enters the collapsed model through a mean, a scatter matrix and a residual sum of
squares. Their normal, Wishart and chi-squared distributions are sampled directly, and the model is
compiled once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import wishart

from bayesdecov._arviz import dataset
from bayesdecov.calibration.proportions import Replicates
from bayesdecov.mixed_effects.design import build
from bayesdecov.mixed_effects.sampling import draw_prior, sample
from bayesdecov.nuts import named
from bayesdecov.progress import track
from bayesdecov.sampling import Schedule
from bayesdecov.simulate.fastmix import fastmix


def replicates(
    simulations: int, schedule: Schedule, n_genes: int, rng: np.random.Generator, *, progress: bool
) -> Replicates:
    """Simulate from the prior of an example design and sample every simulation."""
    from bayesdecov.models import Sufficient, mixed_effects

    cohort = fastmix("III", n_genes=20, n_samples=30, seed=rng)
    scaled = (cohort.covariates - cohort.covariates.mean()) / cohort.covariates.std(ddof=1)
    X = build(cohort.proportions, scaled)
    columns = [name for name in X.columns if name != "Group"]  # otherwise ill-conditioned
    X = X[columns].to_numpy()
    V = np.linalg.inv(X.T @ X)
    df, L = len(X) - len(columns), len(columns)
    scales = Sufficient(np.zeros(L), n_genes * (np.eye(L) + V), V, float(n_genes * df), df, n_genes)
    model = mixed_effects(scales, columns)
    prior = draw_prior(model, rng, simulations)
    sampler = _compiled(model, schedule)
    names = [
        *(f"beta[{name}]" for name in columns),
        *(f"psi_sd[{name}]" for name in columns),
        "sigma",
    ]
    truth = np.column_stack([prior["beta"], prior["psi_sd"], prior["sigma"]])
    drawn, trusted = [], np.ones(simulations, dtype=bool)

    def run(i: int) -> Any:
        T = prior["Psi"][i] + prior["sigma"][i] ** 2 * V
        mean = rng.multivariate_normal(prior["beta"][i], T / n_genes)
        scatter = np.atleast_2d(wishart.rvs(n_genes - 1, T, random_state=rng))
        rss = prior["sigma"][i] ** 2 * rng.chisquare(n_genes * df)
        data = {"mean": mean, "scatter_root": np.linalg.cholesky(scatter), "rss": np.array(rss)}
        return sampler(data, int(rng.integers(2**31)))

    jobs = (run(i) for i in range(simulations))
    bar = track(jobs, [1] * simulations, "Sampling", show=progress, unit="simulations")
    for i, found in enumerate(bar):
        posterior = dataset(found["posterior"])
        flat = [
            np.asarray(posterior[name]).reshape(schedule.chains * schedule.draws, -1)
            for name in ("beta", "psi_sd", "sigma")
        ]
        drawn.append(np.column_stack(flat))
        trusted[i] = not named(dataset(found["sample_stats"]))["diverging"].any()
    draws = np.stack(drawn)
    return Replicates(names, truth, draws, draws.mean(axis=1), draws.std(axis=1), trusted)


def _compiled(model: Any, schedule: Schedule) -> Any:
    """A function of data and seed that samples; nutpie compiles once and swaps the data."""
    if schedule.nuts_sampler == "nutpie":
        import nutpie
        from threadpoolctl import threadpool_limits

        compiled = nutpie.compile_pymc_model(model)

        def by_nutpie(data: dict[str, Any], seed: int) -> Any:
            with threadpool_limits(limits=1, user_api="blas"):
                return nutpie.sample(
                    compiled.with_data(**data),
                    draws=schedule.draws,
                    tune=schedule.tune,
                    chains=schedule.chains,
                    cores=schedule.cores,
                    seed=seed,
                    progress_bar=False,
                    save_warmup=False,
                    target_accept=schedule.target_accept,
                )

        return by_nutpie

    def by_pymc(data: dict[str, Any], seed: int) -> Any:
        import pymc as pm

        with model:
            pm.set_data(data)
        return sample(model, schedule, np.random.default_rng(seed))

    return by_pymc
