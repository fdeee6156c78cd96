"""Examples run as the scripts that they are, with few samples and draws where that takes long."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(name, *arguments, folder):
    return subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"},
    )


@pytest.mark.parametrize(
    ("name", "arguments", "said", "written"),
    [
        ("own_tables", (), "Deconvolution:", ()),
        ("single_cells", ("out",), "quantity: cell fractions",
         ("out/proportions/mrna_fractions.csv", "out/effects.html")),
        pytest.param("cluster", (), "200 samples in", (), marks=pytest.mark.slow),
        pytest.param("flow_cytometry", (12,), "12 FCS files", (), marks=pytest.mark.slow),
        ("posterior", (40,), "elpd", ("posterior-report.html",)),
        pytest.param("whole_pipeline", ("out", 16), "errors of proportions propagated",
         ("out/effects.html", "out/proportions/proportions.csv"), marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_example(name, arguments, said, written, tmp_path):
    if name == "cluster":
        pytest.importorskip("distributed")
    done = run(name, *arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    assert all((tmp_path / path).is_file() for path in written)


@pytest.mark.slow
@pytest.mark.real_data
def test_the_example_of_rejected_kidneys(tmp_path):
    data = os.environ.get("BAYESDECOV_DATA")
    if not data:
        pytest.skip("needs the data of GSE20300 (BAYESDECOV_DATA)")
    done = run(
        "kidney_rejection",
        Path(data) / "gse20300_kidney",
        "--permutations",
        1,
        "--left-out",
        1,
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "and their stability" in done.stdout
