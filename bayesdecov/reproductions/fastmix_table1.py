"""Table 1 of FastMix (medRxiv 2021.09.14.21263182), with other methods for comparison.

Parts a and b are Simulation II (5,000 genes, 50 samples, 11 effects, with and without responding
genes): error of the covariance of the effects, and of the effects on every gene. Parts c to e are
Simulation III (one binary group): time, type-I error and power in each cell type.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bayesdecov.io.tables import write_table
from bayesdecov.mixed_effects.fastmix import fastmix
from bayesdecov.options import EstimatorOptions
from bayesdecov.plots.proportions import colours
from bayesdecov.progress import track
from bayesdecov.reproductions.reproduction import Reproduction
from bayesdecov.rivals import differential
from bayesdecov.simulate.fastmix import MixedCohort
from bayesdecov.simulate.fastmix import fastmix as simulate

GENES, SAMPLES = 5000, 50
_REPLICATES, _QUICK = 20, 3
_CORRELATIONS = (0.0, 0.5)
_EFFECTS = ["Cell1.Group", "Cell2.Group", "Cell3.Group"]
_PERMUTATIONS = 200
_LEVEL = 0.05
_FITS: dict[str, dict[str, Any]] = {
    "FastMix 0.2.5": {"preset": "fastmix-0.2.5"},
    "FastMix 0.2.5, independent": {
        "preset": "fastmix-0.2.5",
        "estimator": EstimatorOptions(diagonal=True),
    },
    "moments": {"method": "moments"},
    "REML (what lme4 computes)": {"method": "map"},
    "mixture": {"method": "mixture"},
}
_RIVALS = {"least squares": "interaction", "ridge": "ridge"}


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    started = time.process_time()
    value = call()
    return value, time.process_time() - started


def _tables(cohort: MixedCohort) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    return cohort.expression, cohort.proportions, cohort.covariates


def simulation_two(
    replicates: int, seed: int, *, genes: int = GENES, progress: bool = False
) -> pd.DataFrame:
    """Parts a and b: a row for every data set and method.

    Returns
    -------
    pandas.DataFrame
        correlation, shifted, replicate, method, psi (mean squared error of the covariance times
        100), effects (mean squared error of the effects on genes), seconds.
    """
    cases = [(c, s, r) for c in _CORRELATIONS for s in ("I", "II") for r in range(replicates)]
    rows = []
    for correlation, simulation, replicate in track(
        cases, [1] * len(cases), "Simulation II", show=progress, unit="data sets"
    ):
        cohort = simulate(
            simulation, "paper", genes, SAMPLES, correlation=correlation, seed=seed + replicate
        )
        truth, Psi = cohort.effects, cohort.covariance.to_numpy()
        about = {"correlation": correlation, "shifted": simulation == "II", "replicate": replicate}
        for name, options in _FITS.items():
            fit, seconds = _timed(partial(fastmix, *_tables(cohort), **options))
            rows.append(
                about
                | {
                    "method": name,
                    "psi": 100 * np.square(fit.covariance.to_numpy() - Psi).mean(),
                    "effects": np.square(
                        fit.effects[truth.columns].to_numpy()
                        - truth.loc[fit.effects.index].to_numpy()
                    ).mean(),
                    "seconds": seconds,
                }
            )
        for name, rival in _RIVALS.items():
            table, seconds = _timed(partial(differential, *_tables(cohort), rival))
            wide = table.pivot(index="gene", columns="covariate", values="effect")
            error = wide.loc[truth.index, truth.columns].to_numpy() - truth.to_numpy()
            rows.append(
                about
                | {
                    "method": name,
                    "psi": np.nan,
                    "effects": np.square(error).mean(),
                    "seconds": seconds,
                }
            )
    return pd.DataFrame(rows)


def simulation_three(
    replicates: int, seed: int, *, genes: int = GENES, progress: bool = False
) -> pd.DataFrame:
    """Parts c to e: time, type-I error in three cell types, power in the two with responding genes.

    Decisions are p < .05, and false-discovery rates below .05 (``q`` in the name).
    """
    cases = [(c, r) for c in _CORRELATIONS for r in range(replicates)]
    rows = []
    for correlation, replicate in track(
        cases, [1] * len(cases), "Simulation III", show=progress, unit="data sets"
    ):
        cohort = simulate(
            "III", "paper", genes, SAMPLES, correlation=correlation, seed=seed + replicate
        )
        runs: dict[str, Callable[[], Any]] = {
            name: partial(fastmix, *_tables(cohort), **options)
            for name, options in _FITS.items()
            if "independent" not in name
        }
        runs["least squares"] = partial(differential, *_tables(cohort))
        runs["csSAM"] = partial(
            differential,
            *_tables(cohort),
            "cssam",
            permutations=_PERMUTATIONS,
            seed=seed + replicate,
        )
        shifted = cohort.differential[_EFFECTS]
        for name, run in runs.items():
            fit, seconds = _timed(run)
            table = getattr(fit, "genes", fit)
            for decision in ("p_value", "q_value"):
                called = table.pivot(index="gene", columns="covariate", values=decision)
                called = called.loc[shifted.index, _EFFECTS] < _LEVEL
                row = {
                    "correlation": correlation,
                    "replicate": replicate,
                    "seconds": seconds,
                    "method": name if decision == "p_value" else f"{name}, q",
                }
                for effect in _EFFECTS:
                    cell, own, true = effect.split(".")[0], called[effect], shifted[effect]
                    row[f"type I {cell}"] = own[~true].mean()
                    if true.any():
                        row[f"power {cell}"] = own[true].mean()
                rows.append(row)
    return pd.DataFrame(rows)


def averages(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Means over replicates, with their standard errors."""
    values = [name for name in table if name not in (*keys, "replicate")]
    groups = table.groupby(keys, sort=False)[values]
    count = table.groupby(keys, sort=False).size()
    errors = groups.std(ddof=1).div(np.sqrt(count), axis=0).add_prefix("se of ")
    return pd.concat([groups.mean(), errors], axis=1).reset_index()


