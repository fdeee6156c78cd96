"""The command line as a stranger uses it: files in, files out, one message when it fails."""

from __future__ import annotations

import json
import subprocess
import sys

import pandas as pd
import pytest
from typer.testing import CliRunner

import bayesdecov as bd
from bayesdecov.cli import app
from bayesdecov.io.tables import read_table


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A user's folder: bulk, purified samples, labels, a signature."""
    folder = tmp_path_factory.mktemp("user")
    cohort = bd.simulate.convolution(n_samples=6, n_genes=120, n_types=3, depth=1e5, seed=1)
    cohort.bulk.to_csv(folder / "bulk.csv")
    cohort.purified.to_csv(folder / "purified.tsv.gz", sep="\t")
    cohort.labels.to_csv(folder / "labels.csv", index_label="sample")
    cohort.mean.to_csv(folder / "signature.csv")
    run(
        "reference",
        folder / "purified.tsv.gz",
        "--labels",
        folder / "labels.csv",
        "--out",
        folder / "reference.nc",
        "--genes",
        "60",
    )
    return folder


def run(*arguments, expect=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == expect, result.output + result.stderr
    assert "Traceback" not in result.stderr
    return result


def deconvolve(files, out, *more, expect=0):
    reference = ("--reference", files / "reference.nc")
    return run("deconvolve", files / "bulk.csv", *reference, "--out", out, *more, expect=expect)


def test_reference_then_deconvolve(files, tmp_path):
    result = deconvolve(
        files, tmp_path / "out", "--method", "laplace", "--seed", "1", "--no-progress"
    )
    assert "Deconvolution: 6 samples x 3 cell types, 60 genes" in result.stdout
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "proportions.csv", "intervals.csv", "diagnostics.csv", "posterior.nc", "run.json", "plots",
        "gene_shifts.csv",
    }  # fmt: skip
    table = read_table(out / "proportions.csv")
    assert table.index.name == "sample"
    assert table.sum(axis=1).round(9).eq(1).all()
    record = json.loads((out / "run.json").read_text())
    assert set(record["inputs"]) == {"bulk", "reference"}
    assert len(record["inputs"]["bulk"]["sha256"]) == 64
    python = bd.deconvolve(files / "bulk.csv", files / "reference.nc", "laplace", seed=1)
    assert (table.to_numpy() == python.proportions.to_numpy()).all()


def test_map_writes_the_same_files(files, tmp_path):
    deconvolve(files, tmp_path / "out", "--no-plots")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "proportions.csv",
        "intervals.csv",
        "diagnostics.csv",
        "gene_shifts.csv",
        "posterior.nc",
        "run.json",
    }
    assert pd.read_csv(tmp_path / "out" / "intervals.csv")["low"].notna().all()


def test_platforms_and_sums_of_types(files, tmp_path):
    types = bd.Reference.load(files / "reference.nc").cell_types
    groups = pd.DataFrame({"cell_type": types, "group": ["first", *["rest"] * (len(types) - 1)]})
    groups.to_csv(tmp_path / "groups.csv", index=False)
    deconvolve(files, tmp_path / "out", "--no-plots", "--groups", tmp_path / "groups.csv")
    assert set(pd.read_csv(tmp_path / "out" / "sums.csv")["cell_type"]) == {"first", "rest"}
    shifts = pd.read_csv(tmp_path / "out" / "gene_shifts.csv", index_col=0)
    assert list(shifts.columns) == ["shift", "sd", "kept", "weight"]
    deconvolve(files, tmp_path / "same", "--no-plots", "--platform", "same")
    assert not (tmp_path / "same" / "gene_shifts.csv").exists()
    settings = [
        json.loads((tmp_path / name / "run.json").read_text())["settings"]["platform"]
        for name in ("out", "same")
    ]
    assert settings == ["elsewhere", "same"]


def test_cells_to_levels_on_the_command_line(tmp_path):
    study = bd.simulate.cells(3, 300, 240, {"a": ["T", "NK"], "b": ["B"]}, n_bulks=4, seed=1)
    study.cells.write_h5ad(tmp_path / "cells.h5ad")
    study.bulk.to_csv(tmp_path / "bulk.csv")
    pd.Series(study.lineages, name="parent").to_csv(tmp_path / "parents.csv")
    made = ("reference", tmp_path / "cells.h5ad", "--cell-type", "cell_type", "--donor", "donor",
            "--genes", "60", "--out", tmp_path / "r.nc")  # fmt: skip
    assert (
        "replicates: B 3, NK 3, T 3" in run(*made, "--hierarchy", tmp_path / "parents.csv").stdout
    )
    fit = ("deconvolve", tmp_path / "bulk.csv", "--reference", tmp_path / "r.nc", "--no-plots")
    run(*fit, "--level", "0", "--out", tmp_path / "out")
    sums = pd.read_csv(tmp_path / "out" / "sums.csv")
    assert set(sums["cell_type"]) == {"a", "b"}
    for wrong, said in (("nowhere", "level: must be a number or one of"), ("3", "at most 1")):
        failed = run(*fit, "--level", wrong, "--out", tmp_path / "none", expect=2)
        assert said in failed.stderr
    assert not (tmp_path / "none").exists()
    wrong = ("reference", tmp_path / "cells.h5ad", "--out", tmp_path / "w.nc")
    assert "either --labels" in run(*wrong, expect=2).stderr
    assert "use --cell-type cell_type" in run(*wrong, "--labels", "cell_type", expect=2).stderr


