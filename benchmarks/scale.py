"""Time, memory and identity of large runs: python benchmarks/scale.py [deconvolve|fastmix|same]

* ``deconvolve``: N bulks x 5,000 genes x 10 cell types, MAP + Laplace (1,000 draws), ``factor``
  reference of 100 replicates, streamed to disk: seconds, peak memory, bytes written, for several N.
* ``fastmix``: 60,000 genes x 2,000 samples, single precision in an .h5ad: seconds and peak memory.
* ``same``: digests of all results for 1, 2 and 4 workers, shards of 128 and 1,024 samples, and a
  Dask cluster of two processes.

Every measurement is a process of its own, so that peaks are its own. Ratios are to one dense matrix
product of the data with as many columns (the floor for reading them once).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

_TYPES, _GENES, _DONORS = 10, 5000, 10


def cohort(n: int, genes: int, noise: str) -> tuple[pd.DataFrame, object]:
    """Bulks per million and a reference of all genes."""
    import bayesdecov as bd

    tree = {f"lineage{j}": (f"type{j}",) for j in range(_TYPES)}
    data = bd.simulate.tissue(n, genes, tree, replicates=_DONORS, depth=1e7, seed=1)
    purified = data.purified if noise == "counting" else data.purified / data.purified.sum() * 1e6
    bulk = data.bulk if noise == "counting" else data.bulk / data.bulk.sum() * 1e6
    reference = bd.Reference.from_samples(purified, data.labels, "factor", genes=None)
    return bulk, reference


def stored(n: int, noise: str, place: str) -> dict[str, int]:
    """The same in files."""
    import anndata

    bulk, reference = cohort(n, _GENES, noise)
    names = pd.DataFrame(index=bulk.columns), pd.DataFrame(index=bulk.index)
    anndata.AnnData(bulk.to_numpy().T, *names).write_h5ad(f"{place}/bulk.h5ad")
    reference.save(f"{place}/reference.nc")
    return {"samples": n}


def megabytes(place: str = "/proc/self/status") -> float:
    """Peak of a process (``ru_maxrss`` would start at that of the process that forked it)."""
    status = Path(place)
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


class Workers:
    """Watches the largest peak among the processes that this one has started."""

    def __enter__(self) -> Workers:
        self.peak, self._done = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        children = Path(f"/proc/self/task/{os.getpid()}/children")
        while not self._done.wait(0.5) and children.exists():
            for number in children.read_text().split():
                with contextlib.suppress(OSError, StopIteration):  # it has just ended
                    self.peak = max(self.peak, megabytes(f"/proc/{number}/status"))


def deconvolve(n: int, jobs: int, noise: str) -> dict[str, float]:
    import bayesdecov as bd
    from bayesdecov.deconvolution.streaming import deconvolve_to

    with tempfile.TemporaryDirectory() as place:
        _alone(["one-cohort", str(n), noise, place])  # so that its memory is not counted
        reference = bd.Reference.load(f"{place}/reference.nc")
        before = megabytes()
        started = time.perf_counter()
        with Workers() as workers:
            out = deconvolve_to(
                f"{place}/run",
                f"{place}/bulk.h5ad",
                reference,
                "laplace",
                seed=1,
                n_jobs=jobs,
                noise=noise,
                progress=False,
                sampling=bd.Sampling(max_pareto_k=np.inf),
            )
        seconds = time.perf_counter() - started
        written = sum(path.stat().st_size for path in out.iterdir()) / 1e6
    peak = megabytes()
    bulk = np.random.default_rng(0).random((n, _GENES))
    started = time.perf_counter()
    bulk @ reference.mean.to_numpy()
    floor = time.perf_counter() - started
    return {"samples": n, "workers": jobs, "seconds": round(seconds, 1),
            "peak MB": round(peak), "before MB": round(before),
            "worker MB": round(workers.peak), "written MB": round(written),
            "times one matrix product": round(seconds / floor)}  # fmt: skip


def fastmix() -> list[dict[str, object]]:
    import anndata

    import bayesdecov as bd

    small = bd.simulate.fastmix("III", n_genes=3000, n_samples=2000, seed=1)
    rng = np.random.default_rng(0)
    X = np.tile(small.expression.to_numpy(dtype=np.float32).T, (1, 20))
    X += rng.normal(0, 0.01, X.shape).astype(np.float32)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "expression.h5ad"
        names = pd.DataFrame(index=[f"gene{i}" for i in range(X.shape[1])])
        anndata.AnnData(X, pd.DataFrame(index=small.expression.columns), names).write_h5ad(path)
        small.proportions.to_csv(Path(place) / "p.csv")
        small.covariates.to_csv(Path(place) / "c.csv")
        for method in ("moments", "map"):
            rows.append(_alone(["one-fastmix", place, method]))
    return rows


def one_fastmix(place: str, method: str) -> dict[str, object]:
    import bayesdecov as bd

    P, C = (pd.read_csv(Path(place) / name, index_col=0) for name in ("p.csv", "c.csv"))
    started = time.perf_counter()
    fit = bd.fastmix(Path(place) / "expression.h5ad", P, C, method)
    genes = len(fit.genes)
    return {
        "method": method,
        "rows": genes,
        "seconds": round(time.perf_counter() - started, 1),
        "peak MB": round(megabytes()),
    }


def digest(jobs: str, shard: int) -> str:
    """Digest of the tables of a run of 256 samples; ``jobs`` may be "dask"."""
    import joblib
    import xarray as xr

    import bayesdecov as bd
    from bayesdecov.deconvolution.streaming import deconvolve_to

    bulk, reference = cohort(256, 1000, "none")

    def run(n_jobs: int) -> str:
        with tempfile.TemporaryDirectory() as place:
            out = deconvolve_to(
                f"{place}/run",
                bulk,
                reference,
                "laplace",
                seed=1,
                n_jobs=n_jobs,
                noise="none",
                shard_size=shard,
                progress=False,
                sampling=bd.Sampling(max_pareto_k=np.inf),
            )
            found = hashlib.sha256()
            for name in ("proportions.csv", "intervals.csv", "diagnostics.csv"):
                found.update((out / name).read_bytes())
            with xr.open_datatree(out / "posterior.nc", engine="h5netcdf") as tree:
                found.update(tree["posterior/proportions"].to_numpy().tobytes())
            return found.hexdigest()

    if jobs != "dask":
        return run(int(jobs))
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
        joblib.parallel_config("dask"),
    ):
        return run(-1)


def _alone(arguments: list[str]) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, __file__, *arguments], capture_output=True, text=True, check=True
    )
    result: dict[str, object] = json.loads(done.stdout.strip().split("\n")[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", nargs="?", default="all")
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--samples", nargs="+", type=int, default=[250, 500, 1000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--noise", default="none", choices=["none", "counting"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.what == "one-deconvolve":
        n, jobs, noise = options.rest
        print(json.dumps(deconvolve(int(n), int(jobs), noise)))
        return
    if options.what == "one-cohort":
        print(json.dumps(stored(int(options.rest[0]), *options.rest[1:])))
        return
    if options.what == "one-fastmix":
        print(json.dumps(one_fastmix(*options.rest)))
        return
    if options.what == "one-digest":
        print(json.dumps({"digest": digest(options.rest[0], int(options.rest[1]))}))
        return
    tables = {}
    if options.what in ("all", "same"):
        rows = [{"workers": jobs, "shard": shard, **_alone(["one-digest", jobs, str(shard)])}
                for jobs, shard in (("1", 1024), ("2", 1024), ("4", 1024), ("2", 128),
                                    ("dask", 1024))]  # fmt: skip
        tables["same"] = pd.DataFrame(rows)
        print(tables["same"].to_string(), "\nidentical:", len(set(tables["same"]["digest"])) == 1)
    if options.what in ("all", "fastmix"):
        tables["fastmix"] = pd.DataFrame(fastmix())
        print(tables["fastmix"].to_string(), flush=True)
    if options.what in ("all", "deconvolve"):
        rows = []
        for n in options.samples:
            rows.append(_alone(["one-deconvolve", str(n), str(options.workers), options.noise]))
            print(rows[-1], flush=True)
        tables["deconvolve"] = pd.DataFrame(rows)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            table.to_csv(options.out / f"scale-{name}.csv", index=False)


if __name__ == "__main__":
    main()
