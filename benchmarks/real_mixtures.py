"""Accuracy and coverage on real mixtures: python benchmarks/real_mixtures.py [--out FILE.md]

RNA of three cell lines mixed in known ratios (sc_mixology, CEL-seq2; downloaded, or taken from
the folder that BAYESDECOV_DATA names). Markers are chosen from the pure wells only. Coverage is
given twice: against the design, and against the mean estimate of wells with the same design,
because pipetting moves the design itself (nominal thirds come out near .29/.33/.38).
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import bayesdecov as bd
from bayesdecov.demo import score

MARKERS = (90, 150, 450)
COVARIANCES = ("glasso", "shrinkage", "factor", "diagonal")


def around_own_mean(fit: bd.deconvolve, truth: pd.DataFrame) -> float:
    """Coverage of the mean estimate of wells with the same design, corrected for its own error."""
    estimate = fit.proportions
    design = truth.round(2).astype(str).agg("/".join, axis=1).loc[estimate.index]
    groups = estimate.groupby(design)
    n = groups[estimate.columns[0]].transform("size").to_numpy()[:, None]
    gap = (estimate - groups.transform("mean")).to_numpy() * np.sqrt(n / (n - 1))
    table = fit.intervals(0.95)
    low = (table["mean"] - table["low"]).to_numpy().reshape(gap.shape)
    high = (table["high"] - table["mean"]).to_numpy().reshape(gap.shape)
    return float(((gap <= low) & (-gap <= high)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, help="write the tables as Markdown")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)
    data = bd.datasets.load("sc_mixology")
    amount = data.samples["mRNA_amount"].map(lambda pg: f"{pg:5.2f} pg")
    rows, by_amount = [], []
    for markers in MARKERS:
        for covariance in COVARIANCES:
            reference = bd.Reference.from_samples(
                data.purified, data.labels, covariance, genes=markers
            )
            methods = ("map", "laplace", "nnls") if covariance == "glasso" else ("map", "laplace")
            for method in methods:
                fit = bd.deconvolve(data.bulk, reference, method, seed=1)
                name = method if method == "nnls" else f"{method}, {covariance}"
                scores = score({name: fit}, data.proportions, groups=amount)
                own = np.nan if method == "nnls" else around_own_mean(fit, data.proportions)
                whole = scores.iloc[0]
                rows.append({"markers": markers, "method": name, "RMSE": whole["rmse"],
                             "coverage, design": whole["coverage_95"],
                             "coverage, own mean": own, "width": whole["width_95"]})  # fmt: skip
                if markers == 450 and name in ("laplace, glasso", "laplace, factor", "nnls"):
                    by_amount.append(scores.iloc[1:])
                print(rows[-1], flush=True)
    whole = pd.DataFrame(rows)
    split = pd.concat(by_amount)[["method", "group", "samples", "rmse", "coverage_95"]]
    text = f"{_markdown(whole)}\n\n450 markers, by RNA amount:\n\n{_markdown(split)}\n"
    print(text)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")


def _markdown(table: pd.DataFrame) -> str:
    def cell(value: object) -> str:
        if isinstance(value, float):
            return "-" if np.isnan(value) else f"{value:.3f}"
        return str(value)

    lines = [" | ".join(table.columns), " | ".join("---" for _ in table.columns)]
    lines += [" | ".join(cell(value) for value in row) for row in table.itertuples(index=False)]
    return "\n".join(f"| {line} |" for line in lines)


if __name__ == "__main__":
    main()
