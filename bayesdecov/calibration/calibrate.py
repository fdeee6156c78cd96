"""The command behind ``bayesdecov calibrate``: simulate, fit, compare with the truth."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from bayesdecov import checks
from bayesdecov.calibration import effects, proportions
from bayesdecov.calibration.bands import Band, uniformity
from bayesdecov.calibration.proportions import Replicates, example_reference
from bayesdecov.errors import InputError
from bayesdecov.reference.reference import Reference
from bayesdecov.sampling import Sampling

MODELS = ("proportions", "effects")
METHODS = ("map", "laplace", "nuts")
LEVELS = (0.5, 0.8, 0.9, 0.95)
RANKED = 99  # draws that the truth is ranked among, thinned from each posterior
ALPHA = 0.001


@dataclass(frozen=True)
class Calibration:
    """Ranks of the truth in the posteriors of simulated data, and coverage of their intervals.

    Attributes
    ----------
    ranks
        Simulation x parameter, each between 0 and 99; None for a method without draws.
    coverage
        Tidy: parameter, level, coverage, std_error, trusted (coverage where diagnostics are good),
        simulations. Diagnostics are good where Pareto-k is at most .7 (laplace), nothing diverged
        (nuts), the optimiser converged (map). Standard errors are those of a calibrated method.
    uniform
        Per parameter: the smallest pointwise tail probability of its ranks, the limit for the
        simultaneous band at alpha = .001, and whether the ranks are uniform.
    settings
        What was done.
    """

    ranks: pd.DataFrame | None
    coverage: pd.DataFrame
    uniform: pd.DataFrame | None
    band: Band | None
    settings: dict[str, Any]

    def __str__(self) -> str:
        s = self.settings
        lines = [f"Calibration of {s['model']} by {s['method']}: {s['simulations']} simulations, "
                 f"{s['trusted']} with good diagnostics, {s['seconds']:.0f} s"]  # fmt: skip
        for level, part in self.coverage.groupby("level"):
            error = s["standard_errors"][level]
            lines.append(f"  {level:.0%} intervals hold the truth in {part['coverage'].mean():.1%} "
                         f"(standard error {error:.1%})")  # fmt: skip
        if self.uniform is not None:
            bad = self.uniform.index[~self.uniform["uniform"]]
            lines.append(
                f"  ranks: {'uniform' if not len(bad) else 'NOT uniform: ' + checks.some(bad)} "
                f"(simultaneous ECDF band, alpha = {ALPHA:g})"
            )
        return "\n".join(lines)

    __repr__ = __str__


def calibrate(
    model: str = "proportions",
    method: str = "laplace",
    simulations: int = 200,
    *,
    reference: Reference | str | Path | None = None,
    n_types: int = 4,
    n_genes: int = 60,
    df: float | None = None,
    draws: int = 500,
    tune: int | None = None,
    chains: int | None = None,
    cores: int | None = None,
    nuts_sampler: str | None = None,
    seed: Any = 0,
    n_jobs: int = 1,
    progress: bool | None = None,
) -> Calibration:
    r"""Simulation-based calibration (Talts et al. 2018, arXiv:1804.06788).

    Parameters are drawn from the prior and data from the likelihood; in a correct posterior the
    rank of the truth among the draws is then uniform, and an interval of probability ``q`` holds
    it with frequency ``q``.

    Parameters
    ----------
    model
        "proportions": the convolution model, moments known, flat prior. "effects": the collapsed
        mixed model of six effects (``method="nuts"``).
    method
        "map" (coverage only), "laplace" or "nuts".
    simulations
        How many.
    reference
        For "proportions": a `Reference` or a saved one whose moments are taken as exact; default:
        simulated moments of ``n_types`` cell types and ``n_genes`` genes. For "effects"
        ``n_genes`` is the number of genes of a data set.
    df
        Degrees of freedom of a multivariate t (simulated and fitted); None for the normal.
    draws, tune, chains, cores, nuts_sampler
        As in `bayesdecov.deconvolve`; for NUTS two chains by default.
    seed
        None, an int or a Generator.
    n_jobs, progress
        Parallel workers; whether to show a bar.

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
    checks.choice(model, MODELS, "model")
    checks.choice(method, METHODS, "method")
    checks.whole(simulations, "simulations", at_least=2)
    foreign = method != "nuts" or reference is not None or df is not None
    if model == "effects" and foreign:
        raise InputError("method", "model='effects' needs 'nuts', no reference and no df",
                         found=repr(method))  # fmt: skip
    if method != "map":
        checks.whole(draws, "draws", at_least=RANKED)  # the truth is ranked among so many
    rng = checks.generator(seed)
    how = Sampling.of(
        {"draws": draws, "tune": 300 if tune is None else tune,
         "chains": 2 if chains is None else chains, "cores": cores,
         "target_accept": 0.85, "nuts_sampler": nuts_sampler}
    )  # fmt: skip
    if model == "effects":
        checks.whole(n_genes, "n_genes", at_least=20)
        found = effects.replicates(simulations, how, n_genes, rng, progress=bool(progress))
    else:
        if isinstance(reference, (str, Path)):
            reference = Reference.load(reference)
        if reference is None:
            checks.whole(n_types, "n_types", at_least=2)
            checks.whole(n_genes, "n_genes", at_least=n_types)
            reference = example_reference(n_types, n_genes, rng)
        found = proportions.replicates(
            reference, method, simulations, how, df, rng, cores or n_jobs, progress
        )
    settings = {
        "model": model, "method": method, "simulations": simulations,
        "trusted": int(found.trusted.sum()), "df": "none" if df is None else df,
        "parameters": len(found.names), "n_genes": n_genes, "ranked_among": RANKED,
        "draws": draws, "tune": how.tune, "chains": how.chains, "nuts_sampler": how.nuts_sampler,
        "seed": seed if seed is None or not hasattr(seed, "random") else "generator",
        "seconds": round(time.perf_counter() - started, 3),
    }  # fmt: skip
    settings["standard_errors"] = {
        level: float(_inside(found, level).mean(axis=1).std() / np.sqrt(simulations))
        for level in LEVELS
    }
    if found.draws is None:
        return Calibration(None, _coverage(found), None, None, settings)
    thin = np.linspace(0, found.draws.shape[1] - 1, RANKED).astype(int)
    ranks = (found.draws[:, thin] < found.truth[:, None]).sum(axis=1)
    smallest, band = uniformity(ranks, RANKED, ALPHA)
    uniform = pd.DataFrame(
        {"smallest_tail": smallest, "limit": band.gamma, "uniform": smallest >= band.gamma},
        index=pd.Index(found.names, name="parameter"),
    )
    table = pd.DataFrame(ranks, columns=found.names).rename_axis("simulation")
    return Calibration(table, _coverage(found), uniform, band, settings)


def _inside(found: Replicates, level: float) -> np.ndarray:
    """Whether each interval holds the truth, (simulation, parameter)."""
    if found.draws is None:
        reach = float(ndtri(0.5 + level / 2)) * found.sd
        low, high = found.mean - reach, found.mean + reach
    else:
        tail = (1 - level) / 2
        low, high = np.quantile(found.draws, [tail, 1 - tail], axis=1)
    return np.asarray((low <= found.truth) & (found.truth <= high))


def _coverage(found: Replicates) -> pd.DataFrame:
    """Share of intervals that hold the truth, per parameter and level."""
    rows = []
    for level in LEVELS:
        inside = _inside(found, level)
        n = len(inside)
        for j, name in enumerate(found.names):
            share = inside[:, j].mean()
            rows.append((name, level, share, np.sqrt(level * (1 - level) / n),
                         inside[found.trusted, j].mean(), n))  # fmt: skip
    return pd.DataFrame(
        rows, columns=["parameter", "level", "coverage", "std_error", "trusted", "simulations"]
    )
