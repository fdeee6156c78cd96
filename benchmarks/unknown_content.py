"""Cells that the reference lacks: who finds them, and is P(other > x) what it says?

    python benchmarks/unknown_content.py [--replicates 10] [--out FOLDER]

Simulated blood of whole donors, 8 related cell types, a reference of 6 other donors (300 markers),
cohorts of 40 bulks, and unknown cells of two kinds. ``far``: a profile that has nothing in common
with blood, every donor's own (log-sd .8). ``near``: a ninth cell type that shares the level of all
genes but its own markers (like an epithelium), donors as alike as those of blood. Cohorts:

* ``spread``: a quarter of the bulks without, the others with 0-50 % of unknown cells
* ``ten``: half without, half with 10 %
* ``none`` and ``all 30 %``: the same in all bulks

Calibration: frequency of ``share > x`` among samples with a stated P(other > x), with standard
errors over cohorts. Rivals: ``other`` of EPIC and quanTIseq.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

import bayesdecov as bd
from bayesdecov.simulate.tissue import BLOOD

_FIRST_SEED = 9500
_BINS = [0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 1.0001]
_ABOVE = (0.05, 0.1, 0.25)
_FOREIGN = "epithelium"


def shares(design: str, rng: np.random.Generator) -> np.ndarray:
    """Foreign content of 40 bulks."""
    if design == "spread":
        return np.concatenate([np.zeros(10), rng.uniform(0, 0.5, 30)])
    return np.repeat({"ten": [0, 0.1], "none": [0, 0], "all 30 %": [0.3, 0.3]}[design], 20)


def cohort(kind: str, share: np.ndarray, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, object]:
    """Bulks, true proportions of the known cell types, and a reference."""
    if kind == "far":
        data = bd.simulate.tissue(len(share), other=share, seed=seed)
        truth, labels = data.proportions, data.labels
    else:
        rng = np.random.default_rng([seed, 1])
        known = rng.dirichlet(rng.permutation(np.linspace(0.5, 2, 8)), len(share))
        data = bd.simulate.tissue(
            lineages=BLOOD | {_FOREIGN: (_FOREIGN,)},
            seed=seed,
            proportions=np.column_stack([known * (1 - share)[:, None], share]),
        )
        truth = data.proportions.drop(columns=_FOREIGN)
        truth = truth.div(truth.sum(axis=1), axis=0)
        labels = data.labels[data.labels != _FOREIGN]
    reference = bd.Reference.from_samples(
        data.purified[labels.index], labels, "diagonal", donors=data.donors[labels.index]
    )
    return data.bulk, truth, reference


def one(kind: str, design: str, seed: int) -> pd.DataFrame:
    """A row for every sample: truth, estimates, probabilities, error of the known types."""
    share = shares(design, np.random.default_rng(seed))
    bulk, truth, reference = cohort(kind, share, seed)
    started = time.process_time()
    fit = bd.deconvolve(
        bulk, reference, "laplace", other=True, seed=seed, sampling=bd.Sampling(max_pareto_k=np.inf)
    )
    seconds = time.process_time() - started
    table = fit.intervals().query("cell_type == 'other'").set_index("sample")
    rows = pd.DataFrame({"kind": kind, "design": design, "seed": seed, "share": share,
                         "other": fit.proportions["other"], "low": table["low"],
                         "high": table["high"], "seconds": seconds})  # fmt: skip
    for x in _ABOVE:
        rows[f"P > {x}"] = fit.probability_above(x)["other"]
    known = fit.proportions.drop(columns="other")
    plain = bd.deconvolve(bulk, reference, "map", platform="same").proportions
    for name, P in (("", known.div(known.sum(axis=1), axis=0)), (" without other", plain)):
        rows["error" + name] = np.square(P - truth[P.columns]).mean(axis=1)
    for rival in ("epic", "quantiseq"):
        fit = bd.deconvolve(bulk, reference, rival)
        rows[rival] = fit.diagnostics["other"]
        rows["error " + rival] = np.square(fit.proportions - truth[fit.proportions.columns]).mean(
            axis=1
        )
    return rows.reset_index()


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Estimates and errors by kind, design and content."""
    content = pd.cut(table["share"], [-1, 0, 0.05, 0.15, 0.3, 0.5],
                     labels=["0", "-5 %", "-15 %", "-30 %", "-50 %"])  # fmt: skip
    held = ((table["low"] <= table["share"]) & (table["share"] <= table["high"])).astype(float)
    columns = {"share": table["share"], "other": table["other"],
               "RMSE": np.square(table["other"] - table["share"]),
               "covered": held.where(table["share"] > 0), "sure": table["P > 0.05"] > 0.95,
               **{name: table[name] for name in ("epic", "quantiseq")},
               **{name: table[name] for name in table if name.startswith("error")}}  # fmt: skip
    grouped = pd.DataFrame(columns).groupby(
        [table["kind"], table["design"], content], observed=True
    )
    means = grouped.mean()
    squared = [name for name in means if name == "RMSE" or name.startswith("error")]
    means[squared] = np.sqrt(means[squared])
    return means


def calibration(table: pd.DataFrame) -> pd.DataFrame:
    """Frequency by stated probability, pooled over thresholds; standard errors over cohorts."""
    parts = [
        pd.DataFrame(
            {
                "kind": table["kind"],
                "seed": table["seed"],
                "threshold": x,
                "stated": table[f"P > {x}"],
                "true": table["share"] > x,
            }
        )
        for x in _ABOVE
    ]
    long = pd.concat(parts)
    long["bin"] = pd.cut(long["stated"], _BINS, right=False)
    cohorts = long.groupby(["kind", "bin", "seed"], observed=True)
    each = cohorts.agg(n=("true", "size"), stated=("stated", "sum"), true=("true", "sum"))
    rows = {}
    for key, part in each.groupby(level=["kind", "bin"], observed=True):
        n, rate = part["n"].sum(), part["true"].sum() / part["n"].sum()
        error = np.sqrt(np.square(part["true"] - rate * part["n"]).sum()) / n
        rows[key] = {"n": n, "stated": part["stated"].sum() / n, "true": rate, "se": error}
    return pd.DataFrame(rows).T


def auroc(table: pd.DataFrame) -> pd.DataFrame:
    """10 % against none, within each cohort of ``ten``: mean and worst over cohorts."""
    ten = table[table["design"] == "ten"]
    rows = {}
    for (kind, _), part in ten.groupby(["kind", "seed"]):
        for method in ("other", "epic", "quantiseq"):
            rows.setdefault((kind, method), []).append(
                roc_auc_score(part["share"] > 0, part[method])
            )
    return pd.DataFrame(
        {key: {"mean": np.mean(v), "worst": np.min(v)} for key, v in rows.items()}
    ).T


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--replicates", type=int, default=10)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    tables = []
    for kind in ("far", "near"):
        for design in ("spread", "ten", "none", "all 30 %"):
            tables += [one(kind, design, _FIRST_SEED + i) for i in range(options.replicates)]
        print(f"{kind}: done", flush=True)
    table = pd.concat(tables)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        table.to_csv(options.out / "unknown_content.csv", index=False)
    print(summary(table).round(3).to_string())
    print("\nAUROC of 10 %\n" + auroc(table).round(3).to_string())
    for design in ("spread", None):
        part = table if design is None else table[table["design"] == design]
        print(f"\ncalibration, {design or 'all designs'}\n{calibration(part).round(3).to_string()}")
    print(f"\nCPU seconds of a fit: {table['seconds'].median():.1f}")


if __name__ == "__main__":
    main()
