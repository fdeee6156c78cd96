"""Runs side by side, in memory and from their folders."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning, InputError
from bayesdecov.io.outputs import whole_folder


@pytest.fixture(scope="module")
def fits():
    cohort = bd.simulate.convolution(n_samples=5, n_genes=60, n_types=3, seed=1)
    reference = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal")
    return [bd.deconvolve(cohort.bulk, reference, m, seed=1) for m in ("map", "laplace", "nnls")]


def test_differences_are_in_the_sd_of_the_best_posterior(fits):
    found = bd.compare(*fits)
    assert found.yardstick == "laplace"
    assert list(found.summary.index) == ["map", "laplace", "nnls"]
    part = found.table[found.table["run"] == "map"].set_index(["sample", "cell_type"])
    yard = fits[1].intervals().set_index(["sample", "cell_type"])
    expected = (part["mean"] - yard["mean"]) / yard["sd"]
    np.testing.assert_allclose(part["difference_in_sd"], expected, rtol=1e-12)
    assert found.summary.loc["laplace", "rms_difference"] == 0
    assert np.isnan(found.summary.loc["nnls", "mean_width"])
    assert "differences from 'laplace'" in str(found)


def test_folders_and_names(fits, tmp_path):
    for name, fit in zip(("one", "two"), fits, strict=False):
        fit.write(tmp_path / name)
    found = bd.compare(tmp_path / "one", tmp_path / "two", ("mine", fits[0]), yardstick="one")
    assert list(found.summary.index) == ["one", "two", "mine"]
    assert found.summary.loc["mine", "largest_difference"] < 1e-12
    found.write(tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "comparison.csv",
        "summary.csv",
        "run.json",
    }
    again = pd.read_csv(tmp_path / "out" / "comparison.csv")
    assert list(again.columns) == list(found.table.columns)


@pytest.mark.filterwarnings("ignore:.*share names")
def test_names_stay_text_in_folders(tmp_path):
    cohort = bd.simulate.convolution(n_samples=3, n_genes=40, cell_types=["1", "02"], seed=1)
    reference = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal")
    bulk = cohort.bulk.set_axis(["007", "NA", "1e5"], axis=1)
    fit = bd.deconvolve(bulk, reference, "laplace", seed=1)
    fit.write(tmp_path / "run")
    found = bd.compare(fit, ("folder", tmp_path / "run"))
    assert set(found.table["sample"]) == {"007", "NA", "1e5"}
    assert found.summary.loc["folder", "largest_difference"] < 1e-12
    bd.report(tmp_path / "run", tmp_path / "report.html")


def test_unlike_runs_are_pointed_out(fits, tmp_path):
    with whole_folder(tmp_path / "half") as folder:
        fits[0].fill(folder, prob=0.5)
    with pytest.warns(BayesdecovWarning, match="intervals of different probability: 0.5, 0.95"):
        found = bd.compare(fits[0], tmp_path / "half")
    assert "0.5, 0.95" in found.notes[0]


def test_two_of_one_name_are_told_apart(fits):
    assert list(bd.compare(fits[0], fits[0]).summary.index) == ["map", "map (2)"]


def test_effects(group_cohort):
    tables = group_cohort.expression, group_cohort.proportions, group_cohort.covariates
    found = bd.compare(bd.fastmix(*tables, "moments"), bd.fastmix(*tables, "map"))
    assert found.yardstick == "map"
    assert found.table["covariate"].nunique() == 7
    assert bd.plots.comparison(found) is not None


def test_what_cannot_be_compared(fits, group_cohort, tmp_path):
    tables = group_cohort.expression, group_cohort.proportions, group_cohort.covariates
    with pytest.raises(InputError, match="needs at least two runs"):
        bd.compare(fits[0])
    with pytest.raises(InputError, match="must all be proportions or all be effects"):
        bd.compare(fits[0], bd.fastmix(*tables, "map"))
    with pytest.raises(InputError, match="must be the folder of a finished run"):
        bd.compare(tmp_path, fits[0])
    with pytest.raises(InputError, match="yardstick: must be one of"):
        bd.compare(fits[0], fits[1], yardstick="truth")
    with pytest.raises(InputError, match="a result of deconvolve, fastmix or gate"):
        bd.compare(fits[0], 3)
