"""From FCS files to the genes that respond in one cell type: gate, then fastmix.

A hundred simulated donors, half of them treated. Their blood is measured by flow cytometry (eight
colours, spillover, dead cells, doublets), and its expression is measured. The true composition is
known only to the simulation; the analysis starts from the files.

Run it from anywhere: ``python examples/flow_cytometry.py [DONORS]`` (a minute or two for 100).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import bayesdecov as bd

CELLS = {"Cell1": "Neutrophils", "Cell2": "CD4 T cells", "Cell3": "B cells"}


def main(donors: int) -> None:
    # The truth: expression of three measured cell types, and genes that respond in two of them.
    cohort = bd.simulate.fastmix("III", "code", n_genes=1000, n_samples=donors, seed=4)
    blood = bd.simulate.cytometry(
        proportions=cohort.proportions.rename(columns=CELLS), n_events=10_000, seed=4
    )
    with tempfile.TemporaryDirectory() as folder:
        files = blood.write(folder)  # one FCS file per donor, with its spillover matrix
        print(f"{len(files)} FCS files, e.g. {Path(files[0]).name}")

        # 1. Gate them. The hierarchy can also be a file: bd.gate(files, "gating.toml").
        hierarchy = bd.simulate.blood_hierarchy()
        print(hierarchy)
        gated = bd.gate(files, hierarchy, seeds=3, n_jobs=-1)
    print(gated)
    measured = gated.proportions[list(CELLS.values())]
    error = (measured - blood.proportions[measured.columns]).abs()
    print(f"largest error of a proportion: {error.max(axis=None):.3f}")
    print(gated.intervals().head(3).round(4).to_string(index=False))

    # 2. Cell-type-specific differential expression on the measured proportions.
    truth = bd.fastmix(
        cohort.expression, blood.proportions[measured.columns], cohort.covariates, "mixture"
    )
    effects = bd.fastmix(cohort.expression, measured, cohort.covariates, "mixture")
    for cell, simulated in (("Neutrophils", "Cell1"), ("CD4 T cells", "Cell2")):
        name = f"{cell}.Group"
        real = cohort.differential[f"{simulated}.Group"]
        for title, fit in (("gated", effects), ("true", truth)):
            table = fit.genes.query("covariate == @name").set_index("gene")
            called = table.index[table["q_value"] < 0.05]
            hits = int(real[called].sum())
            print(
                f"{name}, {title} proportions: {len(called)} genes called, {hits} of "
                f"{int(real.sum())} that respond"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
