"""Proportions with errors in the mixed model: what is lost, and what the joint model brings back.

    python benchmarks/uncertain_proportions.py [--replicates 20] [--only accuracy stated hidden]

3,000 genes; three of four Dirichlet(4, 3, 3, 2) proportions, Severity and Sex (Simulation II of
the FastMix paper, with its shifted genes), errors of sd .05 and .10. The oracle is
``method="mixture"`` with the true proportions. Ratios are of root mean squared errors of all gene
coefficients to the oracle's on the same data; their standard errors over data sets in brackets.
"""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import time
import warnings

import numpy as np
import pandas as pd

import bayesdecov as bd

_GENES = 3000
_FIRST_SEED = 9000  # below it, settings were chosen


def cohort(n: int, error_sd: float, seed: int, **options):
    return bd.simulate.fastmix(
        "II",
        n_genes=_GENES,
        n_samples=n,
        proportions="dirichlet",
        error_sd=error_sd,
        seed=seed,
        **options,
    )


def fits(data, stated: float, methods: list[str]):
    """Fits by name, with seconds."""
    tables = data.expression, data.measured, data.covariates
    calls = {
        "oracle": lambda: bd.fastmix(tables[0], data.proportions, tables[2], "mixture"),
        "ignored": lambda: bd.fastmix(*tables, "mixture", standard_errors=stated),
        "calibrated": lambda: bd.fastmix(
            *tables, "mixture", standard_errors=stated, errors="calibrate"
        ),
        "joint": lambda: bd.fastmix(*tables, "joint", standard_errors=stated),
    }
    for name in methods:
        started = time.process_time()
        try:
            yield name, calls[name](), time.process_time() - started
        except bd.InputError:  # calibration refuses designs that it makes singular
            yield name, None, np.nan


def judged(fit, data) -> dict[str, float]:
    truth, shifted = data.effects.to_numpy(), data.differential.to_numpy()
    e = fit.estimate
    inside = (e.low < truth) & (truth < e.high)
    q = fit.q_values.to_numpy()
    called = q < 0.05
    sure = e.lfsr < 0.05
    wrong = np.sign(fit.effects.to_numpy()) != np.sign(truth)
    interaction = data.effects.columns.get_loc("Cell2.Severity")
    x, y = truth[:, interaction], fit.effects.to_numpy()[:, interaction]
    return {
        "rmse": np.sqrt(np.square(fit.effects.to_numpy() - truth).mean()),
        "slope": float(np.polyfit(x, y, 1)[0]),
        "coverage": inside.mean(),
        "width": np.median(e.high - e.low),
        "called": called.sum(),
        "false": (called & ~shifted).sum(),
        "type I": (e.p < 0.05)[~shifted].mean(),
        "sure": sure.sum(),
        "wrong sign": (sure & wrong).sum(),
        "expected wrong": e.lfsr[sure].sum(),
    }


def table(settings, replicates: int, methods: list[str]) -> None:
    rows = []
    for label, n, error_sd, stated, options in settings:
        found = {name: [] for name in methods}
        for seed in range(_FIRST_SEED, _FIRST_SEED + replicates):
            data = cohort(n, error_sd, seed, **options)
            for name, fit, seconds in fits(data, stated, methods):
                if fit is None:
                    continue
                row = judged(fit, data) | {"seconds": seconds, "seed": seed}
                if fit.refined is not None:
                    off = fit.refined.proportions - data.proportions
                    before = data.measured - data.proportions
                    row["sharper"] = np.sqrt(
                        np.square(before).to_numpy().mean() / np.square(off).to_numpy().mean()
                    )
                    row["scale"] = fit.facts["error_scale"]
                    row["sound"] = fit.facts["rounds"] > 0
                found[name].append(row)
        oracle = pd.DataFrame(found["oracle"]).set_index("seed")
        for name in methods:
            if not found[name]:
                rows.append(
                    {
                        "setting": label,
                        "n": n,
                        "errors": error_sd,
                        "method": name,
                        "RMSE": "refused",
                    }
                )
                continue
            frame = pd.DataFrame(found[name]).set_index("seed")
            ratio = frame["rmse"] / oracle.loc[frame.index, "rmse"]
            rows.append({
                "setting": label, "n": n, "errors": error_sd, "method": name,
                "RMSE": f"{frame['rmse'].mean():.3f}",
                "to oracle": f"{ratio.mean():.3f} ({ratio.std() / np.sqrt(len(ratio)):.3f})",
                "worst": f"{ratio.max():.2f}",
                "slope": f"{frame['slope'].mean():.2f}",
                "coverage": f"{frame['coverage'].mean():.3f}",
                "width": f"{frame['width'].mean():.2f}",
                "FDP at q < .05": f"{frame['false'].sum() / max(frame['called'].sum(), 1):.3f} "
                                  f"of {frame['called'].mean():.0f}",
                "type I": f"{frame['type I'].mean():.3f}",
                "false sign at lfsr < .05": f"{frame['wrong sign'].sum() / frame['sure'].sum():.4f}"
                                  f" ({frame['expected wrong'].sum() / frame['sure'].sum():.4f})",
                "sharper": f"{frame['sharper'].mean():.1f}" if "sharper" in frame else "",
                "error scale": f"{frame['scale'].mean():.2f}" if "scale" in frame else "",
                "CPU s": f"{frame['seconds'].mean():.2f}",
                "data sets": len(frame),
            })  # fmt: skip
    show(pd.DataFrame(rows).fillna(""))


def accuracy(replicates: int) -> None:
    print("\n## Errors as stated\n")
    settings = [("as stated", n, sd, sd, {}) for n in (50, 150) for sd in (0.05, 0.1)]
    table(settings, replicates, ["oracle", "ignored", "calibrated", "joint"])


def stated(replicates: int) -> None:
    print("\n## Errors stated wrongly: no error at all, half and twice the truth\n")
    settings = [("none, .05 stated", 50, 0.0, 0.05, {}), ("half stated", 50, 0.05, 0.025, {}),
                ("twice stated", 50, 0.05, 0.1, {})]  # fmt: skip
    table(settings, replicates, ["oracle", "ignored", "joint"])


def hidden(replicates: int) -> None:
    print("\n## Three hidden factors (the oracle ignores them), and genes with own variances\n")
    settings = [("hidden factors", n, 0.05, 0.05, {"hidden": 3}) for n in (50, 150)]
    settings += [
        ("own variances", 50, 0.05, 0.05, {"variance_df": 4.0}),
        ("correlated effects", 50, 0.05, 0.05, {"correlation": 0.5}),
    ]
    table(settings, replicates, ["oracle", "ignored", "joint"])


def show(frame: pd.DataFrame) -> None:
    print("| " + " | ".join(frame.columns) + " |")
    print("|" + " --- |" * frame.shape[1])
    for row in frame.itertuples(index=False):
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=20)
    parts = ("accuracy", "stated", "hidden")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    options = parser.parse_args()
    warnings.simplefilter("ignore", bd.BayesdecovWarning)
    for name in options.only:
        globals()[name](options.replicates)


if __name__ == "__main__":
    main()
