"""The verb: files in, counts, proportions, draws and failures out."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import flowio
import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning, InputError
from bayesdecov.gating import Box, Clustering, Composition, Gate, Hierarchy
from bayesdecov.gating.fcs import read_raw
from bayesdecov.gating.files import read_hierarchy
from bayesdecov.io.tables import read_table
from bayesdecov.plots.folder import draw
from bayesdecov.simulate.cytometry import PANEL

OTHERS = {"NK cells": "NK cells and others"}
TREE = bd.simulate.blood_hierarchy(k=60)
TWO = Hierarchy(
    (
        Gate("T", "CD3", "CD4", Box(110, 190, 100, 180)),
        Gate("all but T", "CD3", "CD4", Box(0, 110, 0, 200)),
    ),
    clustering=Clustering(k=20),
)


@pytest.fixture(scope="module")
def result(cytometry):
    return bd.gate(cytometry[1], TREE, seeds=3)


def test_proportions_are_the_truth(result, cytometry):
    """Against the cells that were recorded: within .01 for populations above 5 %."""
    cohort, _ = cytometry
    truth = cohort.counted().rename(columns=OTHERS)[list(result.proportions.columns)]
    error = (result.proportions - truth).abs()
    assert error.where(truth > 0.05).max(axis=None) < 0.01
    assert result.proportions.sum(axis=1).to_numpy() == pytest.approx(1)
    assert result.quantity == "fractions of Live"


def test_counts_proportions_and_members_agree(cytometry):
    one = bd.gate(cytometry[1][:2], TREE)
    assert one.counts.to_numpy().dtype.kind == "i"
    counts, types = one.counts, list(TREE.types)
    expected = counts[types].div(counts["Live"], axis=0)
    assert np.allclose(one.proportions[types], expected)
    members = one.members("donor01")
    assert members.shape == (6000, len(TREE.gates))
    assert members.index[0] == 1
    assert (members.sum() == counts.loc["donor01"]).all()
    with pytest.raises(InputError, match=r"gated samples; found 'x'"):
        one.members("x")
    assert any("include only the counting error" in note for note in one.notes)


def test_table(result):
    table = result.table()
    row = table[(table["sample"] == "donor02") & (table["population"] == "CD4 T cells")].iloc[0]
    assert row["path"] == "root/Singlets/Leukocytes/Live/Mononuclear/T cells/CD4 T cells"
    counts = result.counts.loc["donor02"]
    assert row["percent_parent"] == pytest.approx(100 * counts["CD4 T cells"] / counts["T cells"])
    assert row["percent_total"] == pytest.approx(100 * counts["CD4 T cells"] / 6000)
    assert table["count_sd"].ge(0).all()


def test_several_seeds_are_averaged(result, cytometry):
    path = cytometry[1][0]
    alone = [bd.gate(path, TREE, seed=seed) for seed in (2, 3, 4)]
    mean = sum(one.proportions for one in alone) / 3
    assert np.allclose(mean.loc["donor01"], result.proportions.loc["donor01"])
    by_seed = result.by_seed.query("sample == 'donor01' and population == 'Live'")
    assert by_seed["seed"].tolist() == [2, 3, 4]
    assert by_seed["count"].tolist() == [one.counts.loc["donor01", "Live"] for one in alone]
    spread = pd.concat([one.proportions for one in alone]).std().max()
    assert result.diagnostics.loc["donor01", "seed_sd"] == pytest.approx(spread)


def test_intervals_and_arviz_hold_the_same_draws(result):
    table = result.intervals(0.9)
    assert list(table.columns) == ["sample", "cell_type", "mean", "sd", "low", "high", "shared"]
    posterior = result.to_inference_data()["posterior"]["proportions"]
    assert posterior.dims == ("chain", "draw", "sample", "cell_type")
    assert posterior.shape == (1, 1000, 4, 6)
    low = posterior.quantile(0.05, ("chain", "draw"), method="weibull").to_numpy().ravel()
    assert np.allclose(table["low"], low)
    constant = result.to_inference_data()["constant_data"]["counts"]
    assert constant.dims == ("sample", "seed", "population")


def test_workers_change_nothing(result, cytometry):
    again = bd.gate(cytometry[1], TREE, seeds=3, n_jobs=2)
    assert (again.proportions == result.proportions).all(axis=None)
    assert (again.draws.proportions == result.draws.proportions).all()


def test_seeds_spread_the_intervals(blobs):
    """Draws of several seeds have the spread over seeds on top of the counting error."""
    gate = Gate("low", "SSC", "CD3", Box(0, 100, 0, 200))
    tree = Hierarchy((gate,), clustering=Clustering(k=5))
    many = bd.gate({"s": blobs}, tree, seeds=12, draws=6000)
    shares = many.by_seed["count"] / len(blobs)
    assert shares.std() > 0.05
    within = np.mean(shares * (1 - shares) / len(blobs))
    expected = np.sqrt(within + shares.var(ddof=0))
    assert many.intervals()["sd"][0] == pytest.approx(expected, rel=0.05)


def test_files_that_fail_do_not_stop_the_others(cytometry, tmp_path, blobs):
    (tmp_path / "broken.fcs").write_bytes(b"FCS3.0 nothing")
    blobs.to_csv(tmp_path / "table.txt", sep="\t", index=False)
    bad = [tmp_path / name for name in ("broken.fcs", "gone.fcs", "table.txt")]
    with pytest.warns(
        BayesdecovWarning, match="3 of 4 files failed .*: broken: .*; gone: .*; table"
    ):
        found = bd.gate([bad[0], cytometry[1][0], *bad[1:]], TREE)
    assert list(found.counts.index) == ["donor01"]
    assert found.failures["sample"].tolist() == ["broken", "gone", "table"]
    assert "lacks the marker 'FSC-A'" in found.failures["error"][2]
    assert "FAILED: broken, gone, table" in str(found)
    said = r"none of the files could be gated; found 2; 'broken': .*'gone': "
    with pytest.raises(InputError, match=said):
        bd.gate(bad[:2], TREE)


@pytest.mark.real_data
def test_every_file_at_hand_gives_an_answer(real_data):
    """Old, integer, off-standard, corrupt: numbers, a warning or one error, never a traceback."""
    files = sorted((real_data / "fcs").glob("*.fcs"))
    tree = Hierarchy((Gate("big", 1, 2, Box(20, 200, 0, 200), mode="events"),))
    with pytest.warns(BayesdecovWarning):
        found = bd.gate(files, tree)
    assert found.failures["sample"].tolist() == ["corrupted"]
    assert len(found.counts) == len(files) - 1
    said = " ".join(found.notes)
    for name in ("SG_2014-09-26_Duplicate_Names", "data_start_offset", "data_stop_offset"):
        assert name in said


def test_what_files_may_be(cytometry, blobs, tmp_path):
    cohort, paths = cytometry
    folder = bd.gate(paths[0].parent, TREE)
    assert list(folder.counts.index) == sorted(cohort.samples)
    assert list(bd.gate({"mine": str(paths[0])}, TREE).counts.index) == ["mine"]
    for plate in ("p1", "p2"):
        (tmp_path / plate).mkdir()
        blobs.to_csv(tmp_path / plate / "A01.txt", sep="\t", index=False)
    both = bd.gate([tmp_path / plate / "A01.txt" for plate in ("p1", "p2")], TWO)
    assert list(both.counts.index) == ["p1_A01", "p2_A01"]


@pytest.mark.parametrize(("files", "said"), [
    ([], "at least one file"), ({}, "at least one file"), (5, "must be paths"),
    ([1, 2], "must be paths"), (pd.DataFrame(), "must give a sample name"),
    (["a.fcs", "a.fcs"], "each be given once; found a.fcs twice"),
    ({"a": 5}, r"files\['a'\]: must be a path or a table"), ({1: "a", "1": "b"}, "unique as text"),
])  # fmt: skip
def test_bad_files(files, said):
    with pytest.raises(InputError, match=said):
        bd.gate(files, TWO)


def test_bad_options(blobs, tmp_path):
    for options, said in (({"seeds": 0}, "seeds"), ({"draws": 1}, "draws"), ({"seed": -1}, "seed")):
        with pytest.raises(InputError, match=said):
            bd.gate({"s": blobs}, TWO, **options)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"contains no .fcs files"):
        bd.gate(tmp_path / "empty", TWO)


def test_overlap_outside_and_empty_denominators_are_said(blobs):
    wide = Gate("wide", "CD3", "CD4", Box(0, 200, 0, 200), mode="events")
    half = Gate("half", "CD3", "CD4", Box(0, 110, 0, 200), mode="events")
    none = Gate("none", "CD3", "CD4", Box(199, 200, 0, 1), mode="events")
    tree = Hierarchy((wide, half), composition=Composition(types=("wide", "half")))
    with pytest.warns(BayesdecovWarning, match="types overlap: in s events"):
        found = bd.gate({"s": blobs}, tree)
    assert found.diagnostics.loc["s", "overlap"] == 700
    assert found.proportions.loc["s"].tolist() == [1.0, 0.7, 0.0]
    inside = replace(tree, composition=Composition("half", ("wide",)))
    with pytest.warns(BayesdecovWarning, match="not in 'half'; only events in it are counted"):
        found = bd.gate({"s": blobs}, inside)
    assert found.proportions.loc["s", "wide"] == 1.0
    empty = Hierarchy((wide, half, none), composition=Composition("none", ("half",)))
    with (
        pytest.warns(BayesdecovWarning, match="no events in 'none', so no proportions: s"),
        pytest.warns(BayesdecovWarning, match="the gate 'none' keeps nothing in s"),
        pytest.warns(BayesdecovWarning, match="not in 'none'"),
    ):
        found = bd.gate({"s": blobs}, empty)
    assert found.proportions.isna().all(axis=None)
    assert found.intervals()["low"].isna().all()


def test_folder_of_results(result, tmp_path):
    result.write(tmp_path / "out", members="parquet")
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "counts.csv", "proportions.csv", "intervals.csv", "populations.csv", "diagnostics.csv",
        "seeds.csv", "hierarchy.toml", "posterior.nc", "members", "run.json",
    }  # fmt: skip
    assert read_table(out / "counts.csv").index.name == "sample"
    assert np.allclose(read_table(out / "proportions.csv"), result.proportions)
    assert read_hierarchy(out / "hierarchy.toml") == TREE
    record = json.loads((out / "run.json").read_text())
    assert record["command"] == "gate"
    assert len(record["inputs"]["donor01"]["sha256"]) == 64
    members = pd.read_parquet(out / "members" / "donor01.parquet")
    assert (members.to_numpy() == result.members("donor01").to_numpy()).all()
    draw(result, tmp_path / "plots")
    assert len(list((tmp_path / "plots").iterdir())) == 4 + len(TREE.gates) + 1


def test_members_as_parameters_of_an_fcs_file(cytometry, tmp_path):
    path = cytometry[1][0]
    found = bd.gate(path, TREE)
    found.write(tmp_path / "out", members="fcs")
    again = read_raw(tmp_path / "out" / "members" / "donor01.fcs")
    before = read_raw(path)
    assert (again.values[:, :12] == before.values).all()
    assert again.channels[:12] == before.channels
    assert again.keywords["spillover"] == before.keywords["spillover"]
    assert again.keywords["cyt"] == "simulated"
    assert [c.top for c in again.channels[12:]] == [2.0] * len(TREE.gates)
    assert [c.name for c in again.channels[12:]] == TREE.names
    assert (again.values[:, 12:] == found.members("donor01").to_numpy()).all()
    repeat = bd.gate(
        tmp_path / "out" / "members" / "donor01.fcs",
        replace(
            TREE,
            clustering=replace(
                TREE.clustering, columns=tuple(c.name for c in before.channels if c.kind != "time")
            ),
        ),
    )
    assert repeat.counts.loc["donor01"].tolist() == found.counts.loc["donor01"].tolist()


def test_what_cannot_be_written(blobs, tmp_path):
    found = bd.gate({"s": blobs}, TWO)
    with pytest.raises(InputError, match="no FCS file for s"):
        found.write(tmp_path / "out", members="fcs")
    with pytest.raises(InputError, match="members: must be one of"):
        found.write(tmp_path / "out", members="xlsx")
    assert not list(tmp_path.iterdir())


def test_names_that_are_no_file_names(blobs, tmp_path):
    tree = replace(TWO, gates=(replace(TWO.gates[0], name="CD3+/CD4 T$"),))
    gated = bd.gate({"a/b": blobs}, tree)
    gated.write(tmp_path / "out", members="csv")
    draw(gated, tmp_path / "out" / "plots")
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {"sample-a_b.png", "gate-CD3+_CD4_T_.png", "a_b.csv"} <= names


def test_fastmix_takes_a_gating(result):
    """The next stage: proportions from flow cytometry, expression of the same donors."""
    rng = np.random.default_rng(1)
    n = 24
    P = pd.DataFrame(
        rng.dirichlet([20, 8, 6, 4], n),
        [f"s{i}" for i in range(n)],
        ["Neutrophils", "CD4 T cells", "B cells", "Monocytes"],
    )
    cohort = bd.simulate.cytometry(proportions=P, n_events=3000, seed=2)
    gated = bd.gate(
        {name: table.drop(columns="Time") for name, table in _linear(cohort).items()}, _by_events()
    )
    expression = pd.DataFrame(rng.normal(size=(80, n)), columns=P.index)
    group = pd.DataFrame({"group": np.repeat(["a", "b"], n // 2)}, index=P.index)
    fit = bd.fastmix(expression, gated, group, "map", design=bd.DesignOptions(rest="rest"))
    assert any(name.startswith("Neutrophils") for name in fit.fixed.index)


def _linear(cohort):
    """Compensated events on a linear scale, as somebody's own preparation may give them."""
    inverse = np.linalg.inv(cohort.spillover.to_numpy())
    tables = {}
    for name, events in cohort.samples.items():
        light = events[cohort.spillover.columns] @ inverse
        light.columns = list(PANEL.values())
        tables[name] = pd.concat([events[["FSC-A", "Time"]], light], axis=1)
    return tables


