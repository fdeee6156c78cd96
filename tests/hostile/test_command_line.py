"""Machines that fail, and people who interrupt: one line, the right status, true words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from typer.testing import CliRunner

import bayesdecov as bd
from bayesdecov.cli import app

START = [sys.executable, "-m", "bayesdecov"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    cohort = bd.simulate.convolution(n_samples=8, n_genes=60, n_types=3, seed=1)
    cohort.bulk.to_csv(folder / "bulk.csv", index_label="gene")
    bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal").save(folder / "ref.nc")
    return folder


def deconvolve(files, out, *more):
    return [*START, "deconvolve", str(files / "bulk.csv"), "--reference", str(files / "ref.nc"),
            "--out", str(out), "--no-plots", "--no-progress", *more]  # fmt: skip


def run(command, limit=None, **options):
    """The status, what was printed, and the lines of the error."""

    if limit is not None:
        command = ["bash", "-c", f'ulimit {limit}; exec "$@"', "bash", *command]
    done = subprocess.run(
        command,
        text=True,
        timeout=120,
        stderr=subprocess.PIPE,
        **({"stdout": subprocess.PIPE} | options),
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "defect" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("warning")]
    return done.returncode, done.stdout, lines


@pytest.mark.slow
def test_a_full_disk_keeps_the_old_output(files, tmp_path):
    assert run(deconvolve(files, tmp_path / "out"))[0] == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    for most in (1, 20):  # KB of every file: of tables, and within posterior.nc
        command = deconvolve(files, tmp_path / "out", "--force")
        code, _, lines = run(command, f"-f {most}")
        assert code == 1
        assert len(lines) == 1
        assert lines[0].startswith("error: File too large")
        assert lines[0].endswith("nothing was written")
        assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before
        assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.slow
def test_closed_pipes_and_full_terminals(files, tmp_path):
    read, write = os.pipe()
    os.close(read)
    code, _, lines = run(deconvolve(files, tmp_path / "a"), stdout=write)
    os.close(write)
    assert (code, lines) == (141, [])
    assert (tmp_path / "a" / "run.json").exists()  # it was written before it was told
    with open("/dev/full", "w") as full:
        code, _, lines = run(deconvolve(files, tmp_path / "b"), stdout=full)
        assert code == 1
        assert len(lines) == 1
        assert "No space left on device" in lines[0]
        assert f"already written: {tmp_path / 'b'}" in lines[0]
        code, _, lines = run([*START, "--version"], stdout=full)
        assert (code, lines) == (1, ["error: No space left on device"])


@pytest.mark.slow
def test_without_a_home(files, tmp_path):
    env = {**os.environ, "HOME": "/dev/null/nowhere", "XDG_CACHE_HOME": ""}
    for name in ("XDG_CACHE_HOME", "MPLCONFIGDIR"):
        env.pop(name, None)
    code, _, lines = run(deconvolve(files, tmp_path / "out"), env=env)
    assert (code, lines) == (0, [])
    code, _, lines = run([*START, "report", str(tmp_path / "out")], env=env)
    assert (code, lines) == (0, [])
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_ascii_terminals(files, tmp_path):
    bulk = pd.read_csv(files / "bulk.csv", index_col="gene")
    bulk.columns = ["prøve", *bulk.columns[1:]]
    bulk.iloc[:, 0] = bulk.iloc[::-1, 0].to_numpy()  # the worst sample is named
    bulk.to_csv(tmp_path / "bülk.csv", index_label="gene")
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    command = deconvolve(files, tmp_path / "out")
    command[4] = str(tmp_path / "bülk.csv")
    code, said, _ = run(command, env=env)
    assert code == 0
    assert "pr\\xf8ve" in said
    command = deconvolve(files, tmp_path / "other")
    command[4] = str(tmp_path / "kält.csv")
    code, _, lines = run(command, env=env)
    assert code == 2
    assert "k\\xe4lt.csv' does not exist" in lines[0]


# The limit comes when all libraries are loaded and were used: which of them fails first, and
# whether it says so, is a matter of chance otherwise.
SHORT_OF_MEMORY = """
import resource, sys
from pathlib import Path
import pandas as pd
import bayesdecov as bd
from bayesdecov.__main__ import main
bulk, reference = sys.argv[2], sys.argv[4]
bd.deconvolve(pd.read_csv(bulk, index_col=0), reference, "laplace", seed=1)
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + 100_000_000
resource.setrlimit(resource.RLIMIT_AS, (most, most))
main()
"""


def test_memory_that_does_not_suffice(files, tmp_path):
    command = deconvolve(files, tmp_path / "out", "--method", "laplace", "--draws", "9000000")
    code, _, lines = run([sys.executable, "-c", SHORT_OF_MEMORY, *command[len(START) :]])
    assert code == 1
    assert lines == ["error: not enough memory; use fewer genes or samples"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("seconds", [0.3, 0.7, 1.2])
def test_interrupts_also_of_imports(seconds, files, tmp_path):
    process = subprocess.Popen(
        deconvolve(files, tmp_path / "out", "--method", "nuts", "--draws", "2000", "--cores", "1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    # Python dies of the signal itself where it passed an exec() of an import; shells see 130 too
    assert process.returncode in (130, -signal.SIGINT)
    assert said.splitlines()[-1] == "error: interrupted; nothing was written"
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir() if path.name != ".out.lock"] == []


def said_by(command):
    """The status and the line of the error, in this process."""
    result = CliRunner().invoke(app, command[len(START) :])
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if not line.startswith("warning")]
    assert len(lines) <= 1, lines
    return result.exit_code, "".join(lines)


def test_places(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    for out, said in (("", "must not be empty"), (".", "must not be empty"),
                      (tmp_path / "loop" / "x", "symbolic links"),
                      (tmp_path / ("x" * 300), "too long"), ("/dev/full", "not a folder"),
                      ("/proc/nowhere", "error: ")):  # fmt: skip
        code, line = said_by(deconvolve(files, out))
        assert code in (1, 2), out
        assert said in line
    command = deconvolve(files, tmp_path / "out")
    command[4] = str(tmp_path / "loop")
    assert said_by(command)[0] == 2


@pytest.mark.slow
def test_one_run_at_a_time(files, tmp_path):
    slow = subprocess.Popen(
        deconvolve(files, tmp_path / "out", "--method", "nuts", "--draws", "3000", "--cores", "1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 30
        while not (tmp_path / ".out.lock").exists() and time.monotonic() < until:
            time.sleep(0.05)
        for more in ((), ("--force",)):
            code, _, lines = run(deconvolve(files, tmp_path / "out", *more))
            assert code == 2
            assert "another run is writing into" in lines[0]
    finally:
        slow.kill()
        slow.wait()


def test_force_leaves_other_files_alone(files, tmp_path):
    assert said_by(deconvolve(files, tmp_path / "out")) == (0, "")
    (tmp_path / "out" / "thesis.docx").write_text("years of work")
    (tmp_path / "link").symlink_to("out")
    for place, said in (("out", "thesis.docx"), ("link", "is a link")):
        code, line = said_by(deconvolve(files, tmp_path / place, "--force"))
        assert code == 2
        assert said in line
    assert (tmp_path / "out" / "thesis.docx").read_text() == "years of work"
    (tmp_path / "out" / "thesis.docx").unlink()
    assert said_by([*START, "report", str(tmp_path / "out")]) == (0, "")
    assert said_by(deconvolve(files, tmp_path / "out", "--force")) == (0, "")