def test_a_signature_table_is_a_reference(files, tmp_path):
    result = run(
        "deconvolve",
        files / "bulk.csv",
        "--reference",
        files / "signature.csv",
        "--out",
        tmp_path / "out",
        "--method",
        "nnls",
        "--no-plots",
    )
    assert "warning: the bulk is counts" in result.stderr
    table = pd.read_csv(tmp_path / "out" / "intervals.csv")
    assert table["low"].isna().all()


@pytest.mark.slow
def test_demo(tmp_path):
    result = run("demo", "--out", tmp_path / "demo", "--no-progress")
    assert "SIMULATED" in result.stdout
    scores = pd.read_csv(tmp_path / "demo" / "scores.csv").set_index("method")
    assert scores.loc["laplace", "rmse"] < scores.loc["nnls", "rmse"]
    foreign = "laplace, foreign reference"
    assert scores.loc[foreign, "rmse"] < scores.loc[f"{foreign}, one platform", "rmse"]
    assert scores.loc[foreign, "coverage_95"] > 0.8
    page = (tmp_path / "demo" / "foreign" / "report.html").read_text(encoding="utf-8")
    assert "Bulks and reference" in page
    assert {path.name for path in (tmp_path / "demo" / "input").iterdir()} == {
        "bulk.csv", "purified.csv", "labels.csv", "expression.csv", "proportions.csv",
        "covariates.csv",
    }  # fmt: skip
    fixed = pd.read_csv(tmp_path / "demo" / "fastmix" / "fixed.csv", index_col="covariate")
    assert fixed.loc["Cell1.Group", "q_value"] < 1e-3
    assert (tmp_path / "demo" / "plots" / "intervals.png").stat().st_size > 10_000
    for report in ("report.html", "fastmix/report.html"):
        assert 20_000 < (tmp_path / "demo" / report).stat().st_size < 5e6
    assert (tmp_path / "demo" / "comparison" / "comparison.csv").is_file()


def test_output_is_kept_unless_forced(files, tmp_path):
    command = ("deconvolve", files / "bulk.csv", "--reference", files / "reference.nc",
               "--out", tmp_path / "out", "--method", "nnls", "--no-plots")  # fmt: skip
    run(*command)
    assert "add --force" in " ".join(run(*command, expect=2).stderr.split())
    run(*command, "--force")
    reference = ("reference", files / "purified.tsv.gz", "--labels", files / "labels.csv")
    assert "exists" in run(*reference, "--out", files / "reference.nc", expect=2).stderr


@pytest.fixture(scope="module")
def effects(tmp_path_factory):
    """Tables of a small cohort with a covariate that is a label, and subjects."""
    folder = tmp_path_factory.mktemp("effects")
    cohort = bd.simulate.fastmix("III", "code", 300, 40, seed=1)
    arm = cohort.covariates["Group"].map({0: "control", 1: "treated"})
    patients = [f"p{i // 2}" for i in range(40)]
    cohort.expression.to_csv(folder / "expression.csv")
    cohort.proportions.to_csv(folder / "proportions.tsv", sep="\t")
    pd.DataFrame({"arm": arm, "patient": patients}).to_csv(folder / "covariates.csv")
    return folder


def test_fastmix(effects, tmp_path):
    result = run(
        "fastmix",
        effects / "expression.csv",
        "--proportions",
        effects / "proportions.tsv",
        "--covariates",
        effects / "covariates.csv",
        "--subject",
        "patient",
        "--method",
        "mixture",
        "--out",
        tmp_path / "out",
    )
    assert "FastMix: 300 genes x 40 samples" in result.stdout
    fixed = pd.read_csv(tmp_path / "out" / "fixed.csv", index_col="covariate")
    assert fixed.index[3:5].tolist() == ["arm[T.treated]", "Cell1.arm[T.treated]"]
    genes = pd.read_csv(tmp_path / "out" / "genes.csv")
    assert genes.shape == (300 * 7, 11)
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["settings"]["correlation_within_subjects"] is not None
    assert set(record["inputs"]) == {"expression", "proportions", "covariates"}
    names = {path.name for path in (tmp_path / "out" / "plots").iterdir()}
    assert names == {"effects.png", *(f"volcano-Cell{i}.arm_T.treated.png" for i in (1, 2, 3))}


