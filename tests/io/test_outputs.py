"""Output folders appear whole or not at all."""

from __future__ import annotations

import json

import pytest

import bayesdecov as bd
from bayesdecov.errors import InputError
from bayesdecov.io.outputs import whole_folder
from bayesdecov.io.tables import read_table


def _write_half(folder):
    (folder / "half.csv").write_text("x")
    raise OSError("disk is full")


def test_a_failed_run_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="disk"), whole_folder(tmp_path / "out") as folder:
        _write_half(folder)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_run_is_kept_or_replaced_whole(tmp_path):
    out = tmp_path / "out"
    with whole_folder(out) as folder:
        (folder / "run.json").write_text("{}")
    with pytest.raises(InputError, match="--force"), whole_folder(out):
        pass
    with pytest.raises(RuntimeError), whole_folder(out, force=True):
        raise RuntimeError
    assert (out / "run.json").exists()  # the old run survives a failed new one
    with whole_folder(out, force=True) as folder:
        (folder / "new.csv").write_text("x")
    assert [path.name for path in out.iterdir()] == ["new.csv"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_force_never_deletes_a_folder_that_is_not_a_run(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="has no run"), whole_folder(tmp_path, force=True):
        pass
    with pytest.raises(InputError, match="is a file"), whole_folder(tmp_path / "thesis.tex"):
        pass


def test_a_linked_folder_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with whole_folder(tmp_path / "link") as folder:
        (folder / "run.json").write_text("{}")
    assert (tmp_path / "real" / "run.json").exists()
    assert (tmp_path / "link").is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


def test_inputs_are_never_inside_of_what_is_replaced(tmp_path):
    from bayesdecov.io.outputs import check_folder

    (tmp_path / "run" / "input").mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_text("{}")
    with pytest.raises(InputError, match="lies inside of"):
        check_folder(tmp_path / "run", force=True, inputs=[tmp_path / "run" / "input" / "b.csv"])
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file, not a folder"):
        check_folder(tmp_path / "file" / "out", force=False)


def test_files_of_a_deconvolution(tmp_path):
    cohort = bd.simulate.convolution(n_samples=5, n_genes=60, n_types=3, seed=1)
    reference = bd.Reference.from_samples(cohort.purified, cohort.labels, genes=30)
    fit = bd.deconvolve(cohort.bulk, reference, "laplace", draws=50, seed=1)
    fit.write(tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "proportions.csv", "intervals.csv", "diagnostics.csv", "posterior.nc", "run.json",
    }  # fmt: skip
    first = (tmp_path / "out" / "proportions.csv").read_text().split(",")[0]
    assert first == "sample"
    read = read_table(tmp_path / "out" / "proportions.csv")
    assert (read.to_numpy() == fit.proportions.to_numpy()).all()
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["settings"]["method"] == "laplace"
    assert record["settings"]["seed"] == 1
    assert {"python", "numpy", "scipy", "pandas"} <= set(record["versions"])
    from bayesdecov._arviz import load

    posterior = load(tmp_path / "out" / "posterior.nc")["posterior"]["proportions"]
    assert posterior.dims == ("chain", "draw", "sample", "cell_type")
    assert (posterior.to_numpy().transpose(2, 0, 1, 3) == fit.draws.proportions).all()
