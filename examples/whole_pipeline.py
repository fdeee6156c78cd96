"""From purified cells to genes that respond, with uncertainty propagated between steps.

    python examples/whole_pipeline.py [FOLDER] [SAMPLES]

Simulated blood of 8 purified and 60 bulk donors: in half of the bulks monocytes are more frequent,
and a tenth of the genes are twice as high in B cells. The later steps use only the results of the
earlier ones.

1. reference: means and covariances of the cell types, whole donors known
2. doctor: can these data answer the question?
3. proportions with a posterior, intervals calibrated on donors that are not in the reference
4. contrast: do proportions differ?
5. fastmix: which genes respond in which cell type, with errors of the proportions propagated
6. reports
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

import bayesdecov as bd
from bayesdecov.doctor import examine_bulk, examine_cohort

LINEAGES = {"lymphocytes": ["B cell", "T cell"], "myeloid": ["monocyte"], "other": ["NK cell"]}


def simulated(n: int):
    """Bulks, purified samples with labels and donors, covariates, the truly responding genes."""
    rng = np.random.default_rng(1)
    group = pd.Categorical(np.repeat(["control", "case"], n // 2), ["control", "case"])
    shares = np.exp(np.log([0.15, 0.4, 0.25, 0.2]) + 0.35 * rng.normal(size=(n, 4)))
    shares[n // 2 :, 2] *= 1.8
    data = bd.simulate.tissue(
        n_genes=1200,
        lineages=LINEAGES,
        replicates=8,
        donor_sd=0.25,
        sibling_fold=6.0,
        proportions=shares,
        seed=1,
    )
    covariates = pd.DataFrame({"group": group}, index=data.bulk.columns)
    # a change in one cell type contributes in proportion to its share of each bulk
    of_type = data.purified.loc[:, data.labels == "B cell"].mean(axis=1)
    of_type /= of_type.sum()
    reacting = of_type[of_type > of_type.median()].sample(frac=0.2, random_state=1).index
    extra = np.outer(of_type[reacting], data.proportions["B cell"] * data.bulk.sum())
    bulk = data.bulk.copy()
    bulk.loc[reacting] += rng.poisson(extra) * (covariates["group"] == "case").to_numpy()
    return bulk, data, covariates, reacting


def main(folder: Path, n: int) -> None:
    """Run all steps with ``n`` samples and write the results to ``folder``."""
    bulk, data, covariates, reacting = simulated(n)
    reference = bd.Reference.from_samples(
        data.purified, data.labels, "factor", genes=150, donors=data.donors
    )
    print(examine_bulk(bulk, reference), "\n")

    fit = bd.deconvolve(
        bulk, reference, "laplace", seed=1, calibrate=True, sampling=bd.Sampling(max_pareto_k=1.0)
    )
    print(fit, "\n")
    fit.write(folder / "proportions", force=True)

    found = bd.contrast(fit, covariates, "~ group", rope=1.0, seed=1)
    print(found.table[["cell_type", "difference", "low", "high", "lfsr"]].round(3), "\n")
    found.write(folder / "contrast", force=True)

    print(examine_cohort(fit, covariates), "\n")
    expression = bulk / bulk.sum() * 1e6  # linear: effects of cell types are additive
    expression = np.sqrt(expression[expression.mean(axis=1) > 20])  # and variances are stable
    effects = bd.fastmix(expression, fit, covariates, "joint")
    print(effects, "\n")
    effects.write(folder / "effects", force=True)
    plain = bd.fastmix(expression, fit.proportions, covariates, "mixture")
    columns = [name for name in effects.random if name.startswith("B cell.")]
    for name, de in (
        ("errors of proportions propagated", effects),
        ("proportions as exact", plain),
    ):
        called = de.q_values.index[de.q_values[columns[0]] < 0.05]
        right = called.isin(reacting).sum()
        print(
            f"B cells, {name}: {len(called)} genes called, {right} of which truly respond "
            f"(of {expression.index.isin(reacting).sum()})"
        )

    bd.report(fit, folder / "proportions.html", force=True)
    bd.report(effects, folder / "effects.html", force=True)
    print(f"\nwritten: {folder}")


if __name__ == "__main__":
    given = dict(enumerate(sys.argv[1:]))
    main(Path(given.get(0, "pipeline")), int(given.get(1, 60)))
