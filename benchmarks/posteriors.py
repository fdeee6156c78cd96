"""What posteriors cost, in units of the MAP of the same run: python benchmarks/posteriors.py

Fifty samples, four cell types, moments known; 4 chains of 1,000 draws for NUTS.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import bayesdecov as bd
from bayesdecov.options import Sampling, grouped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--genes", type=int, default=60)
    parser.add_argument("--cores", type=int, default=None)
    arguments = parser.parse_args()
    cohort = bd.simulate.convolution(
        n_samples=arguments.samples,
        n_genes=arguments.genes,
        n_types=4,
        distribution="gaussian",
        seed=1,
    )
    reference = bd.Reference.from_moments(cohort.mean, cohort.covariances)
    bulk = cohort.bulk.clip(lower=0)
    runs = {
        "map": {},
        "laplace": {},
        "nuts (nutpie)": {"nuts_sampler": "nutpie"},
        "nuts (pymc)": {"nuts_sampler": "pymc"},
    }
    seconds = {}
    for name, options in runs.items():
        method = name.split()[0]
        if method == "nuts":
            options = options | {"cores": arguments.cores}
        started = time.perf_counter()
        fit = bd.deconvolve(bulk, reference, method, seed=1, **grouped(options, sampling=Sampling))
        seconds[name] = time.perf_counter() - started
        said = f"{name:15s} {seconds[name]:8.2f} s  {seconds[name] / seconds['map']:8.0f} x map"
        if method == "nuts":
            d = fit.diagnostics
            least = d[["ess_bulk", "ess_tail"]].min(axis=None)
            said += f"  least ESS {least:.0f}, {int(d['divergences'].sum())} divergences"
        print(said)


if __name__ == "__main__":
    main()
