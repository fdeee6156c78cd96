"""The commands gate and hierarchy as a stranger uses them."""

from __future__ import annotations

import json

import pytest

import bayesdecov as bd
from bayesdecov.io.tables import read_table
from tests.test_cli import run


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A user's folder: two FCS files, one broken, and a hierarchy."""
    folder = tmp_path_factory.mktemp("user")
    bd.simulate.cytometry(2, 2500, seed=4).write(folder)
    (folder / "broken.fcs").write_bytes(b"FCS3.0")
    bd.gating.write_hierarchy(bd.simulate.blood_hierarchy(k=40), folder / "gates.toml")
    return folder


def test_gate(files, tmp_path):
    out = tmp_path / "out"
    result = run(
        "gate",
        files / "donor01.fcs",
        files / "broken.fcs",
        files / "donor02.fcs",
        "--hierarchy",
        files / "gates.toml",
        "--out",
        out,
        "--seeds",
        "2",
        "--members",
        "csv",
        "--no-progress",
    )
    assert "Gating: 2 samples, 10 populations" in result.stdout
    assert "warning: 1 of 3 files failed" in result.stderr
    assert {path.name for path in out.iterdir()} == {
        "counts.csv", "proportions.csv", "intervals.csv", "populations.csv", "diagnostics.csv",
        "seeds.csv", "failures.csv", "hierarchy.toml", "posterior.nc", "run.json", "plots",
        "members",
    }  # fmt: skip
    assert read_table(out / "proportions.csv").sum(axis=1).round(9).eq(1).all()
    record = json.loads((out / "run.json").read_text())
    assert record["failures"][0]["sample"] == "broken"
    assert set(record["inputs"]) == {"hierarchy", "donor01", "donor02", "broken"}
    python = bd.gate([files / "donor01.fcs"], files / "gates.toml", seeds=2)
    assert (read_table(out / "counts.csv").loc["donor01"] == python.counts.loc["donor01"]).all()


def test_a_folder_and_a_dafi_configuration(files, tmp_path):
    (tmp_path / "in.config").write_text("1\t1\t3\t38\t200\t5\t200\t0\t0\t1\t1\tCells\n")
    (tmp_path / "ex.config").write_text("1\t1\t3\t0\t10\t0\t10\t0\t0\t0\t0\n")
    run(
        "gate",
        files,
        "--hierarchy",
        tmp_path / "in.config",
        "--exclusion",
        tmp_path / "ex.config",
        "--k",
        "30",
        "--out",
        tmp_path / "out",
        "--no-plots",
    )
    assert list(read_table(tmp_path / "out" / "counts.csv").columns) == ["Cells"]
    settings = json.loads((tmp_path / "out" / "run.json").read_text())["settings"]
    assert settings["hierarchy"]["cluster"]["k"] == 30


@pytest.mark.parametrize(("arguments", "said"), [
    (("--k", "5"), "k: must not be used with a .toml hierarchy"),
    (("--seeds", "0"), "seeds: must be a whole number"),
    (("--members", "xlsx"), "members: must be one of"),
    (("--prob", "95"), "prob: must lie between 0 and 1"),
])  # fmt: skip
def test_wrong_options(files, tmp_path, arguments, said):
    result = run(
        "gate",
        files / "donor01.fcs",
        "--hierarchy",
        files / "gates.toml",
        "--out",
        tmp_path / "out",
        *arguments,
        expect=2,
    )
    assert said in result.stderr
    assert result.stderr.count("error:") == 1
    assert not list(tmp_path.iterdir())


def test_nothing_could_be_gated(files, tmp_path):
    result = run(
        "gate",
        files / "broken.fcs",
        "--hierarchy",
        files / "gates.toml",
        "--out",
        tmp_path / "out",
        expect=2,
    )
    assert "none of the files could be gated; found 1; 'broken'" in result.stderr
    assert not list(tmp_path.iterdir())


def test_hierarchy_is_shown_and_converted(files, tmp_path):
    result = run("hierarchy", files / "gates.toml")
    assert "    Leukocytes  [FSC-A, SSC-A]" in result.stdout
    simple = tmp_path / "simple.toml"
    simple.write_text('[[gate]]\nname="a"\nx="FSC-A"\ny="SSC-A"\nbox=[38,200,5,200]\n')
    run("hierarchy", simple, "--out", tmp_path / "a.config", "--columns", "FSC-A,FSC-H,SSC-A")
    assert (tmp_path / "a.config").read_text().startswith("1\t1\t3\t38\t200\t5\t200\t0\t0")
    result = run("hierarchy", tmp_path / "a.config", "--out", tmp_path / "b.toml", "--k", "70")
    assert bd.gating.read_hierarchy(tmp_path / "b.toml").clustering.k == 70
    result = run("hierarchy", simple, "--out", tmp_path / "a.config", expect=2)
    assert "exists" in result.stderr
    (tmp_path / "bad.toml").write_text('[[gate]]\nname="a"\nx="A"\nbox=[0,1,0,1]\n')
    result = run("hierarchy", tmp_path / "bad.toml", expect=2)
    assert "hierarchy, gate 'a', y: is missing" in result.stderr
