"""Cohorts in folders: found by what lies there, on the types that both sides know."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.benchmarking import Case, benchmark
from bayesdecov.benchmarking.cohorts import cohorts
from bayesdecov.benchmarking.scenarios import simulated

anndata = pytest.importorskip("anndata")


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("BAYESDECOV_DATA", str(tmp_path))
    return tmp_path / "real_cohorts"


@pytest.fixture(scope="module")
def tissue():
    return bd.simulate.tissue(5, 200, replicates=3, seed=1)


def written(tissue, folder, truth=None):
    folder.mkdir(parents=True)
    tissue.bulk.to_csv(folder / "bulk.csv.gz")
    (tissue.proportions if truth is None else truth).to_csv(folder / "truth.csv")


def test_each_kind_of_reference_is_found(tissue, root):
    profiles = tissue.purified.T.groupby(tissue.labels).mean().T
    written(tissue, root / "a")
    profiles.to_csv(root / "a" / "signature.csv")
    written(tissue, root / "b")
    tissue.purified.to_csv(root / "b" / "purified.csv")
    tissue.labels.to_csv(root / "b" / "labels.csv")
    written(tissue, root / "c")
    anndata.AnnData(
        tissue.purified.to_numpy().T,
        pd.DataFrame({"cell_type": tissue.labels.to_numpy()}, tissue.purified.columns),
        pd.DataFrame(index=tissue.purified.index),
    ).write_h5ad(root / "c" / "cells.h5ad")
    (root / "d").mkdir()  # nothing in it
    (root / "a_again").mkdir()  # bulk and truth of a
    profiles.to_csv(root / "a_again" / "signature.csv")
    found = list(cohorts())
    assert [case.level for case in found] == ["a", "a_again", "b", "c"]
    assert [case.purified is None for case in found] == [True, True, False, False]
    for case in found:
        assert case.bulk.shape == (200, 5)
        assert set(case.truth.columns) == set(profiles.columns)


def test_without_a_folder_there_are_none(monkeypatch, tmp_path):
    monkeypatch.delenv("BAYESDECOV_DATA", raising=False)
    assert list(cohorts()) == []
    monkeypatch.setenv("BAYESDECOV_DATA", str(tmp_path))
    assert list(cohorts()) == []


def test_types_without_a_truth_are_left_out_and_the_others_scaled(tissue, root):
    types = list(tissue.proportions.columns)
    truth = tissue.proportions[types[:3]].rename(columns={types[0]: "CD8T"})
    written(tissue, root / "a", truth)
    tissue.purified.to_csv(root / "a" / "purified.csv")
    tissue.labels.to_csv(root / "a" / "labels.csv")
    groups = pd.Series([None] * len(types), types, dtype=object)
    groups.iloc[:3] = ["CD8", types[1], types[2]]
    groups.to_csv(root / "a" / "groups.csv")
    (case,) = cohorts()
    assert case.merge == {types[0]: "CD8T", types[1]: types[1], types[2]: types[2]} | dict.fromkeys(
        types[3:]
    )
    found = benchmark([case], ["map", "laplace", "nnls"], memory=False)
    assert (found.scores["error"] == "").all()
    sums = found.estimates.groupby(["method", "sample"])["estimate"].sum()
    np.testing.assert_allclose(sums, 1)


@pytest.mark.filterwarnings("ignore::bayesdecov.errors.BayesdecovWarning")
def test_a_foreign_reference_is_a_scenario():
    cases = list(simulated("platforms", quick=True, repeats=1))
    assert [case.level for case in cases] == [
        "factors exp(0.6)", "with a background", "by gene and type", "with RNA quality"
    ]  # fmt: skip
    assert all(isinstance(case, Case) for case in cases)
    plain, background, by_type, quality = cases
    pd.testing.assert_frame_equal(plain.purified, background.purified)
    assert (background.bulk.to_numpy() > plain.bulk.to_numpy()).all()
    assert not by_type.purified.equals(plain.purified)
    assert not quality.bulk.equals(plain.bulk)
    found = benchmark([plain], ["map", "map:platform=same"], memory=False).summary()
    assert found.index[0] == "map"
