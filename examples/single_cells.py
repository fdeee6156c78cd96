"""From single cells to effects: reference, proportions of cells, contrast, effects, reports.

    python single_cells.py [OUT] [CELLS.h5ad BULK.csv COVARIATES.csv]

Without data of your own it simulates cells of four donors, and bulks of two groups.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import bayesdecov as bd
from bayesdecov.io.tables import read_table


def main(out: str = "single-cells", *given: str) -> None:
    """Cells with the columns cell_type and donor; bulks; a table with a column group."""
    folder = Path(out)
    if given:
        cells, bulk, covariates = given[0], *(read_table(path) for path in given[1:])
    else:
        study = bd.simulate.cells(
            n_donors=4,
            n_cells=1200,
            n_genes=800,
            lineages={"lymphocytes": ["T cell", "B cell"], "myeloid": ["monocyte"]},
            n_bulks=24,
            platform_sd=0.5,
            group_shift=1.5,
            seed=1,
        )
        cells, bulk, covariates = study.cells, study.bulk, study.covariates
    reference = bd.Reference.from_cells(cells, "cell_type", "donor", genes=150)
    print(reference)

    fit = bd.deconvolve(bulk, reference, "laplace", seed=1)
    fit.write(folder / "proportions")
    bd.report(folder / "proportions", folder / "proportions.html")
    print(fit)

    print(bd.contrast(fit, covariates, "~ group", seed=1))

    expression = np.log2(1e6 * bulk / bulk.sum() + 1)
    effects = bd.fastmix(expression, fit, covariates, "joint", seed=1)
    effects.write(folder / "effects")
    bd.report(folder / "effects", folder / "effects.html")
    print(effects)


if __name__ == "__main__":
    main(*sys.argv[1:])
