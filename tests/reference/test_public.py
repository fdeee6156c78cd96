"""Published signatures by name: listed, checked, licensed; no network in tests."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pandas as pd
import pytest
from typer.testing import CliRunner

import bayesdecov as bd
from bayesdecov.cli import app
from bayesdecov.errors import InputError
from bayesdecov.reference import public
from bayesdecov.reference.public import PUBLISHED, mrna_per_cell, reference, references


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A signature of our own under a published name."""
    cohort = bd.simulate.convolution(n_samples=4, n_genes=60, n_types=3, seed=1)
    table = cohort.purified.T.groupby(cohort.labels).mean().T
    folder = tmp_path / public.FOLDER
    folder.mkdir()
    table.to_csv(folder / "mine.txt", sep="\t")
    sha256 = hashlib.sha256((folder / "mine.txt").read_bytes()).hexdigest()
    (folder / "cells.txt").write_text("type1\t2.5\ntype2\t1\n")
    cells = hashlib.sha256((folder / "cells.txt").read_bytes()).hexdigest()
    made = replace(
        PUBLISHED["til10"],
        licence="CC-BY-4.0",
        file=public.PublicFile(public.FOLDER, "mine.txt", "https://nowhere/mine.txt", sha256),
        mrna_per_cell=public.PublicFile(public.FOLDER, "cells.txt", "https://nowhere/c", cells),
    )
    monkeypatch.setitem(PUBLISHED, "til10", made)
    monkeypatch.setenv("BAYESDECOV_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    cohort.bulk.to_csv(tmp_path / "bulk.csv", index_label="gene")
    return cohort, table, folder


def test_all_are_listed_with_licence_and_source():
    table = references()
    assert list(table.index) == list(PUBLISHED)
    assert table["source"].str.contains("doi:10").all()
    assert (table["licence"].str.len() > 2).all()
    for each in PUBLISHED.values():
        assert each.file.address.startswith("https://")
        assert len(each.file.sha256) == 64
    assert bd.datasets.references is references


def test_a_name_gives_the_signature(mine):
    cohort, table, _ = mine
    assert references().loc["til10", "offline"]
    made = reference("til10")
    pd.testing.assert_frame_equal(
        made.mean, bd.Reference.from_signature(table).mean, check_names=False
    )
    assert made.settings["licence"] == "CC-BY-4.0"
    assert "CC-BY-4.0" in made.notes[0]
    fit = bd.deconvolve(cohort.bulk, "til10")
    same = bd.deconvolve(cohort.bulk, table)
    pd.testing.assert_frame_equal(fit.proportions, same.proportions)
    assert any("CC-BY-4.0" in note for note in fit.notes)
    assert fit.record()["settings"]["reference"]["source"].startswith("Finotello")


def test_a_saved_reference_keeps_its_licence(mine, tmp_path):
    reference("til10").save(tmp_path / "kept.nc")
    again = bd.Reference.load(tmp_path / "kept.nc")
    assert again.settings["licence"] == "CC-BY-4.0"
    fit = bd.deconvolve(mine[0].bulk, again)
    assert any("CC-BY-4.0" in note for note in fit.notes)


def test_mrna_per_cell(mine):
    assert mrna_per_cell("til10").to_dict() == {"type1": 2.5, "type2": 1.0}
    with pytest.raises(InputError, match="must be one of 'til10'"):
        mrna_per_cell("abis")


def test_another_file_is_refused(mine):
    (mine[2] / "mine.txt").write_text("gene\ta\tb\nx\t1\t2\n")
    with pytest.raises(InputError, match="is not the published file"):
        reference("til10")


def test_without_a_network(monkeypatch):
    monkeypatch.delenv("BAYESDECOV_DATA", raising=False)

    def retrieve(*args, **options):
        raise OSError("no route to host")

    import pooch

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(InputError, match=r"could not be downloaded.*no route to host"):
        reference("abis")


def test_unknown_names(mine):
    with pytest.raises(InputError, match="must be one of 'abis'"):
        reference("lm22")
    with pytest.raises(InputError, match="does not exist"):
        bd.deconvolve(mine[0].bulk, "lm22")


def test_commands(mine):
    runner = CliRunner()
    said = runner.invoke(app, ["references"])
    assert said.exit_code == 0
    assert "CC-BY-4.0" in said.stdout
    done = runner.invoke(
        app, ["deconvolve", "bulk.csv", "--reference", "til10", "--out", "o", "--no-plots"]
    )
    assert done.exit_code == 0, done.output + done.stderr
    record = (mine[2].parent / "o" / "run.json").read_text("utf-8")
    assert "CC-BY-4.0" in record
    assert "doi:10.1186" in record
    done = runner.invoke(app, ["doctor", "bulk.csv", "--reference", "til10"])
    assert done.exit_code == 0, done.output + done.stderr
    done = runner.invoke(app, ["deconvolve", "bulk.csv", "--reference", "lm22", "--out", "p"])
    assert done.exit_code == 2
    assert "lm22" in done.stderr


def test_a_file_is_a_file(mine):
    _, table, _ = mine
    table.iloc[:50].to_csv("til10.csv")
    done = CliRunner().invoke(
        app, ["deconvolve", "bulk.csv", "--reference", "til10.csv", "--out", "o", "--no-plots"]
    )
    assert done.exit_code == 0, done.output + done.stderr
    assert "CC-BY-4.0" not in (mine[2].parent / "o" / "run.json").read_text("utf-8")


@pytest.mark.real_data
@pytest.mark.parametrize("name", list(PUBLISHED))
def test_the_published_files(name, real_data):
    """The files at hand are the published ones, and are read as genes x cell types."""
    made = reference(name)
    assert made.mean.shape[1] >= 10
    assert made.mean.shape[0] > 150
    assert not any(str(gene).isdigit() for gene in made.genes[:50])