def _by_events():
    box, inf = Box, np.inf
    gates = (
        Gate("Neutrophils", "CD66", "CD3", box(8000, inf, -inf, 8000), mode="events"),
        Gate("CD4 T cells", "CD3", "CD4", box(8000, inf, 8000, inf), mode="events"),
    )
    return Hierarchy(gates, scale="raw")


def test_the_unexpected_is_one_line_too(blobs, monkeypatch):
    """A defect inside of a file's worker fails that file, not the batch."""
    from bayesdecov.gating import sample

    apply = sample.apply

    def broken(hierarchy, events, seed):
        if events.name == "bad":
            raise RuntimeError("boom")
        return apply(hierarchy, events, seed)

    monkeypatch.setattr(sample, "apply", broken)
    with pytest.warns(BayesdecovWarning, match="1 of 2 files failed"):
        found = bd.gate({"good": blobs, "bad": blobs}, TWO)
    assert found.failures["error"].tolist() == ["unexpected RuntimeError: boom"]


def test_missing_values_everywhere(tmp_path):
    with (tmp_path / "odd.fcs").open("wb") as handle:
        flowio.create_fcs(handle, [float("nan")] * 200, ["FSC-A", "SSC-A"], None, {})
    tree = Hierarchy((Gate("a", "FSC-A", "SSC-A", Box(0, 1, 0, 1)),))
    with pytest.raises(InputError, match="without missing values"):
        bd.gate(tmp_path / "odd.fcs", tree)


