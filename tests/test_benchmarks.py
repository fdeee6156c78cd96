"""The suite of benchmarks knows all of them, and starts them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def suite(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "benchmarks", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


def test_every_script_is_listed():
    said = suite("--list").stdout.splitlines()
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - {"__main__"}
    assert {line.split()[0] for line in said} == scripts
    assert all(len(line.partition(" min ")[2].strip()) > 20 for line in said)


def test_unknown_names_are_refused():
    done = suite("sped")
    assert done.returncode == 2
    assert "there is no sped" in done.stderr


@pytest.mark.slow
def test_one_runs_and_is_recorded(tmp_path):
    done = suite("speed", "--quick", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {
        "speed.txt",
        "speed-peers.csv",
        "speed-effects.csv",
        "speed-scaling.csv",
        "speed-scaling.png",
    }
