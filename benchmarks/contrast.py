"""Contrasts of proportions: error rates, the joint posterior, scale: python benchmarks/contrast.py

1. Two groups of 20 samples, five cell types with log-normal donors, proportions logistic-normal
   (sd .5 of log-ratios), references from 8 other donors: how often a 95 % interval leaves out zero
   without a difference, and with one in the log-ratio of one cell type, beside Wilcoxon's test on
   the point estimates and on the true proportions.
2. 50 samples: effects and standard deviations of the fast path over those of NUTS on all bulks.
3. 10,000 samples: seconds of the contrast alone.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning

TYPES, WORLDS = 5, 5
CENTRE = np.log([0.4, 0.25, 0.18, 0.12, 0.05])
TREE = {f"lineage{j + 1}": (f"type{j + 1}",) for j in range(TYPES)}


def cohorts(count: int, n: int, shift: float, seed: int) -> tuple[bd.deconvolve, pd.DataFrame]:
    """``count`` cohorts of ``n`` samples in one fit; half of each shifted in one log-ratio."""
    rng = np.random.default_rng(seed)
    z = CENTRE + 0.5 * rng.normal(size=(count, n, TYPES))
    for i in range(count):
        z[i, n // 2 :, i % TYPES] += shift
    p = np.exp(z)
    p = (p / p.sum(axis=2, keepdims=True)).reshape(count * n, TYPES)
    data = bd.simulate.tissue(
        lineages=TREE, n_genes=400, replicates=8, donor_sd=0.4, proportions=p, seed=seed
    )
    reference = bd.Reference.from_samples(data.purified, data.labels, "factor", genes=100)
    fit = bd.deconvolve(
        data.bulk,
        reference,
        "laplace",
        seed=seed,
        platform="same",
        sampling=bd.Sampling(max_pareto_k=np.inf),
    )
    return fit, data.proportions


def part(fit: bd.deconvolve, rows: slice) -> bd.deconvolve:
    """Some samples of a fit."""
    from dataclasses import replace

    draws = fit.draws._replace(
        proportions=fit.draws.proportions[rows],
        stats={},
        size_factor=fit.draws.size_factor[rows],
    )
    return replace(
        fit,
        proportions=fit.proportions.iloc[rows],
        draws=draws,
        bulk=fit.bulk.iloc[:, rows],
        diagnostics=fit.diagnostics.iloc[rows],
    )


def error_rates(replicates: int, shift: float, n: int = 40) -> pd.DataFrame:
    """Share of cell types that are called, by method; apart for the shifted type."""
    each, rows = replicates // WORLDS, []
    group = np.repeat(["A", "B"], n // 2)
    for world in range(WORLDS):
        fit, truth = cohorts(each, n, shift, 1000 + world)
        for i in range(each):
            chosen = slice(i * n, (i + 1) * n)
            mine = part(fit, chosen)
            covariates = pd.DataFrame({"group": group}, index=mine.proportions.index)
            table = bd.contrast(mine, covariates, seed=i, sampling=bd.Sampling(draws=500)).table
            called = {"contrast": ((table["low"] > 0) | (table["high"] < 0)).to_numpy()}
            for name, P in (("Wilcoxon on estimates", mine.proportions),
                            ("Wilcoxon on the truth", truth.iloc[chosen])):  # fmt: skip
                half = n // 2
                called[name] = np.array(
                    [
                        mannwhitneyu(P.iloc[:half, j], P.iloc[half:, j]).pvalue < 0.05
                        for j in range(TYPES)
                    ]
                )
            for name, yes in called.items():
                rows.append(
                    {
                        "method": name,
                        "world": world,
                        "shifted": float(yes[i % TYPES]),
                        "all": float(yes.mean()),
                    }
                )
    table = pd.DataFrame(rows)
    means = table.groupby("method")[["shifted", "all"]].mean()
    errors = table.groupby("method")[["shifted", "all"]].sem().add_suffix(" se")
    return means.join(errors)


def against_nuts(n: int = 50) -> pd.DataFrame:
    """Log-ratio effects and differences of proportions, fast over NUTS."""
    fit, _ = cohorts(1, n, 0.6, 7)
    group = pd.DataFrame({"group": np.repeat(["A", "B"], n // 2)}, index=fit.proportions.index)
    started = time.perf_counter()
    fast = bd.contrast(fit, group, seed=1, sampling=bd.Sampling(draws=2000))
    middle = time.perf_counter()
    nuts = bd.contrast(fit, group, method="nuts", seed=1, sampling=bd.Sampling(draws=1000))
    print(
        f"fast {middle - started:.1f} s, NUTS {time.perf_counter() - middle:.0f} s; "
        f"NUTS: {nuts.settings['verdict']}, R-hat {nuts.settings['r_hat']:.3f}, "
        f"ESS {nuts.settings['ess_bulk']:.0f}"
    )
    table = fast.table[["cell_type", "difference", "sd"]].copy()
    table["nuts_difference"], table["nuts_sd"] = nuts.table["difference"], nuts.table["sd"]
    table["shift_in_sd"] = (table["difference"] - table["nuts_difference"]) / table["nuts_sd"]
    table["sd_ratio"] = table["sd"] / table["nuts_sd"]
    table["effect_ratio"] = table["difference"] / table["nuts_difference"]
    return table


def large(n: int = 10_000) -> float:
    """Seconds for a contrast of many samples."""
    fit, _ = cohorts(1, n, 0.3, 11)
    group = pd.DataFrame({"group": np.repeat(["A", "B"], n // 2)}, index=fit.proportions.index)
    started = time.perf_counter()
    print(bd.contrast(fit, group, seed=1))
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("replicates", type=int, nargs="?", default=100)
    parser.add_argument("--no-nuts", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", BayesdecovWarning)
    for shift in (0.0, 0.4):
        print(f"shift {shift:g}, {arguments.replicates} data sets")
        print(error_rates(arguments.replicates, shift).round(3).to_string(), flush=True)
    print(f"10,000 samples: {large():.1f} s", flush=True)
    if not arguments.no_nuts:
        print(against_nuts().round(3).to_string())


if __name__ == "__main__":
    main()
