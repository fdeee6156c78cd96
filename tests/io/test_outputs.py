"""Output folders appear whole or not at all, and nobody's files are touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bayesdecov as bd
from bayesdecov.errors import InputError
from bayesdecov.io import outputs, records
from bayesdecov.io.files import hidden
from bayesdecov.io.outputs import check_folder, claimed, whole_folder
from bayesdecov.io.tables import read_table


def run_in(out, *names, force=False):
    """The output of a run with these files."""
    with whole_folder(out, force=force) as folder:
        records.write_json(
            {"command": "deconvolve", "settings": {"method": "map"}}, folder / "run.json"
        )
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)


def names_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def _write_half(folder):
    (folder / "half.csv").write_text("x")
    raise OSError("disk is full")


def test_a_failed_run_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="disk"), whole_folder(tmp_path / "a" / "out") as folder:
        _write_half(folder)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_run_is_kept_or_replaced_whole(tmp_path):
    out = tmp_path / "out"
    run_in(out, "old.csv", "plots/old.png")
    with pytest.raises(InputError, match="--force"):
        run_in(out)
    with pytest.raises(RuntimeError), whole_folder(out, force=True):
        raise RuntimeError
    assert (out / "old.csv").exists()  # the old run survives a failed new one
    run_in(out, "new.csv", force=True)
    assert names_in(tmp_path) == ["out", "out/new.csv", "out/run.json"]


def _thesis(out):
    (out / "thesis.docx").write_text("years of work")


def _in_a_subfolder(out):
    (out / "plots" / "mine.png").write_text("x")


def _hidden(out):
    (out / ".notes").write_text("x")


def _empty_folder(out):
    (out / "mine").mkdir()


def _changed(out):
    (out / "old.csv").write_text("corrected by hand")


def _link(out):
    (out / "link").symlink_to(out.parent)


def _link_in_place(out):
    (out / "old.csv").rename(out.parent / "elsewhere")
    (out / "old.csv").symlink_to(out.parent / "elsewhere")


def _link_to_a_folder(out):
    (out / "plots").rename(out.parent / "plots")
    (out / "plots").symlink_to(out.parent / "plots")


def _pipe(out):
    os.mkfifo(out / "pipe")


FOREIGN = {
    "thesis.docx": _thesis, "plots/mine.png": _in_a_subfolder, ".notes": _hidden,
    "mine/": _empty_folder, r"old.csv \(changed since\)": _changed, "link": _link,
    "old.csv": _link_in_place, "plots": _link_to_a_folder, "pipe": _pipe,
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_force_replaces_only_what_the_run_wrote(name, tmp_path):
    out = tmp_path / "out"
    run_in(out, "old.csv", "plots/old.png")
    FOREIGN[name](out)
    before = names_in(tmp_path)
    with pytest.raises(InputError, match=f"its run did not write.*found {name}"):
        run_in(out, force=True)
    assert names_in(tmp_path) == before


@pytest.mark.parametrize(
    "content",
    ["{}", "{", "[]", "null", '{"command": "deconvolve", "settings": {}}', "[" * 10**5, "\0",
     '{"format": "bayesdecov run 1", "files": {"thesis.docx": "0"}, "digest": "0"}',
     '{"format": "bayesdecov run 1", "files": ["thesis.docx"]}'],
)  # fmt: skip
def test_somebody_elses_run_json_is_no_run(content, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text(content)
    (out / "thesis.docx").write_text("years of work")
    with pytest.raises(InputError, match="is not the output of a run"):
        run_in(out, force=True)
    assert names_in(out) == ["run.json", "thesis.docx"]


def test_files_that_come_in_while_a_run_is_replaced_are_kept(tmp_path, monkeypatch):
    out = tmp_path / "out"
    run_in(out, "old.csv")
    usual = outputs._check_ours

    def late(folder, named):
        if folder != named:  # moved aside already
            (folder / "thesis.docx").write_text("just now")
        usual(folder, named)

    monkeypatch.setattr(outputs, "_check_ours", late)
    with pytest.raises(InputError, match=r"thesis\.docx"):
        run_in(out, "new.csv", force=True)
    assert names_in(tmp_path) == ["out", "out/old.csv", "out/run.json", "out/thesis.docx"]


def test_droppings_of_file_browsers_do_not_matter(tmp_path):
    out = tmp_path / "out"
    run_in(out, "old.csv", "plots/a.png")
    for place in (out, out / "plots"):
        (place / ".DS_Store").write_text("x")
    run_in(out, "new.csv", force=True)
    assert names_in(tmp_path) == ["out", "out/new.csv", "out/run.json"]


def test_force_never_deletes_a_folder_that_is_not_a_run(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"no run\.json"), whole_folder(tmp_path, force=True):
        pass
    with pytest.raises(InputError, match="is a file"), whole_folder(tmp_path / "thesis.tex"):
        pass


def test_a_link_to_an_empty_folder_is_followed_and_to_a_run_is_not(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    run_in(tmp_path / "link", "a.csv")
    assert names_in(tmp_path / "real") == ["a.csv", "run.json"]
    with pytest.raises(InputError, match="is a link, which --force does not follow"):
        run_in(tmp_path / "link", force=True)
    run_in(tmp_path / "real", "b.csv", force=True)
    assert names_in(tmp_path) == ["link", "real", "real/b.csv", "real/run.json"]


def test_places_that_cannot_be(tmp_path, monkeypatch):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for place in (tmp_path / "a", tmp_path / "a" / "out", tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match=r"out: .*cannot be used"):
            check_folder(place, force=False)
    monkeypatch.chdir(tmp_path)
    for place in (Path(""), Path(".."), tmp_path):
        with pytest.raises(InputError, match="must not be empty, the current folder"):
            check_folder(place, force=True)


def test_long_names_of_folders(tmp_path):
    for name in ("x" * 255, "名" * 85):
        run_in(tmp_path / name, "a.csv")
        run_in(tmp_path / name, "b.csv", force=True)
        assert names_in(tmp_path / name) == ["b.csv", "run.json"]
    assert len(list(tmp_path.iterdir())) == 2


def test_inputs_are_never_inside_of_what_is_replaced(tmp_path):
    (tmp_path / "run" / "input").mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_text("{}")
    with pytest.raises(InputError, match="lies inside"):
        check_folder(tmp_path / "run", force=True, inputs=[tmp_path / "run" / "input" / "b.csv"])
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file, not a folder"):
        check_folder(tmp_path / "file" / "out", force=False)


def test_two_runs_into_one_folder(tmp_path):
    out = tmp_path / "new" / "out"
    program = f"""
