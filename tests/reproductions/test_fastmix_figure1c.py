"""Figure 1c of FastMix: three ellipses."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.reproductions import fastmix_figure1c as figure1c
from tests.test_cli import run


@pytest.fixture(scope="module")
def table():
    return figure1c.errors(2, seed=5, genes=2000)


def test_the_corrected_ellipse_lies_between(table):
    area = table.groupby("ellipse")["area"].mean()
    assert area["truth"] == pytest.approx(1)
    assert area["central half"] < 0.5 < area["FastMix"] < area["all genes"]
    # a Wishart of 2,000 genes has a relative error of about 2 % of its area
    assert area["mixture"] == pytest.approx(1, abs=0.06)


def test_correction_is_the_closed_form():
    found, b, reacts = figure1c.ellipses(7, 1000)
    # d = 2, S = .5: F_4(q) at the median q of chi-squared 2 is 1/2 - ln(2)/2
    factor = 0.5 / (0.5 - np.log(2) / 2)
    assert np.allclose(found["FastMix"], factor * found["central half"])
    assert np.allclose(found["all genes"], np.cov(b.to_numpy(), rowvar=False))
    assert reacts.sum() == 100


def test_summary_follows_the_numbers(table):
    assert "lies between the other two" in figure1c.summary(table, 2)
    turned = table.assign(area=1 / table["area"])
    assert "Contrary to the paper" in figure1c.summary(turned, 2)


def test_command(tmp_path, monkeypatch):
    monkeypatch.setattr(figure1c, "_QUICK", 1)
    monkeypatch.setattr(figure1c, "GENES", 500)
    result = run(
        "reproduce", "fastmix-figure1c", "--quick", "--out", tmp_path / "out", "--no-progress"
    )
    assert "Figure 1c" in result.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "errors.csv",
        "ellipses.csv",
        "figure1c.png",
        "summary.txt",
        "run.json",
    }