@pytest.mark.calibration
def test_intervals_cover(tmp_path):
    """Nominal .95 over 150 donors: counting error alone, and with the original's starts."""
    cohort = bd.simulate.cytometry(150, 4000, seed=21)
    paths = cohort.write(tmp_path)
    truth = cohort.proportions.rename(columns=OTHERS)
    for tree, seeds in ((TREE, 1), (TREE, 3)):
        found = bd.gate(paths, tree, seeds=seeds, n_jobs=2)
        table = found.intervals()
        target = truth[list(found.proportions.columns)].to_numpy().ravel()
        coverage = ((table["low"] <= target) & (target <= table["high"])).mean()
        assert 0.90 < coverage < 0.99


def test_many_types(blobs):
    """More types than an integer has bits."""
    edges = np.linspace(0, 200, 71)
    gates = tuple(
        Gate(f"p{i}", "SSC", "CD3", Box(low, high - 1e-9, 0, 200), mode="events")
        for i, (low, high) in enumerate(itertools.pairwise(edges))
    )
    found = bd.gate({"s": blobs}, Hierarchy(gates))
    assert np.allclose(found.proportions.loc["s"][:70], found.counts.loc["s"] / 1000)
    assert found.proportions.loc["s"].sum() == pytest.approx(1)


def test_no_two_samples_share_a_file(blobs, tmp_path):
    names = ["a b", "a_b", "A_B", "x" * 300]
    gated = bd.gate(dict.fromkeys(names, blobs), TWO)
    gated.write(tmp_path / "out", members="csv")
    assert len(list((tmp_path / "out" / "members").iterdir())) == 4
    draw(gated, tmp_path / "plots")
    assert len(list((tmp_path / "plots").glob("sample-*.png"))) == 4


