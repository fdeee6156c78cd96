"""Paired timings against peers and floors, and how cost grows: python benchmarks/speed.py

    python benchmarks/speed.py [peers effects scaling] [--quick] [--out docs/benchmarks]

CPU seconds, one thread. A pair is timed in turns (ours, theirs, ours, ...), and
ratios are medians over the turns. Written: ``speed-peers.csv``, ``speed-effects.csv``,
``speed-scaling.csv`` and its picture.

* ``peers``: proportions of bulks with counting noise (6 cell types, 300 markers). Peers:
  `scipy.optimize.nnls`, nu-SVR of scikit-learn (the recipe of CIBERSORT), the same likelihood
  maximised by SciPy's L-BFGS-B with our gradient and with numerical ones, and pybayesprism where it
  is installed. Floors: one product of data and signature, one least-squares solve for all bulks,
  and one Cholesky factor per bulk.
* ``effects``: the mixed model of 300 genes. Peers: `statsmodels.MixedLM` (the same model, REML),
  ordinary least squares gene by gene with statsmodels. Floor: one least-squares solve.
* ``scaling``: seconds as functions of genes, samples and cell types.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import importlib.util
import resource
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize, nnls

import bayesdecov as bd
from bayesdecov.deconvolution.prepare import prepare

Row = dict[str, object]


def seconds(work: Callable[[], object]) -> float:
    """CPU time of the work, in this process and in processes that it started and waited for."""

    def now() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    started = now()
    work()
    return now() - started


def paired(ours: Callable[[], object], theirs: Callable[[], object], turns: int) -> Row:
    """Median seconds of both, and the median of their ratios with its range."""
    times = np.array([(seconds(ours), seconds(theirs)) for _ in range(turns)])
    ratio = times[:, 1] / times[:, 0]
    return {
        "seconds": np.median(times[:, 1]),
        "ours": np.median(times[:, 0]),
        "ratio": np.median(ratio),
        "lowest": ratio.min(),
        "highest": ratio.max(),
    }


def peers(quick: bool) -> pd.DataFrame:
    n, genes, n_types = (8 if quick else 100), 300, 6
    data = bd.simulate.convolution(n, 2 * genes, n_types, replicates=8, depth=2e6, seed=1)
    references = {
        covariance: bd.Reference.from_samples(data.purified, data.labels, covariance, genes=genes)
        for covariance in ("diagonal", "factor", "shrinkage")
    }
    reference = references["diagonal"]
    mu = reference.mean.to_numpy()
    y = data.bulk.loc[reference.genes].to_numpy(dtype=float)
    y = y / data.bulk.sum().to_numpy() * 1e6
    truth = data.proportions

    def rmse(p: np.ndarray) -> float:
        return float(np.sqrt(np.mean((p - truth.to_numpy()) ** 2)))

    def ours(covariance: str = "factor", method: str = "map") -> bd.Deconvolution:
        return bd.deconvolve(
            data.bulk,
            references[covariance],
            method,
            seed=1,
            platform="same",
            sampling=bd.Sampling(max_pareto_k=np.inf),
        )

    def non_negative() -> np.ndarray:
        p = np.array([nnls(mu, bulk)[0] for bulk in y.T])
        return p / p.sum(axis=1, keepdims=True)

    def support_vectors() -> np.ndarray:
        return bd.deconvolve(data.bulk, reference, "nusvr").proportions.to_numpy()

    prepared = prepare(data.bulk, references["factor"], platform="same")
    rows: list[Row] = []
    found = ours().proportions[truth.columns].to_numpy()  # imports
    rows.append(
        {"what": "map, factor (all ratios are to this)", "kind": "ours", "rmse": rmse(found)}
    )
    turns = 2 if quick else 5
    for covariance, method in (("diagonal", "map"), ("shrinkage", "map"), ("diagonal", "laplace"),
                               ("factor", "laplace"), ("shrinkage", "laplace")):  # fmt: skip
        error = rmse(ours(covariance, method).proportions[truth.columns].to_numpy())
        rows.append(
            {"what": f"{method}, {covariance}", "kind": "ours", "rmse": error}
            | paired(
                ours, lambda c=covariance, m=method: ours(c, m), turns if method == "map" else 1
            )
        )
    others: dict[str, tuple[Callable[[], np.ndarray], int]] = {
        "scipy.optimize.nnls": (non_negative, turns),
        "scikit-learn NuSVR, three nu": (support_vectors, 1),
        "L-BFGS-B, our gradient": (
            lambda: generic(prepared.model, prepared.data, gradient=True),
            1,
        ),
        "L-BFGS-B, numerical gradient": (
            lambda: generic(prepared.model, prepared.data, gradient=False),
            1,
        ),
        **installed(data, references["diagonal"]),
    }
    for name, (work, times) in others.items():
        rows.append(
            {"what": name, "kind": "peer", "rmse": rmse(work())} | paired(ours, work, times)
        )
    signature = np.cov(mu) + np.eye(genes)
    floors = {
        "one product of data and signature": lambda: mu.T @ y,
        "one least-squares solve": lambda: np.linalg.lstsq(mu, y, rcond=None),
        "one Cholesky factor per bulk": lambda: [np.linalg.cholesky(signature) for _ in range(n)],
    }
    for name, work in floors.items():
        rows.append({"what": name, "kind": "floor"} | paired(ours, work, 9))
    return pd.DataFrame(rows).assign(samples=n, genes=genes, cell_types=n_types)


def generic(model, bulks, *, gradient: bool) -> np.ndarray:
    """The likelihood of a model, maximised sample by sample by a generic optimiser."""
    from bayesdecov.algebra.simplex import proportions
    from bayesdecov.deconvolution.fit import log_posterior

    projected = model.density.project(bulks.y)
    density = log_posterior(model, projected, bulks.phi, jacobian=False, order=int(gradient))
    found = []
    for i in range(len(bulks.y)):

        def value(theta: np.ndarray, i: int = i):
            term = density(theta[None], np.array([i]))
            return (-term.value[0], -term.gradient[0]) if gradient else -term.value[0]

        start = np.zeros(model.n_types - 1)
        found.append(minimize(value, start, jac=gradient, method="L-BFGS-B").x)
    return proportions(np.array(found))


def installed(data, reference) -> dict[str, tuple[Callable[[], np.ndarray], int]]:
    """Other packages, where they can be imported."""
    types = list(data.proportions.columns)
    found: dict[str, tuple[Callable[[], np.ndarray], int]] = {}
    if importlib.util.find_spec("pybayesprism"):

        def bayesprism() -> np.ndarray:
            from pybayesprism import prism

            labels = data.labels.loc[data.purified.columns].to_numpy()
            genes = reference.genes
            made = prism.Prism.new(
                reference=data.purified.loc[genes].T,
                input_type="count.matrix",
                cell_type_labels=labels,
                cell_state_labels=labels,
                key=None,
                mixture=data.bulk.loc[genes].T,
                outlier_cut=1.0,
                outlier_fraction=1.0,
            )
            run = made.run(n_cores=1, update_gibbs=False)
            return run.posterior_initial_cellType.theta[types].to_numpy()

        found["pybayesprism, 1,000 Gibbs cycles"] = (bayesprism, 1)
    return found


def effects(quick: bool) -> pd.DataFrame:
    import statsmodels.api as sm
    from statsmodels.regression.mixed_linear_model import MixedLM

    genes, samples = (30 if quick else 300), 40
    data = bd.simulate.fastmix("II", n_genes=genes, n_samples=samples, correlation=0.5, seed=1)

    def ours(method: str = "map") -> bd.FastMix:
        return bd.fastmix(data.expression, data.proportions, data.covariates, method)

    fit = ours()
    X = fit.design.table.to_numpy()
    Y = data.expression[fit.design.table.index].to_numpy()

    def mixed() -> object:
        design = np.tile(X, (genes, 1))
        groups = np.repeat(np.arange(genes), samples)
        return MixedLM(Y.ravel(), design, groups, exog_re=design).fit(reml=True, method="lbfgs")

    def gene_by_gene() -> object:
        return [sm.OLS(gene, X).fit().params for gene in Y]

    rows: list[Row] = [{"what": "map, REML (all ratios are to this)", "kind": "ours"}]
    turns = 2 if quick else 5
    for method in ("moments", "mixture"):
        rows.append(
            {"what": method, "kind": "ours"} | paired(ours, lambda m=method: ours(m), turns)
        )
    rows.append(
        {"what": "statsmodels MixedLM, REML, one pass of L-BFGS", "kind": "peer"}
        | paired(ours, mixed, 1)
    )
    rows.append(
        {"what": "statsmodels OLS, gene by gene", "kind": "peer"}
        | paired(ours, gene_by_gene, turns)
    )
    rows.append(
        {"what": "one least-squares solve", "kind": "floor"}
        | paired(ours, lambda: np.linalg.lstsq(X, Y.T, rcond=None), 9)
    )
    return pd.DataFrame(rows).assign(samples=samples, genes=genes, columns=X.shape[1])


def scaling(quick: bool) -> pd.DataFrame:
    """Every axis alone, the others at their base."""
    rows = []
    for row in _proportions_by_size(quick):
        rows.append(row)
        print(row, flush=True)
    for genes, samples in _effects_sizes(quick):
        data = bd.simulate.fastmix("II", n_genes=genes, n_samples=samples, seed=1)
        for method in ("moments", "map", "mixture"):
            took = seconds(
                lambda m=method, d=data: bd.fastmix(d.expression, d.proportions, d.covariates, m)
            )
            for axis, base in (("genes", samples == 50), ("samples", genes == 2000)):
                if base:
                    rows.append({"verb": "fastmix", "model": method, "axis": axis, "genes": genes,
                                 "samples": samples, "seconds": took})  # fmt: skip
                    print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def _proportions_by_size(quick: bool) -> Iterator[Row]:
    base = {"genes": 300, "samples": 50, "types": 6}
    sizes = {
        "genes": (50, 100) if quick else (100, 300, 1000, 3000),
        "samples": (50, 100) if quick else (50, 200, 800),
        "types": (3, 4) if quick else (3, 6, 12, 24),
    }
    models = [("map", "diagonal"), ("map", "factor"), ("map", "shrinkage"),
              ("laplace", "diagonal"), ("laplace", "factor")]  # fmt: skip
    for axis, values in sizes.items():
        for value in values:
            at = base | {axis: value}
            data = bd.simulate.convolution(
                at["samples"], 2 * at["genes"], at["types"], replicates=6, depth=2e6, seed=1
            )
            for method, covariance in models:
                if covariance == "shrinkage" and value > 1000:
                    continue  # a dense matrix of each cell type
                few = data.bulk
                if method == "laplace" or covariance == "shrinkage":
                    few = few.iloc[:, : max(10, at["samples"] // 5)]
                reference = bd.Reference.from_samples(
                    data.purified, data.labels, covariance, genes=at["genes"]
                )
                took = seconds(
                    lambda m=method, b=few, r=reference: bd.deconvolve(
                        b,
                        r,
                        m,
                        seed=1,
                        platform="same",
                        sampling=bd.Sampling(max_pareto_k=np.inf),
                    )
                )
                yield {"verb": "deconvolve", "model": f"{method}, {covariance}", "axis": axis,
                       **at, "samples": few.shape[1], "seconds": took}  # fmt: skip


def _effects_sizes(quick: bool) -> list[tuple[int, int]]:
    if quick:
        return [(200, 50), (2000, 50), (2000, 80)]
    by_genes = [(genes, 50) for genes in (500, 2000, 8000, 32_000)]
    return by_genes + [(2000, samples) for samples in (100, 200, 400)]


def picture(table: pd.DataFrame, path: Path) -> None:
    """Seconds per sample (deconvolve) and seconds (fastmix) along every axis, both logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter

    panels = [("deconvolve", "genes"), ("deconvolve", "samples"), ("deconvolve", "types"),
              ("fastmix", "genes"), ("fastmix", "samples")]  # fmt: skip
    figure, axes = plt.subplots(2, 3, figsize=(10.5, 6.8), layout="constrained")
    axes[1, 2].set_axis_off()
    for ax, (verb, axis) in zip(axes.flat, panels, strict=False):
        part = table[(table["verb"] == verb) & (table["axis"] == axis)]
        each = verb == "deconvolve" and axis != "samples"
        for model, curve in part.groupby("model", sort=False):
            per = curve["samples"] if each else 1
            ax.loglog(curve[axis], curve["seconds"] / per, "o-", label=model, ms=4)
        sizes: list[int] = []
        for size in sorted(part[axis].astype(int).unique()):
            if not sizes or size > 1.5 * sizes[-1]:
                sizes.append(size)
        ax.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=45)
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_xlabel({"types": "cell types"}.get(axis, axis))
        ax.set_ylabel("CPU seconds per sample" if each else "CPU seconds")
        ax.set_title(f"{verb}, by {ax.get_xlabel()}", fontsize=10)
        ax.grid(alpha=0.3, which="major", lw=0.5)
        ax.spines[["top", "right"]].set_visible(False)
    key = axes[1, 2]
    key.add_artist(
        key.legend(
            *axes[0, 0].get_legend_handles_labels(),
            loc="upper left",
            title="deconvolve",
            frameon=False,
            alignment="left",
        )
    )
    key.legend(
        *axes[1, 0].get_legend_handles_labels(),
        loc="lower left",
        title="fastmix",
        frameon=False,
        alignment="left",
    )
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parts = {"peers": peers, "effects": effects, "scaling": scaling}
    parser.add_argument("what", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs")
    parser.add_argument("--out", type=Path, help="folder for the tables and the picture")
    options = parser.parse_args()
    if set(options.what) - set(parts):
        parser.error(f"parts are {', '.join(parts)}")
    warnings.simplefilter("ignore")
    for name in options.what or parts:
        table = parts[name](options.quick)
        print(f"\n## {name}\n\n{table.round(4).to_string(index=False)}", flush=True)
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            table.to_csv(options.out / f"speed-{name}.csv", index=False, float_format="%.4g")
            if name == "scaling":
                picture(table, options.out / "speed-scaling.png")


if __name__ == "__main__":
    main()
