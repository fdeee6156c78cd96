"""A cohort on a Dask cluster, streamed to disk: python examples/cluster.py [FOLDER]

Here the cluster is two local processes. For your cluster, change two lines: the creation of the
cluster (`dask_jobqueue.SLURMCluster(...)`, `Client("scheduler:8786")`, ...), and the path of the
cohort (an .h5ad is read shard by shard). Results are identical, byte by byte, on all systems, and
the same call resumes a run that was killed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import joblib
import pandas as pd
from distributed import Client, LocalCluster

import bayesdecov as bd
from bayesdecov.deconvolution.streaming import deconvolve_to


def main(folder: Path) -> None:
    """Deconvolve a simulated cohort into ``folder`` and read it back."""
    tissue = bd.simulate.tissue(200, 600, seed=1)
    reference = bd.Reference.from_samples(tissue.purified, tissue.labels, "diagonal", genes=100)
    cohort = tissue.bulk  # or "cohort.h5ad"
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
        joblib.parallel_config("dask"),
    ):
        run = deconvolve_to(
            folder / "run", cohort, reference, "map", seed=1, n_jobs=-1, shard_size=100, force=True
        )
    proportions = pd.read_csv(run / "proportions.csv", index_col="sample")
    error = (proportions - tissue.proportions[proportions.columns]).abs().mean(axis=None)
    print(f"{len(proportions)} samples in {run}, mean absolute error {error:.3f}")


if __name__ == "__main__":  # workers are processes that read this file
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp()))
