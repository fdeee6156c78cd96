"""Every malformed input of the corpus, through Python and through the command line."""

from __future__ import annotations

import re
import shutil
import warnings

import pytest
from typer.testing import CliRunner

import bayesdecov as bd
from bayesdecov.cli.app import app
from bayesdecov.errors import BayesdecovWarning, InputError
from bayesdecov.io.tables import read_table
from tests.malformed.corpus import CASES


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder in which everything works."""
    folder = tmp_path_factory.mktemp("whole")
    cohort = bd.simulate.convolution(n_samples=6, n_genes=80, n_types=3, depth=1e5, seed=1)
    cohort.bulk.to_csv(folder / "bulk.csv", index_label="gene")
    cohort.purified.to_csv(folder / "purified.csv", index_label="gene")
    cohort.labels.to_csv(folder / "labels.csv", index_label="sample")
    cohort.mean.to_csv(folder / "signature.csv", index_label="gene")
    reference = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal", genes=40)
    reference.save(folder / "reference.nc")
    effects = bd.simulate.fastmix("III", "code", 120, 24, seed=1)
    effects.expression.to_csv(folder / "expression.csv", index_label="gene")
    effects.proportions.to_csv(folder / "proportions.csv", index_label="sample")
    effects.covariates.to_csv(folder / "covariates.csv", index_label="sample")
    bd.simulate.cytometry(1, 800, seed=4).write(folder)
    bd.gating.write_hierarchy(bd.simulate.blood_hierarchy(k=20), folder / "gates.toml")
    return folder


def arguments(command, f):
    """The command line of a case."""
    return {
        "reference": ["reference", f / "purified.csv", "--labels", f / "labels.csv",
                      "--covariance", "diagonal", "--genes", "40"],
        "deconvolve": ["deconvolve", f / "bulk.csv", "--reference", f / "reference.nc",
                       "--no-plots"],
        "signature": ["deconvolve", f / "bulk.csv", "--reference", f / "signature.csv",
                      "--no-plots"],
        "fastmix": ["fastmix", f / "expression.csv", "--proportions", f / "proportions.csv",
                    "--covariates", f / "covariates.csv", "--no-plots"],
        "contrast": ["contrast", f / "proportions.csv", "--covariates", f / "covariates.csv",
                     "--draws", "100"],
        "gate": ["gate", f / "donor01.fcs", "--hierarchy", f / "gates.toml", "--no-plots"],
    }[command]  # fmt: skip


def in_python(command, f):
    """The same in Python."""
    if command == "reference":
        return bd.Reference.from_samples(f / "purified.csv", f / "labels.csv", "diagonal", genes=40)
    if command == "deconvolve":
        return bd.deconvolve(f / "bulk.csv", f / "reference.nc")
    if command == "signature":
        return bd.deconvolve(f / "bulk.csv", f / "signature.csv")
    if command == "fastmix":
        return bd.fastmix(
            f / "expression.csv",
            read_table(f / "proportions.csv", "proportions"),
            read_table(f / "covariates.csv", "covariates"),
        )
    if command == "contrast":
        return bd.contrast(
            read_table(f / "proportions.csv", "proportions"),
            read_table(f / "covariates.csv", "covariates"),
            sampling=bd.Sampling(draws=100),
        )
    return bd.gate([f / "donor01.fcs"], f / "gates.toml")


def test_the_folder_works(whole, tmp_path):
    for command in ("reference", "deconvolve", "signature", "fastmix", "contrast", "gate"):
        out = tmp_path / (f"{command}.nc" if command == "reference" else command)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BayesdecovWarning)
            result = CliRunner().invoke(
                app, [*map(str, arguments(command, whole)), "--out", str(out)]
            )
            in_python(command, whole)
        assert result.exit_code == 0, result.output + result.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_malformed(case, whole, tmp_path):
    folder, place = tmp_path / "input", tmp_path / "output"
    shutil.copytree(whole, folder)
    place.mkdir()
    case.change(folder / case.file)
    said = re.compile(case.said, re.IGNORECASE)
    if case.kind == "error":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", BayesdecovWarning)
            with pytest.raises(InputError, match=said):
                in_python(case.command, folder)
    else:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            in_python(case.command, folder)
        assert any(said.search(str(each.message)) for each in caught), [*map(str, caught)]
        assert {each.category for each in caught} == {BayesdecovWarning}
    out = place / ("out.nc" if case.command == "reference" else "out")
    given = [*map(str, arguments(case.command, folder)), "--out", str(out)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesdecovWarning)
        result = CliRunner().invoke(app, given)
    shown = " ".join(result.stderr.split())
    assert said.search(shown), shown
    assert "Traceback" not in result.output + result.stderr
    assert "unexpected" not in shown
    assert result.exit_code == (2 if case.kind == "error" else 0)
    assert out.exists() == (case.kind == "warning")
    assert len(list(place.iterdir())) == (case.kind == "warning")


def test_the_corpus_is_large():
    assert len(CASES) == len({case.name for case in CASES}) >= 40
