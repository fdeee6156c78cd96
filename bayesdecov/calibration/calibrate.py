"""The function behind ``bayesdecov calibrate``: simulate, fit, compare with true values."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from bayesdecov import checks
from bayesdecov.algebra.terms import Array
from bayesdecov.calibration import effects, proportions
from bayesdecov.calibration.bands import Band, uniformity
from bayesdecov.calibration.proportions import Replicates, example_reference
from bayesdecov.calibration.result import ALPHA, Calibration
from bayesdecov.errors import InputError
from bayesdecov.options import Sampling, moved_into, of_class
from bayesdecov.reference.reference import Reference
from bayesdecov.sampling import Schedule, scheduled

MODELS = ("proportions", "effects")
METHODS = ("map", "laplace", "nuts")
LEVELS = (0.5, 0.8, 0.9, 0.95)
USUAL = Schedule(draws=500, tune=300, chains=2, target_accept=0.85)
RANKED = 99  # thinned draws of each posterior among which the true value is ranked


@moved_into(sampling=Sampling)
def calibrate(
    model: str = "proportions",
    method: str = "laplace",
    simulations: int = 200,
    *,
    reference: Reference | str | Path | None = None,
    n_types: int = 4,
    n_genes: int = 60,
    df: float | None = None,
    sampling: Sampling | None = None,
    seed: Any = 0,
    n_jobs: int = 1,
    progress: bool | None = None,
) -> Calibration:
    r"""Simulation-based calibration (Talts et al. 2018, arXiv:1804.06788).

    Parameters are drawn from the prior and data from the likelihood; in a correct posterior the
    rank of the true value among the draws is then uniform, and an interval of probability ``q``
    contains it with frequency ``q``.

    Parameters
    ----------
    model
        "proportions": the convolution model with known moments and a flat prior. "effects": the
        collapsed mixed model with six effects (``method="nuts"``).
    method
        "map" (coverage only), "laplace" or "nuts".
    simulations
        Number of simulations.
    reference
        For "proportions": a `Reference` or the path of a saved one, with moments treated as exact;
        default: simulated moments of ``n_types`` cell types and ``n_genes`` genes. For "effects"
        ``n_genes`` is the number of genes of a data set.
    df
        Degrees of freedom of a multivariate t (simulated and fitted); None for the normal.
    sampling
        A `bayesdecov.Sampling`; default: 500 draws, for NUTS in each of 2 chains.
    seed
        None, an int or a Generator.
    n_jobs, progress
        Number of parallel workers; whether to show a progress bar.

    Returns
    -------
    Calibration

    Examples
    --------
    >>> from bayesdecov.calibration import calibrate
    >>> found = calibrate(method="map", simulations=50, n_types=3, n_genes=20, seed=1)
    >>> found.coverage.columns.tolist()
    ['parameter', 'level', 'coverage', 'std_error', 'trusted', 'simulations']
    """
    started = time.perf_counter()
    checks.check_choice(model, MODELS, "model")
    checks.check_choice(method, METHODS, "method")
    checks.check_whole(simulations, "simulations", at_least=2)
    foreign = method != "nuts" or reference is not None or df is not None
    if model == "effects" and foreign:
        raise InputError(
            "method",
            "must be 'nuts', without reference and df, for model='effects'",
            found=repr(method),
        )
    rng = checks.make_generator(seed)
    schedule = scheduled(of_class(sampling, Sampling, "sampling"), USUAL)
    if method != "map":  # draws to rank the true value among
        checks.check_whole(schedule.draws, "draws", at_least=RANKED)
    if model == "effects":
        checks.check_whole(n_genes, "n_genes", at_least=20)
        found = effects.replicates(simulations, schedule, n_genes, rng, progress=bool(progress))
    else:
        if isinstance(reference, (str, Path)):
            reference = Reference.load(reference)
        if reference is None:
            checks.check_whole(n_types, "n_types", at_least=2)
            checks.check_whole(n_genes, "n_genes", at_least=n_types)
            reference = example_reference(n_types, n_genes, rng)
        found = proportions.replicates(
            reference, method, simulations, schedule, df, rng, schedule.cores or n_jobs, progress
        )
    settings = {
        "model": model,
        "method": method,
        "simulations": simulations,
        "df": "none" if df is None else df,
        "n_genes": n_genes,
        "ranked_among": RANKED,
        "draws": schedule.draws,
        "tune": schedule.tune,
        "chains": schedule.chains,
        "nuts_sampler": schedule.nuts_sampler,
        "seed": seed if seed is None or not hasattr(seed, "random") else "generator",
    }
    facts = {
        "trusted": int(found.trusted.sum()),
        "parameters": len(found.names),
        "seconds": round(time.perf_counter() - started, 3),
        "standard_errors": {
            level: float(_inside(found, level).mean(axis=1).std() / np.sqrt(simulations))
            for level in LEVELS
        },
    }
    ranks, uniform, band = None, None, None
    if found.draws is not None:
        ranks, uniform, band = _ranked(found.draws, found.truth, found.names)
    return Calibration(ranks, _coverage(found), uniform, band, settings, facts)


def _ranked(
    draws: Array, truth: Array, names: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame, Band]:
    """Ranks of the true values among thinned draws, and whether they are uniform."""
    thin = np.linspace(0, draws.shape[1] - 1, RANKED).astype(int)
    ranks = (draws[:, thin] < truth[:, None]).sum(axis=1)
    smallest, band = uniformity(ranks, RANKED, ALPHA)
    uniform = pd.DataFrame(
        {"smallest_tail": smallest, "limit": band.gamma, "uniform": smallest >= band.gamma},
        index=pd.Index(names, name="parameter"),
    )
    return pd.DataFrame(ranks, columns=names).rename_axis("simulation"), uniform, band


def _inside(found: Replicates, level: float) -> np.ndarray:
    """Whether each interval contains the true value, (simulation, parameter)."""
    if found.draws is None:
        reach = float(ndtri(0.5 + level / 2)) * found.sd
        low, high = found.mean - reach, found.mean + reach
    else:
        tail = (1 - level) / 2
        low, high = np.quantile(found.draws, [tail, 1 - tail], axis=1)
    return np.asarray((low <= found.truth) & (found.truth <= high))


def _coverage(found: Replicates) -> pd.DataFrame:
    """Share of intervals that contain the true value, per parameter and level."""
    rows = []
    for level in LEVELS:
        inside = _inside(found, level)
        n = len(inside)
        for j, name in enumerate(found.names):
            share = inside[:, j].mean()
            rows.append(
                (
                    name,
                    level,
                    share,
                    np.sqrt(level * (1 - level) / n),
                    inside[found.trusted, j].mean(),
                    n,
                )
            )
    return pd.DataFrame(
        rows, columns=["parameter", "level", "coverage", "std_error", "trusted", "simulations"]
    )
