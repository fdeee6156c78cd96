"""Every block of code in the README and the documentation runs, on a small study of one's own."""

from __future__ import annotations

import re
import shlex
import shutil
import tomllib
import warnings
from pathlib import Path

import anndata
import matplotlib
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import bayesdecov as bd
from bayesdecov.cli.app import app
from bayesdecov.errors import BayesdecovWarning

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
# installing is what CI does before the tests; this benchmark takes an hour
ELSEWHERE = ("python3 -m venv", "bayesdecov benchmark --out scores --bootstrap")
# long runs, shorter: what the block says, with these options after it
SHORTER = {
    "--out exact --method nuts": "--draws 40 --tune 60 --chains 2 --progress",
    "bayesdecov gate": "--seeds 2 --draws 100 --no-plots",
    "bayesdecov contrast": "--draws 200",
    "bayesdecov calibrate": "--simulations 20 --cell-types 2 --genes 8",
}
N = 24
TYPES = {"myeloid": ("Monocytes", "Neutrophils"), "lymphoid": ("T cells", "B cells")}


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The files and tables that the pages speak of."""
    folder = tmp_path_factory.mktemp("study")
    names = pd.Index([f"A{i + 1:02d}" for i in range(N)], name="sample")
    data = bd.simulate.tissue(N, 240, TYPES, replicates=5, seed=1)
    bulk = data.bulk.set_axis(names, axis=1)
    proportions = data.proportions.set_axis(names)
    covariates = pd.DataFrame(
        {"group": np.tile(["control", "treated"], N // 2), "age": np.arange(N) % 7 + 40.0}, names
    )
    expression = np.log2(bulk / bulk.sum() * 1e6 + 1)
    bulk.to_csv(folder / "bulk.csv")
    data.purified.to_csv(folder / "purified.csv")
    pd.DataFrame({"cell_type": data.labels}).to_csv(folder / "labels.csv", index_label="sample")
    expression.to_csv(folder / "expression.csv")
    proportions.to_csv(folder / "proportions.csv")
    covariates.to_csv(folder / "covariates.csv")
    covariates[["group"]].to_csv(folder / "c.csv")
    write_cells(data, folder / "cells.h5ad")
    cells = bd.simulate.cytometry(N, 300, seed=1)
    for path, name in zip(cells.write(folder / "FCS"), names, strict=True):
        path.rename(folder / "FCS" / f"{name}.fcs")
    bd.gating.write_hierarchy(bd.simulate.blood_hierarchy(k=10), folder / "gating.toml")
    tables = {
        "bulk": bulk, "purified": data.purified, "labels": data.labels,
        "covariates": covariates[["group"]], "expression": expression, "proportions": proportions,
        "new_expression": expression.iloc[:, :6], "new_proportions": proportions.iloc[:6],
        "new_covariates": None,
    }  # fmt: skip
    return folder, tables


def write_cells(data, path: Path) -> None:
    """Twelve cells of every purified sample."""
    rates = np.repeat(data.purified.to_numpy().T / 300, 12, axis=0)
    obs = pd.DataFrame({"cell_type": data.labels, "donor_id": data.donors})
    obs = obs.loc[np.repeat(obs.index, 12)].set_axis([f"c{i}" for i in range(len(rates))])
    counts = np.random.default_rng(1).poisson(rates).astype(np.float32)
    anndata.AnnData(counts, obs, pd.DataFrame(index=data.purified.index)).write_h5ad(path)


def run_line(line: str, made: Path) -> None:
    arguments = shlex.split(line, comments=True)
    if not arguments:
        return
    assert arguments[0] == "bayesdecov", line
    for words, more in SHORTER.items():
        if words in line:
            arguments += shlex.split(more)
    if "--out" in arguments:  # pages say the same name more than once
        out = made / arguments[arguments.index("--out") + 1]
        out.unlink() if out.is_file() else shutil.rmtree(out, ignore_errors=True)
    if arguments[1] in ("deconvolve", "fastmix", "gate", "contrast"):
        arguments.append("--force")
    result = CliRunner().invoke(app, arguments[1:])
    assert result.exit_code == 0, f"{line}\n{result.output}{result.stderr}"


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[] if page.stem == "README" else pytest.mark.slow) for page in PAGES],
    ids=lambda page: page.stem,
)
def test_blocks_run(page, study, tmp_path, monkeypatch):
    matplotlib.use("Agg")
    folder, tables = study
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    known = {"bd": bd, **tables}
    reference = bd.Reference.from_samples(tables["purified"], tables["labels"], genes=40)
    reference.save(tmp_path / "reference.nc")
    known["reference"] = reference
    if page.stem == "contrasts":
        known["covariates"] = pd.read_csv("covariates.csv", index_col=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesdecovWarning)
        for language, code in blocks(page):
            if language == "python":
                code = code.replace("genes=300", "genes=40").replace("seeds=5", "seeds=2")
                exec(compile(code, str(page), "exec"), known)
            elif language == "bash" and not code.startswith(ELSEWHERE):
                for line in code.replace("\\\n", " ").splitlines():
                    run_line(line, tmp_path)
            elif language == "toml":
                tomllib.loads(code)


def test_pages_speak_of_what_exists():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
        for script in re.findall(r"python (benchmarks/\w+\.py)", text):
            assert (ROOT / script).exists(), f"{page.name}: {script}"


def test_the_map_of_the_source_is_right():
    """Files and functions that docs/models.md names exist."""
    lines = (ROOT / "docs/models.md").read_text("utf-8").partition("**Where to find**")[2]
    folder = Path()
    for cell in re.findall(r"`([\w/]+\.py)(?:: ([\w., ]+))?`", lines):
        path = Path("bayesdecov") / cell[0]
        if len(path.parts) == 2 and not (ROOT / path).exists():  # the folder of the one before
            path = folder / cell[0]
        folder = path.parent
        source = (ROOT / path).read_text("utf-8")
        for name in filter(None, cell[1].split(", ")):
            assert f"def {name.rpartition('.')[2]}(" in source, f"{path}: {name}"