def test_draws_do_not_depend_on_the_other_files(cytometry, tmp_path):
    (tmp_path / "broken.fcs").write_bytes(b"")
    both = bd.gate(cytometry[1][:2], TREE)
    with pytest.warns(BayesdecovWarning, match="1 of 2 files failed"):
        one = bd.gate([tmp_path / "broken.fcs", cytometry[1][1]], TREE)
    assert (one.draws.proportions[0] == both.draws.proportions[1]).all()


def test_seeds_without_a_denominator_are_left_out(blobs):
    """Two clusters of noise: with some seeds neither centroid lies in the narrow gate."""
    gates = (
        Gate("narrow", "SSC", "SSC", Box(95, 105, 0, 200)),
        Gate("half", "CD3", "CD4", Box(0, 110, 0, 200), "narrow", mode="events"),
    )
    tree = Hierarchy(gates, clustering=Clustering(k=6), composition=Composition("narrow"))
    with pytest.warns(BayesdecovWarning, match="with some seeds there are no events in 'narrow'"):
        found = bd.gate({"s": blobs}, tree, seeds=12)
    totals = found.by_seed.query("population == 'narrow'")["count"]
    assert 0 < (totals == 0).sum() < 12
    assert found.proportions.notna().all(axis=None)
    assert found.intervals().notna().all(axis=None)


