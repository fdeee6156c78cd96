"""FastMix: accuracy, error rates and speed in the paper's simulations.

    python benchmarks/mixed_effects.py [--replicates 20] [--only accuracy errors speed memory]

Prints Markdown tables. Times are CPU seconds on one thread. Ridge regression has a penalty of its
own for every gene, by generalised cross-validation; OLS and ridge have no intercept.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import subprocess
import sys
import time
import warnings

import numpy as np
import pandas as pd

import bayesdecov as bd
from bayesdecov.rivals import differential

METHODS = ("moments", "map", "mixture")
_FIRST_SEED = 5000  # below it, settings were chosen


def tables(cohort):
    return cohort.expression, cohort.proportions, cohort.covariates


def rival(cohort, fit, method):
    table = differential(*tables(cohort), method)
    wide = table.pivot(index="gene", columns="covariate", values="effect")
    return wide.loc[fit.effects.index, fit.effects.columns].to_numpy()


def accuracy(replicates: int) -> None:
    """Simulation II (I without shifted genes): Psi (x 100) and coefficients."""
    print("\n## Simulation II: mean squared error of Psi (x 100) and of the coefficients\n")
    rows = []
    for correlation in (0.0, 0.5):
        for simulation, version in (("I", "paper"), ("II", "paper"), ("II", "code")):
            errors = []
            for seed in range(_FIRST_SEED, _FIRST_SEED + replicates):
                cohort = bd.simulate.fastmix(
                    simulation, version, correlation=correlation, seed=seed
                )
                truth, Psi = cohort.effects.to_numpy(), cohort.covariance.to_numpy()
                row = {}
                for method in METHODS:
                    fit = bd.fastmix(*tables(cohort), method)
                    row[f"Psi {method}"] = 100 * np.square(fit.covariance.to_numpy() - Psi).mean()
                    row[f"coef {method}"] = np.square(fit.effects.to_numpy() - truth).mean()
                preset = bd.fastmix(*tables(cohort), preset="fastmix-0.2.5")
                row["Psi FastMix 0.2.5"] = (
                    100 * np.square(preset.covariance - Psi).to_numpy().mean()
                )
                row["coef ridge"] = np.square(rival(cohort, fit, "ridge") - truth).mean()
                row["coef OLS"] = np.square(rival(cohort, fit, "interaction") - truth).mean()
                errors.append(row)
            frame = pd.DataFrame(errors)
            ratio = frame["Psi mixture"] / frame["Psi moments"]
            row = {
                "correlation": correlation,
                "genes shifted": "none" if simulation == "I" else f"{version} law",
            }
            row |= {name: f"{frame[name].mean():.3f}" for name in sorted(frame)}
            row["Psi mixture / moments (standard error)"] = (
                f"{frame['Psi mixture'].mean() / frame['Psi moments'].mean():.3f} "
                f"({ratio.std() / np.sqrt(replicates):.3f})"
            )
            rows.append(row)
    show(pd.DataFrame(rows))


def errors(replicates: int) -> None:
    """Simulation III: type-I error and power at .05, false-discovery proportions."""
    print("\n## Simulation III: error rates of the group effect in each cell type\n")
    effects = [f"Cell{i}.Group" for i in (1, 2, 3)]
    rows = []
    for correlation in (0.0, 0.5):
        for version in ("paper", "code"):
            for method in ("moments", "mixture"):
                false = np.zeros(3)
                hits, found, wrong, n_null = np.zeros(2), np.zeros(2), np.zeros(2), np.zeros(3)
                for seed in range(_FIRST_SEED, _FIRST_SEED + replicates):
                    cohort = bd.simulate.fastmix("III", version, correlation=correlation, seed=seed)
                    fit = bd.fastmix(*tables(cohort), method)
                    shifted = cohort.differential[effects].to_numpy()
                    p, q = (t[effects].to_numpy() for t in (fit.p_values, fit.q_values))
                    false += ((p < 0.05) & ~shifted).sum(axis=0)
                    n_null += (~shifted).sum(axis=0)
                    hits += ((p < 0.05) & shifted).sum(axis=0)[:2] / shifted.sum(axis=0)[:2]
                    for i, nominal in enumerate((0.05, 0.1)):
                        found[i] += (q < nominal).sum()
                        wrong[i] += ((q < nominal) & ~shifted).sum()
                row = {"correlation": correlation, "law": version, "method": method}
                row |= {
                    f"type I {name[:5]}": f"{x:.4f}"
                    for name, x in zip(effects, false / n_null, strict=True)
                }
                row |= {
                    f"power {name[:5]}": f"{x:.3f}"
                    for name, x in zip(effects[:2], hits / replicates, strict=True)
                }
                for i, nominal in enumerate((0.05, 0.1)):
                    row[f"FDP at q < {nominal}"] = (
                        f"{wrong[i] / max(found[i], 1):.3f} of {found[i] / replicates:.0f}"
                    )
                rows.append(row)
    show(pd.DataFrame(rows))


def speed() -> None:
    """CPU time of whole calls, data frames included."""
    print("\n## Speed (CPU seconds on one thread, minimum of several calls)\n")
    rows = []
    for m, n, repeats in ((5000, 50, 7), (60_000, 500, 3)):
        cohort = bd.simulate.fastmix("II", n_genes=m, n_samples=n, correlation=0.5, seed=0)
        row = {"genes": m, "samples": n}
        for method in METHODS:
            fit, seconds = timed(lambda m=method, c=cohort: bd.fastmix(*tables(c), m), repeats)
            row[method] = f"{seconds:.3f}"
            if method == "moments":
                moments = seconds
        X, Y = fit.design.table.to_numpy(), cohort.expression.T.to_numpy()
        _, solve = timed(lambda X=X, Y=Y: np.linalg.lstsq(X, Y, rcond=None), repeats)
        row |= {"numpy.linalg.lstsq": f"{solve:.3f}", "moments / lstsq": f"{moments / solve:.1f}"}
        rows.append(row)
    show(pd.DataFrame(rows))


def timed(call, repeats):
    best, value = np.inf, None
    for _ in range(repeats):
        started = time.process_time()
        value = call()
        best = min(best, time.process_time() - started)
    return value, best


_PEAK = """
import tracemalloc
import numpy as np, pandas as pd
import bayesdecov as bd
small = bd.simulate.fastmix("II", n_genes=100, n_samples=20, seed=0)
bd.fastmix(small.expression, small.proportions, small.covariates, METHOD)
law = bd.simulate.fastmix("II", n_genes=5000, n_samples=500, seed=0)
Y = np.tile(law.expression.to_numpy(), (12, 1))
Y += 0.1 * np.random.default_rng(0).normal(size=Y.shape)
Y = pd.DataFrame(Y, [f"g{i}" for i in range(60_000)], law.expression.columns)
tracemalloc.start()
bd.fastmix(Y, law.proportions, law.covariates, METHOD)
print(1 + tracemalloc.get_traced_memory()[1] / Y.to_numpy().nbytes)
"""


def memory() -> None:
    """Peak of what NumPy and Python allocate during a call, plus the input, over the input."""
    print("\n## Peak memory, 60,000 genes x 500 samples (240 MB), input included\n")
    rows = []
    for method in METHODS:
        code = [sys.executable, "-W", "ignore", "-c", _PEAK.replace("METHOD", repr(method))]
        out = subprocess.run(code, check=True, capture_output=True, text=True)
        rows.append({"method": method, "times the input": f"{float(out.stdout):.2f}"})
    show(pd.DataFrame(rows))


def show(frame: pd.DataFrame) -> None:
    print("| " + " | ".join(frame.columns) + " |")
    print("|" + " --- |" * frame.shape[1])
    for row in frame.itertuples(index=False):
        print("| " + " | ".join(map(str, row)) + " |")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=20)
    parts = ("accuracy", "errors", "speed", "memory")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    options = parser.parse_args()
    warnings.simplefilter("ignore", bd.BayesdecovWarning)
    for name in options.only:
        if name in ("accuracy", "errors"):
            globals()[name](options.replicates)
        else:
            globals()[name]()


if __name__ == "__main__":
    main()
