"""Pack part of the FastMix golden numbers for the tests: python make_fastmix.py GOLDENS

Source: FastMix 0.2.5 in R 4.2.2 on its own simulator's data (400 genes, 50 samples, correlation
.5), with the Monte-Carlo constant replaced by its exact value: the default run, where nothing is
screened in, and the one with the Anderson-Darling screen, where four effects are.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

RUNS = ("default", "test2")


def main(goldens: Path) -> None:
    """Write the npz file beside this script."""
    case = goldens / "fastmix" / "small_cor05_deg"

    def table(name: str) -> np.ndarray:
        return pd.read_csv(case / f"{name}.csv", index_col=0).to_numpy()

    packed = {name: table(f"input/{name}") for name in ("GeneExp", "CellProp", "Demo")}
    for run in RUNS:
        for name in ("fixed_results", "cov", "beta_mat", "eta_stat2_whitened"):
            packed[f"{run}_{name}"] = table(f"{run}/{name}")
    np.savez_compressed(Path(__file__).parent / "fastmix_small.npz", **packed)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