def picture(two: pd.DataFrame, three: pd.DataFrame) -> Figure:
    """Errors of Simulation II, and type-I error against power in Simulation III."""
    figure = Figure(figsize=(15, 4.6), layout="constrained")
    panels = figure.subplots(1, 3)
    titles = {"psi": "a: error of the covariance (x 100)", "effects": "b: error of the effects"}
    for panel, (value, title) in zip(panels[:2], titles.items(), strict=True):
        shown = two.dropna(subset=[value])
        for (correlation, shifted), part in shown.groupby(["correlation", "shifted"], sort=False):
            label = f"correlation {correlation:g}, {'with' if shifted else 'no'} responding genes"
            panel.errorbar(
                part[value],
                part["method"],
                xerr=part[f"se of {value}"].fillna(0),
                fmt="o",
                ms=4,
                label=label,
            )
        panel.set_xscale("log")
        panel.set_title(title, fontsize=9, loc="left")
        panel.tick_params(labelsize=8)
    panels[0].legend(fontsize=6.5, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
    for correlation, marker in zip(_CORRELATIONS, "os", strict=True):
        part = three[three["correlation"] == correlation]
        palette = colours(len(part))
        for i, row in enumerate(part.itertuples()):
            x = part[["type I Cell1", "type I Cell2", "type I Cell3"]].iloc[i].mean()
            y = part[["power Cell1", "power Cell2"]].iloc[i].mean()
            panels[2].plot(
                x, y, marker, ms=4, color=palette[i], label=row.method if correlation == 0 else None
            )
    panels[2].axvline(_LEVEL, color="0.7", lw=0.8)
    panels[2].set_title("d, e: power against type-I error", fontsize=9, loc="left")
    panels[2].set_xlabel("type-I error (circles: correlation 0, squares .5)", fontsize=8)
    panels[2].set_ylabel("power", fontsize=8)
    panels[2].legend(fontsize=6.5, loc="upper left", bbox_to_anchor=(1.01, 1.0))
    return figure


def summary(two: pd.DataFrame, three: pd.DataFrame, replicates: int) -> str:
    """The paper's statements next to the measured values."""
    a = two.set_index(["method", "correlation", "shifted"])
    b = three.set_index(["method", "correlation"])
    psi = a["psi"]
    effects, own = a["effects"], "FastMix 0.2.5"
    alone = psi[f"{own}, independent", 0.0, False]
    power = [f"power {cell}" for cell in ("Cell1", "Cell2")]
    level = [f"type I {cell}" for cell in ("Cell1", "Cell2", "Cell3")]

    def rates(name: str) -> str:
        part = b.loc[name]
        return (
            f"type I {part[level].min(axis=None):.3f}-{part[level].max(axis=None):.3f}, "
            f"power {part[power].min(axis=None):.2f}-{part[power].max(axis=None):.2f}"
        )

    lines = [
        f"FastMix, Table 1: {replicates} data sets each.",
        "",
        f"a. Error of the covariance, no responding genes: FastMix {psi[own, 0.5, False]:.2f} with "
        f"correlation (paper: 0.21), independent version {alone:.2f} "
        f"without (paper: 0.04); mixture {psi['mixture', 0.5, False]:.2f}. With responding "
        "genes and "
        f"correlation: FastMix {psi[own, 0.5, True]:.2f}, mixture {psi['mixture', 0.5, True]:.2f}.",
        f"   Time: FastMix's settings {a['seconds'][own].mean():.2g} s, exact REML "
        f"{a['seconds']['REML (what lme4 computes)'].mean():.2g} s.",
        f"b. Error of the effects, with responding genes and correlation: FastMix "
        f"{effects[own, 0.5, True]:.3f}, ridge {effects['ridge', 0.5, True]:.3f}, least squares "
        f"{effects['least squares', 0.5, True]:.3f}, mixture {effects['mixture', 0.5, True]:.3f} "
        "(paper: FastMix < ridge < least squares).",
        f"c. Time: FastMix's settings {b['seconds'][own].mean():.2g} s, csSAM "
        f"{b['seconds']['csSAM'].mean():.2g} s ({_PERMUTATIONS} permutations; the paper: csSAM ten "
        "times slower).",
        f"d, e. FastMix at p < .05: {rates(own)} (paper: .05-.07, about .65).",
        f"      csSAM at permutation p < .05: {rates('csSAM')}; at FDR < .05: {rates('csSAM, q')} "
        "(paper: much higher type-I error, power about .50; the decision rule is not stated).",
        f"      mixture at p < .05: {rates('mixture')}; at q < .05: {rates('mixture, q')}.",
        f"      gene-wise least squares at p < .05: {rates('least squares')}.",
    ]
    return "\n".join(lines)


def make(folder: Path, quick: bool, seed: int, progress: bool) -> str:
    """Simulate, fit, tabulate, draw."""
    replicates = _QUICK if quick else _REPLICATES
    two = averages(
        simulation_two(replicates, seed, genes=GENES, progress=progress),
        ["correlation", "shifted", "method"],
    )
    three = averages(
        simulation_three(replicates, seed, genes=GENES, progress=progress),
        ["correlation", "method"],
    )
    write_table(two, folder / "table1ab.csv")
    write_table(three, folder / "table1cde.csv")
    picture(two, three).savefig(folder / "table1.png", dpi=130)
    return summary(two, three, replicates)


REPRODUCTION = Reproduction(
    name="fastmix-table1",
    title="Error of covariances and effects, time, type-I error and power (Table 1 a to e)",
    source="FastMix, medRxiv 2021.09.14.21263182, Table 1",
    make=make,
)