def test_report_and_comparison_of_a_run_with_an_empty_sample(blobs, tmp_path):
    far = blobs.assign(CD3=4000.0)
    gates = (
        Gate("all cells", "CD3", "CD4", Box(0, 190, 0, 200), mode="events"),
        Gate("T", "CD3", "CD4", Box(110, 190, 100, 180), "all cells", mode="events"),
    )
    tree = Hierarchy(gates, composition=Composition("all cells"))
    with pytest.warns(BayesdecovWarning, match="no events in 'all cells'"):
        found = bd.gate({"s": blobs, "far": far}, tree)
    found.write(tmp_path / "run")
    page = bd.report(tmp_path / "run", tmp_path / "r.html").read_text()
    assert "no events of the denominator: 1 (far)" in page
    assert len(bd.compare(tmp_path / "run", ("again", found)).summary) == 2


def test_values_off_the_scale_are_said(blobs):
    with (
        pytest.warns(BayesdecovWarning, match="far beyond the full scale of 4095: CD3"),
        pytest.warns(BayesdecovWarning, match="keeps nothing"),
    ):
        bd.gate({"s": blobs * 64}, replace(TWO, gates=TWO.gates[:1]))


def test_a_missing_table_of_compensation_is_no_failure_of_a_file(cytometry):
    tree = replace(TREE, reading=bd.gating.Reading(compensate="nowhere.csv"))
    with pytest.raises(InputError, match=r"read\.compensate: the file 'nowhere.csv' does not"):
        bd.gate(cytometry[1], tree)