import time
from pathlib import Path
from pathlib import Path
from bayesdecov.io.outputs import claimed
with claimed(Path({str(out)!r})):
    print("mine", flush=True)
    time.sleep(600)
"""
    other = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "mine\n"
        with pytest.raises(InputError, match="another run is writing into"):
            run_in(out)
        with pytest.raises(InputError, match="another run is writing into"):
            run_in(out, force=True)
    finally:
        other.kill()
        other.communicate()
    time.sleep(0.1)
    run_in(out, "a.csv")  # a run that was killed holds nothing
    assert names_in(tmp_path) == ["new", "new/out", "new/out/a.csv", "new/out/run.json"]


def test_a_claim_leaves_nothing_behind_and_can_be_made_again(tmp_path):
    out = tmp_path / "a" / "b" / "out"
    with claimed(out), claimed(out):
        assert hidden(out, "lock").exists()
    assert list(tmp_path.iterdir()) == []
    hidden(tmp_path / "out", "lock").symlink_to(tmp_path / "thesis")
    with pytest.raises(InputError, match="needed as a lock file"), claimed(tmp_path / "out"):
        pass
    assert not (tmp_path / "thesis").exists()


def test_a_run_that_was_killed_while_it_replaced_another_is_put_right(tmp_path):
    out = tmp_path / "out"
    run_in(out, "old.csv")
    out.rename(hidden(out, "old-12345678"))
    with claimed(out, force=True):
        pass
    assert names_in(tmp_path) == ["out", "out/old.csv", "out/run.json"]


def test_folders_that_look_like_what_a_run_moved_aside_stay(tmp_path):
    out = tmp_path / "out"
    mine = [hidden(out, "old-mine"), hidden(out, "old-12345678")]
    for place in mine:
        place.mkdir()
        (place / "notes.txt").write_text("years of work")
    run_in(out, "a.csv")
    assert all((place / "notes.txt").exists() for place in mine)


LISTED = ["../victim.txt", "/{}/victim.txt", "../dir/none", "plots/../../victim.txt", "./run.json",
          "", "a//b", "..\\victim.txt"]  # fmt: skip


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("where", ["out", ".out.old-12345678"])
def test_names_that_lead_out_of_the_folder_are_never_removed(name, where, tmp_path):
    (tmp_path / "victim.txt").write_text("years of work")
    (tmp_path / "dir").mkdir()
    folder = tmp_path / where
    folder.mkdir()
    record = {"format": records.FORMAT, "files": {name.format(tmp_path): "0"}}
    record["digest"] = records._digest(record)
    records.write_json(record, folder / "run.json")
    if where == "out":
        with pytest.raises(InputError, match="is not the output of a run"):
            run_in(tmp_path / "out", force=True)
    else:
        run_in(tmp_path / "out", "a.csv")
        assert (folder / "run.json").exists()
    assert (tmp_path / "victim.txt").read_text() == "years of work"
    assert (tmp_path / "dir").is_dir()


def test_removing_touches_nothing_but_the_folder(tmp_path):
    out = tmp_path / "out"
    run_in(out, "a.csv", "plots/b.png")
    (tmp_path / "c.png").write_text("mine")
    (out / "plots" / "b.png").unlink()
    (out / "plots").rmdir()
    (out / "plots").symlink_to(tmp_path)
    (tmp_path / "b.png").write_text("mine")
    records.remove(out)
    assert (tmp_path / "b.png").read_text() == (tmp_path / "c.png").read_text() == "mine"


def test_a_file_in_the_way_of_the_lock_stays(tmp_path):
    hidden(tmp_path / "out", "lock").write_text("mine")
    with pytest.raises(InputError, match="needed as a lock file"):
        run_in(tmp_path / "out")
    assert hidden(tmp_path / "out", "lock").read_text() == "mine"


def test_folders_deep_within_each_other(tmp_path):
    out = tmp_path / "out"
    run_in(out, "a.csv")
    place = out
    for _ in range(300):
        place = place / "d"
        place.mkdir()
    with pytest.raises(InputError, match="its run did not write"):
        run_in(out, force=True)


def test_files_of_a_deconvolution(tmp_path):
    cohort = bd.simulate.convolution(n_samples=5, n_genes=60, n_types=3, seed=1)
    reference = bd.Reference.from_samples(cohort.purified, cohort.labels, genes=30)
    fit = bd.deconvolve(cohort.bulk, reference, "laplace", seed=1, sampling=bd.Sampling(draws=50))
    fit.write(tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "proportions.csv",
        "intervals.csv",
        "diagnostics.csv",
        "gene_shifts.csv",
        "posterior.nc",
        "run.json",
    }
    first = (tmp_path / "out" / "proportions.csv").read_text().split(",")[0]
    assert first == "sample"
    read = read_table(tmp_path / "out" / "proportions.csv")
    assert (read.to_numpy() == fit.proportions.to_numpy()).all()
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["settings"]["method"] == "laplace"
    assert record["settings"]["seed"] == 1
    assert set(record["files"]) == names - {"run.json"}
    assert {"python", "numpy", "scipy", "pandas"} <= set(record["versions"])
    from bayesdecov._arviz import load

    posterior = load(tmp_path / "out" / "posterior.nc")["posterior"]["proportions"]
    assert posterior.dims == ("chain", "draw", "sample", "cell_type")
    assert (posterior.to_numpy().transpose(2, 0, 1, 3) == fit.draws.proportions).all()