def test_fastmix_options_reach_the_estimator(effects, tmp_path):
    run(
        "fastmix",
        effects / "expression.csv",
        "--proportions",
        effects / "proportions.tsv",
        "--covariates",
        effects / "covariates.csv",
        "--formula",
        "~ arm",
        "--preset",
        "fastmix-0.2.5",
        "--include-covariates",
        "no",
        "--random",
        "Cell1",
        "--random",
        "Cell2",
        "--trim",
        "0.3",
        "--screen",
        "anderson",
        "--no-plots",
        "--out",
        tmp_path / "out",
    )
    settings = json.loads((tmp_path / "out" / "run.json").read_text())["settings"]
    assert settings["random"] == ["Cell1", "Cell2"]
    assert (settings["trim"], settings["screen"], settings["df"]) == (0.3, "anderson", "residual")
    assert settings["include_covariates"] is False
    assert not (tmp_path / "out" / "plots").exists()


BAD_EFFECTS = {
    "absent": (["--proportions", "no.csv", "--covariates", "{covariates}"], "does not exist"),
    "swapped": (["--proportions", "{covariates}", "--covariates", "{proportions}"], "numbers only"),
    "method": (["--proportions", "{proportions}", "--covariates", "{covariates}", "--method", "x"],
               "method: must be one of"),
    "yes or no": (["--proportions", "{proportions}", "--covariates", "{covariates}",
                   "--include-covariates", "perhaps"], "include-covariates: must be one of"),
    "patients": (["--proportions", "{proportions}", "--covariates", "{covariates}"],
                 "patient[T.p1] separates 2 samples from 38, with 3 cell types"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_EFFECTS)
def test_bad_fastmix_input(case, effects, tmp_path, monkeypatch):
    arguments, message = BAD_EFFECTS[case]
    places = {"proportions": effects / "proportions.tsv", "covariates": effects / "covariates.csv"}
    monkeypatch.chdir(tmp_path)
    given = [argument.format(**places) for argument in arguments]
    result = run("fastmix", effects / "expression.csv", *given, "--out", "out", expect=2)
    assert message in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


BAD = {
    "absent bulk": (["deconvolve", "nowhere.csv", "--reference", "{reference}"], "does not exist"),
    "absent reference": (["deconvolve", "{bulk}", "--reference", "no.nc"], "does not exist"),
    "labels as reference": (["deconvolve", "{bulk}", "--reference", "{labels}"], "numbers only"),
    "method": (["deconvolve", "{bulk}", "--reference", "{reference}", "--method", "x"],
               "method: must be one of"),
    "prob": (["deconvolve", "{bulk}", "--reference", "{reference}", "--prob", "95"], "prob:"),
    "df": (["deconvolve", "{bulk}", "--reference", "{reference}", "--df", "many"], "df: must be"),
    "swapped": (["deconvolve", "{labels}", "--reference", "{reference}"], "numbers only"),
    "genes": (["reference", "{purified}", "--labels", "{labels}", "--genes", "x.txt"], "genes:"),
    "covariance": (["reference", "{purified}", "--labels", "{labels}", "--covariance", "x"],
                   "covariance: must be one of"),
    "labels": (["reference", "{purified}", "--labels", "{bulk}"], "cell_type"),
    "no such option": (["deconvolve", "{bulk}", "--refrence", "x"], "No such option"),
    "data": (["demo", "--data", "iris"], "name: must be one of"),
    "pareto": (["deconvolve", "{bulk}", "--reference", "{reference}", "--max-pareto-k", "0"],
               "max_pareto_k: must be a positive number"),
    "chains": (["deconvolve", "{bulk}", "--reference", "{reference}", "--chains", "2"],
               "chains: is not an option of method='map'"),
    "report": (["report", "{folder}"], "must be the folder of a finished run"),
    "compare": (["compare", "{folder}", "{folder}"], "must be the folder of a finished run"),
    "calibrate": (["calibrate", "--method", "nnls"], "method: must be one of"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_exits_2_with_one_message_and_writes_nothing(case, files, tmp_path, monkeypatch):
    arguments, message = BAD[case]
    places = {
        "bulk": files / "bulk.csv",
        "reference": files / "reference.nc",
        "labels": files / "labels.csv",
        "purified": files / "purified.tsv.gz",
        "folder": files,
    }
    monkeypatch.chdir(tmp_path)
    given = [argument.format(**places) for argument in arguments]
    out = {"reference": "out.nc", "report": "out.html"}.get(given[0], "out")
    result = run(*given, "--out", tmp_path / out, expect=2)
    assert message in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_a_defect_is_one_message_too(files, tmp_path, monkeypatch):
    monkeypatch.setattr("bayesdecov.deconvolution.run.prepare", lambda *a, **k: 1 / 0)
    result = deconvolve(files, tmp_path / "out", expect=1)
    assert "unexpected ZeroDivisionError" in result.stderr


@pytest.mark.parametrize("command", [(), ("demo",), ("reference",), ("deconvolve",), ("fastmix",),
                                     ("report",), ("compare",), ("calibrate",)])  # fmt: skip
def test_help(command):
    assert "Usage: bayesdecov" in run(*command, "--help").stdout


def test_report_and_compare(files, tmp_path):
    for method in ("map", "laplace"):
        deconvolve(
            files,
            tmp_path / method,
            "--method",
            method,
            "--no-plots",
        )
    said = run("report", tmp_path / "map").stdout
    assert "written:" in said
    assert (tmp_path / "map" / "report.html").stat().st_size > 20_000
    assert "exists" in run("report", tmp_path / "map", expect=2).stderr
    result = run("compare", tmp_path / "map", tmp_path / "laplace", "--out", tmp_path / "both")
    assert "differences from 'laplace'" in result.stdout
    assert {path.name for path in (tmp_path / "both").iterdir()} == {
        "comparison.csv",
        "summary.csv",
        "comparison.png",
        "run.json",
    }


def test_nuts_options_reach_the_sampler(files, tmp_path):
    deconvolve(
        files,
        tmp_path / "out",
        "--method",
        "nuts",
        "--draws",
        "60",
        "--tune",
        "50",
        "--chains",
        "2",
        "--cores",
        "1",
        "--target-accept",
        "0.8",
        "--nuts-sampler",
        "nutpie",
        "--seed",
        "1",
        "--no-plots",
        "--no-progress",
    )
    settings = json.loads((tmp_path / "out" / "run.json").read_text())["settings"]
    assert (settings["draws"], settings["tune"], settings["chains"]) == (60, 50, 2)
    assert (settings["target_accept"], settings["nuts_sampler"]) == (0.8, "nutpie")
    table = pd.read_csv(tmp_path / "out" / "diagnostics.csv")
    assert {"r_hat", "ess_bulk", "divergences", "verdict"} <= set(table.columns)


def test_calibrate(tmp_path):
    result = run(
        "calibrate",
        "--out",
        tmp_path / "out",
        "--simulations",
        "30",
        "--cell-types",
        "2",
        "--genes",
        "10",
        "--seed",
        "1",
        "--no-progress",
    )
    assert "Calibration of proportions by laplace: 30 simulations" in result.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "coverage.csv",
        "ranks.csv",
        "uniformity.csv",
        "calibration.png",
        "run.json",
    }


def test_other_cells_and_cell_types_left_out(tmp_path):
    tissue = bd.simulate.tissue(6, 400, other=0.3, seed=2)
    tissue.bulk.to_csv(tmp_path / "bulk.csv")
    reference = bd.Reference.from_samples(tissue.purified, tissue.labels, "diagonal", genes=80)
    reference.save(tmp_path / "reference.nc")
    out = tmp_path / "run"
    run(
        "deconvolve",
        tmp_path / "bulk.csv",
        "--reference",
        tmp_path / "reference.nc",
        "--out",
        out,
        "--other",
        "--leave-one-out",
        "--seed",
        1,
        "--no-plots",
    )
    assert "other" in pd.read_csv(out / "proportions.csv").columns
    assert "p_other" in pd.read_csv(out / "diagnostics.csv").columns
    assert {"left_out", "absorbed"} <= set(pd.read_csv(out / "sensitivity.csv").columns)
    assert json.loads((out / "run.json").read_text())["settings"]["other"] is True


def test_version():
    assert run("--version").stdout.strip() == f"bayesdecov {bd.__version__}"


def test_import_is_quick_and_leaves_pymc_alone():
    """Neither importing the package nor either verb loads PyMC."""
    code = (
        "import sys, bayesdecov as bd; heavy = {'pymc', 'pytensor', 'arviz'}; "
        "assert not heavy & set(sys.modules); assert 'pandas' not in sys.modules; "
        "c = bd.simulate.convolution(n_samples=2, n_genes=30, n_types=2, seed=1); "
        "r = bd.Reference.from_samples(c.purified, c.labels, 'diagonal'); "
        "bd.deconvolve(c.bulk, r); assert not heavy & set(sys.modules); "
        "m = bd.simulate.fastmix('III', n_genes=50, n_samples=20, seed=1); "
        "bd.fastmix(m.expression, m.proportions, m.covariates, 'mixture'); "
        "assert not heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
