"""What a run wrote is listed, and what was changed since is noticed."""

from __future__ import annotations

import json

import pytest

import bayesdecov as bd
from bayesdecov.errors import InputError
from bayesdecov.io import records
from bayesdecov.io.outputs import whole_folder
from bayesdecov.results.run import run_of


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    cohort = bd.simulate.convolution(n_samples=4, n_genes=40, n_types=3, seed=1)
    reference = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal")
    fit = bd.deconvolve(cohort.bulk, reference, "laplace", seed=1, sampling=bd.Sampling(draws=100))
    place = tmp_path_factory.mktemp("finished") / "run"
    fit.write(place)
    return place


@pytest.fixture
def run(finished, tmp_path):
    import shutil

    return shutil.copytree(finished, tmp_path / "run")


def test_a_run_is_read_as_it_was_written(run):
    assert run_of(run).method == "laplace"
    assert records.not_ours(run) == []


@pytest.mark.parametrize("name", ["proportions.csv", "intervals.csv", "posterior.nc"])
def test_a_changed_file_is_not_believed(name, run):
    content = (run / name).read_bytes()
    other = b"1" if content[-2:-1] != b"1" else b"2"
    (run / name).write_bytes(content[:-2] + other + b"\n")
    with pytest.raises(InputError, match=f"{name}.* was changed since the run.*Run it again"):
        run_of(run)


def _settings(record, value):
    record["settings"] = value
    return record


@pytest.mark.parametrize(
    "change",
    [lambda r: _settings(r, {"method": "nuts"}), lambda r: _settings(r, None),
     lambda r: _settings(r, []), lambda r: _settings(r, "map"), lambda r: r | {"command": 3},
     lambda r: r | {"warnings": "none"}, lambda r: r | {"files": {}}, lambda r: [r],
     lambda r: r | {"inputs": []}],
)  # fmt: skip
@pytest.mark.parametrize("resealed", [False, True])
def test_damaged_records_are_said(change, resealed, run):
    record = change(json.loads((run / "run.json").read_text()))
    if resealed and isinstance(record, dict):  # by somebody who knows how
        record["digest"] = records._digest(record)
    (run / "run.json").write_text(json.dumps(record))
    if resealed and isinstance(record, dict) and record["settings"] == {"method": "nuts"}:
        assert run_of(run).method == "nuts"  # it cannot be known
        with pytest.raises(InputError, match="cannot be read as a finished run"):
            bd.report(run, run / "report.html")
        with pytest.raises(InputError, match="run: "):
            bd.contrast(run, run / "absent.csv")
        return
    with pytest.raises(InputError, match="run: "):
        run_of(run)


def test_records_of_version_0_1_are_refused(run):
    record = json.loads((run / "run.json").read_text())
    for key in ("format", "files", "digest"):
        del record[key]
    (run / "run.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"not the record of a run of this version.*Run it again"):
        run_of(run)


@pytest.mark.parametrize("text", ["", "{", "[" * 10**5, '{"a":' * 10**5, "\xff\xfe", "null"])
def test_what_is_no_record(text, run):
    (run / "run.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match="is not the record of a run"):
        run_of(run)


def test_reports_become_part_of_the_run(run):
    bd.report(run, run / "report.html")
    assert records.not_ours(run) == []
    assert run_of(run).method == "laplace"
    bd.report(run, run / "report.html", force=True)
    assert records.not_ours(run) == []
    (run / "report.html").write_text("mine now")
    with pytest.raises(InputError, match="is not a report, so it is not overwritten"):
        bd.report(run, run / "report.html", force=True)
    assert records.not_ours(run) == ["report.html (changed since)"]


def test_runs_within_runs(tmp_path):
    with whole_folder(tmp_path / "out") as folder:
        (folder / "inner").mkdir()
        for place in (folder, folder / "inner"):
            records.write_json({"command": "demo", "settings": {}}, place / "run.json")
    inner = tmp_path / "out" / "inner"
    assert records.not_ours(inner) == records.not_ours(tmp_path / "out") == []
    (inner / "report.html").write_text("x")
    assert records.not_ours(tmp_path / "out") == ["inner/report.html"]
    records.register(inner / "report.html")
    assert records.not_ours(inner) == records.not_ours(tmp_path / "out") == []


def test_a_report_outside_of_a_run_registers_nothing(tmp_path):
    (tmp_path / "report.html").write_text("x")
    records.register(tmp_path / "report.html")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
