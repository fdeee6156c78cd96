"""How fast the convolution fit is: python benchmarks/convolution.py [--goldens FOLDER]

CPU seconds of this process (one BLAS thread), medians over repetitions, and ratios to a floor
measured in the same run: one Cholesky factorisation and one product of the covariance's size. The
figures of the original R program are from its own measurement, on another machine.
"""

from __future__ import annotations

import argparse
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

import bayesdecov as bd


def cpu_seconds(work: Callable[[], object], repeat: int = 3) -> float:
    """Median CPU seconds of ``work``."""
    times = []
    for _ in range(repeat):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return float(np.median(times))


def moments(n_types: int, n_genes: int, seed: int) -> tuple[bd.Reference, pd.DataFrame]:
    """A dense random reference and 20 bulks drawn from the model."""
    rng = np.random.default_rng(seed)
    mu = rng.gamma(2.0, 10.0, (n_genes, n_types))
    A = rng.normal(size=(n_types, n_genes, n_genes + 5))
    Sigma = A @ A.transpose(0, 2, 1) / n_genes * 4
    genes = [f"g{i}" for i in range(n_genes)]
    reference = bd.Reference.from_moments(
        pd.DataFrame(mu, genes, [f"t{j}" for j in range(n_types)]), Sigma
    )
    p = rng.dirichlet(np.full(n_types, 2.0), 20)
    y = np.stack(
        [
            sum(
                p[i, j] * rng.multivariate_normal(mu[:, j], Sigma[j], method="cholesky")
                for j in range(n_types)
            )
            for i in range(20)
        ]
    )
    return reference, pd.DataFrame(np.maximum(y, 0).T, genes, [f"s{i}" for i in range(20)])


def bivariate(goldens: Path | None) -> tuple[float, int]:
    """CPU seconds for the two-gene benchmark of the paper through the public call."""
    from itertools import product

    grid = np.round(np.arange(-0.8, 0.81, 0.2), 1)
    genes = ["g1", "g2"]
    work = []
    rng = np.random.default_rng(0)
    if goldens is not None:
        bulks = pd.read_csv(goldens / "decovart" / "bivariate_estimates.csv.gz")
        drawn = bulks[["y1", "y2"]].to_numpy().reshape(324, 500, 2)
    for index, (centroid, p1, r1, r2) in enumerate(
        product(([[20, 22], [22, 20]], [[20, 40], [40, 20]]), (0.5, 0.95), grid, grid)
    ):
        mean = pd.DataFrame(np.array(centroid, float), genes, ["a", "b"])
        Sigma = np.array([[[1, r1], [r1, 1]], [[1, r2], [r2, 1]]])
        if goldens is not None:
            y = drawn[index]
        else:
            y = sum(
                w * rng.multivariate_normal(mean[name], S, 500)
                for w, name, S in zip((p1, 1 - p1), mean, Sigma, strict=True)
            )
        bulk = pd.DataFrame(y.T, genes, [f"s{i}" for i in range(500)])
        work.append((bulk, bd.Reference.from_moments(mean, Sigma)))
    seconds = cpu_seconds(
        lambda: [bd.deconvolve(y, reference, platform="same") for y, reference in work], 1
    )
    return seconds, 500 * len(work)


def factor_form() -> tuple[float, float, float]:
    """Milliseconds per sample at 5,000 genes and 60 replicates, and to build the reference.

    First in the factor form (``noise="none"``), then with the counting noise estimated, which has
    no factor form and costs time linear in the number of genes.
    """
    cohort = bd.simulate.convolution(100, 5000, 6, replicates=10, seed=3)
    build = cpu_seconds(
        lambda: bd.Reference.from_samples(cohort.purified, cohort.labels, "factor", genes=None)
    )
    reference = bd.Reference.from_samples(cohort.purified, cohort.labels, "factor", genes=None)
    fit = cpu_seconds(lambda: bd.deconvolve(cohort.bulk, reference, noise="none"))
    few = cohort.bulk.iloc[:, :20]
    noisy = cpu_seconds(lambda: bd.deconvolve(few, reference, noise="counting"), 1)
    return fit / 100 * 1e3, noisy / 20 * 1e3, build * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--goldens", type=Path, help="golden numbers: use their bulks")
    arguments = parser.parse_args()
    table = Table(title="CPU time, one thread")
    for name in ("case", "measured", "target", "R original", "ratio to one Cholesky"):
        table.add_column(name)
    bd.deconvolve(*moments(2, 5, 0)[::-1])  # imports
    seconds, count = bivariate(arguments.goldens)
    table.add_row(f"{count:,} two-gene samples", f"{seconds:.1f} s", "10 s", "0.1 s per sample", "")
    for n_types, n_genes, target, original in ((6, 60, 20, "5 s"), (10, 200, 150, "about 400 s")):
        reference, bulk = moments(n_types, n_genes, 1)
        per_sample = cpu_seconds(lambda y=bulk, r=reference: bd.deconvolve(y, r)) / 20
        Sigma = reference.covariance_of("t0").to_numpy()
        floor = cpu_seconds(lambda S=Sigma: [np.linalg.cholesky(S) for _ in range(50)]) / 50
        table.add_row(
            f"dense, J={n_types}, G={n_genes}, per sample",
            f"{per_sample * 1e3:.1f} ms",
            f"{target} ms",
            original,
            f"{per_sample / floor:.0f}",
        )
    fit, noisy, build = factor_form()
    table.add_row(
        "factor form, J=6, G=5000, 60 replicates, per sample",
        f"{fit:.1f} ms",
        "10 ms",
        "-",
        f"(reference built in {build:.0f} ms)",
    )
    table.add_row("the same, counting noise estimated", f"{noisy:.0f} ms", "", "-", "")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
