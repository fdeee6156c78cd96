"""From your own tables to proportions with intervals: python examples/own_tables.py [FOLDER]

FOLDER contains purified.csv (genes x samples), labels.csv (sample, cell_type) and bulk.csv
(genes x samples). Without FOLDER a simulated cohort is used.
"""

import sys
from pathlib import Path

import bayesdecov as bd
from bayesdecov.io.tables import read_labels, read_table

if len(sys.argv) > 1:
    folder = Path(sys.argv[1])
    purified, bulk = read_table(folder / "purified.csv"), read_table(folder / "bulk.csv")
    labels = read_labels(folder / "labels.csv")
else:
    cohort = bd.datasets.load("demo")
    print(cohort.description)
    purified, labels, bulk = cohort.purified, cohort.labels, cohort.bulk

# Mean expression and gene-gene covariance of every cell type.
reference = bd.Reference.from_samples(purified, labels, covariance="factor", genes=300)
print(reference)

# Differences between the maximum of the likelihood and the posterior mean, in posterior sd.
mle = bd.deconvolve(bulk, reference, method="map")
posterior = bd.deconvolve(bulk, reference, method="laplace", seed=1)
print(posterior)
table = posterior.intervals(0.95)
table["mle"] = mle.proportions.to_numpy().ravel()
table["difference_in_sd"] = (table["mle"] - table["mean"]) / table["sd"]
print(table.round(3).head(12).to_string(index=False))

# Samples with profiles that the reference explains worst.
print(posterior.diagnostics.sort_values("misfit", ascending=False).head(3).T.round(3))
