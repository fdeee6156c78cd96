"""Simulated cells: counts of donors, and bulks that are what they are said to be."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.errors import InputError
from bayesdecov.simulate import cells

pytest.importorskip("anndata")


def test_content_depth_and_batches():
    cohort = cells(6, 3000, 200, content_sd=0.6, depth=2000, batches=3, n_bulks=3, seed=0)
    obs = cohort.cells.obs
    totals = np.asarray(cohort.cells.X.sum(axis=1)).ravel()
    logs = np.log(totals) - np.log(cohort.content[obs["cell_type"]].to_numpy())
    by_batch = [logs[obs["batch"] == name] for name in obs["batch"].unique()]
    assert all(each.std() < 0.5 for each in by_batch)  # .4 between cells, and counting
    assert len(by_batch) == 3
    assert obs.groupby("donor")["batch"].nunique().eq(1).all()
    assert obs["donor"].nunique() == 6
    assert np.median(totals) == pytest.approx(2000, rel=0.5)


def test_ambient_rna_makes_types_alike():
    pure, dirty = (cells(2, 400, 300, ambient=a, n_bulks=2, seed=1) for a in (0.0, 0.5))

    def spread(cohort):
        types = cohort.cells.obs["cell_type"].to_numpy()
        sums = np.stack([
            np.asarray(cohort.cells.X[types == t].sum(axis=0)).ravel() for t in np.unique(types)
        ])  # fmt: skip
        logs = np.log(sums + 1) - np.log(sums.sum(axis=1, keepdims=True))
        return logs.std(axis=0).mean()

    assert spread(dirty) < 0.75 * spread(pure)


def test_bulks_are_mixtures_by_mrna_times_the_factors_of_the_platform():
    cohort = cells(2, 100, 400, n_bulks=5, donor_sd=0.0, platform_sd=0.8, seed=2)
    q = cohort.proportions * cohort.content
    np.testing.assert_allclose(cohort.mrna_fractions, q.div(q.sum(axis=1), axis=0))
    home = cells(2, 100, 400, n_bulks=5, donor_sd=0.0, platform_sd=0.0, seed=2)
    ratio = np.log(cohort.bulk.div(cohort.bulk.sum()) / home.bulk.div(home.bulk.sum()))
    ratio = ratio.replace([np.inf, -np.inf], np.nan).mean(axis=1).dropna()
    assert np.corrcoef(ratio, np.log(cohort.factors[ratio.index]))[0, 1] > 0.95


@pytest.mark.parametrize("wrong", [
    {"ambient": 1.0}, {"n_donors": 0}, {"n_cells": 1}, {"depth": 0}, {"platform_sd": -1.0},
    {"content_sd": -0.1}, {"batches": 0}, {"lineages": {"a": ["T"]}}, {"n_genes": 20},
])  # fmt: skip
def test_wrong_options(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        cells(**wrong)
