"""Accuracy, honesty and cost of gating: ``python benchmarks/gating.py [DONORS]``.

Accuracy: simulated FCS files (8 colours, spillover, dead cells, debris, doublets) against the cells
that were recorded. Coverage: nominal 95 % intervals against the composition the cells were drawn
from. Cost: CPU time of the k-means against a plain matrix version of the same loop, in one run,
and, where BAYESDECOV_GOLDENS points, of the original's 64,000-event case; its C program took 15.73
CPU seconds with ``-O3 -mavx2`` where the golden numbers were made.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import tempfile
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import bayesdecov as bd
from bayesdecov.gating import read_events
from bayesdecov.gating.dafi import apply
from bayesdecov.gating.files import read_hierarchy
from bayesdecov.gating.initial_centers import start_of
from bayesdecov.gating.kmeans import lloyd

_C_SECONDS = 15.73


def accuracy(donors: int) -> pd.DataFrame:
    rows = []
    cohort = bd.simulate.cytometry(donors, 20_000, seed=11)
    names = {"NK cells": "NK cells and others"}
    with tempfile.TemporaryDirectory() as folder:
        files = cohort.write(folder)
        for init, seeds in (("k-means++", 1), ("k-means++", 5), ("random", 5), ("compat", 1),
                            ("compat", 3), ("compat", 5)):  # fmt: skip
            tree = bd.simulate.blood_hierarchy()
            tree = replace(tree, clustering=replace(tree.clustering, init=init))
            started = time.process_time()
            found = bd.gate(files, tree, seeds=seeds, progress=False)
            seconds = time.process_time() - started
            columns = list(found.proportions)
            truth = cohort.proportions.rename(columns=names)[columns]
            error = (found.proportions - cohort.counted().rename(columns=names)[columns]).abs()
            large = (truth > 0.05).to_numpy()
            table, target = found.intervals(), truth.to_numpy().ravel()
            inside = ((table["low"] <= target) & (target <= table["high"])).to_numpy()
            by_donor = inside.reshape(truth.shape).mean(axis=1)
            rows.append({
                "init": init, "seeds": seeds, "largest error > 5 %": error.to_numpy()[large].max(),
                "within .01": (error.to_numpy()[large] < 0.01).mean(),
                "coverage": inside.mean(), "se": by_donor.std(ddof=1) / np.sqrt(donors),
                "seed sd": found.diagnostics["seed_sd"].mean(),
                "CPU s per file": seconds / donors,
            })  # fmt: skip
    return pd.DataFrame(rows)


def plain(z: np.ndarray, centers: np.ndarray, iterations: int) -> np.ndarray:
    for _ in range(iterations):
        labels = np.concatenate(
            [
                ((part @ centers.T) * -2 + (centers**2).sum(1)).argmin(axis=1)
                for part in np.array_split(z, len(z) // 4096)
            ]
        )
        total = np.stack([np.bincount(labels, column, len(centers)) for column in z.T], axis=1)
        size = np.bincount(labels, minlength=len(centers))[:, None]
        centers = np.where(size > 0, total / np.maximum(size, 1), centers)
    return labels


def kmeans() -> None:
    cohort = bd.simulate.cytometry(3, 20_000, seed=1)
    z = np.concatenate([t.to_numpy()[:, :11] for t in cohort.samples.values()]) / 262144
    start = start_of(z, 500, "compat", 2)
    ours, theirs = [], []
    for _ in range(2):
        for times, run in ((ours, lambda: lloyd(z, start)), (theirs, lambda: plain(z, start, 100))):
            started = time.process_time()
            run()
            times.append(time.process_time() - started)
    print(
        f"k-means, 60,000 events x 11, k = 500: {min(ours):.2f} s, matrix version "
        f"{min(theirs):.2f} s, ratio {min(ours) / min(theirs):.2f}"
    )


def golden(folder: Path) -> None:
    tree = read_hierarchy(folder / "inclusion_PM1_m4.config", folder / "exclusion.config")
    seconds = []
    for _ in range(3):
        started = time.process_time()
        events = read_events(folder / "PATIENT_10_BMA_M1.txt.gz", tree)
        apply(tree, events)
        seconds.append(time.process_time() - started)
    tracemalloc.start()
    events = read_events(folder / "PATIENT_10_BMA_M1.txt.gz", tree)
    apply(tree, events)
    peak = tracemalloc.get_traced_memory()[1] / events.z.nbytes
    print(
        f"64,039 events x 14, 8 gates, k = 500, reading included: {min(seconds):.2f} CPU s "
        f"(ratio to the C program's {_C_SECONDS}: {min(seconds) / _C_SECONDS:.2f}); peak memory "
        f"{peak:.1f} times the event matrix"
    )


def main() -> None:
    goldens = os.environ.get("BAYESDECOV_GOLDENS")
    if goldens and (Path(goldens) / "dafi").is_dir():
        golden(Path(goldens) / "dafi")
    kmeans()
    donors = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    print(accuracy(donors).to_string(index=False, float_format=lambda value: f"{value:.4f}"))


if __name__ == "__main__":
    main()
