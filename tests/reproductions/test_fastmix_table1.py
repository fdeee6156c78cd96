"""Table 1 of FastMix: what is averaged, what is said, and the numbers of the original programs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesdecov.reproductions import fastmix_table1 as table1
from tests.test_cli import run


@pytest.fixture(scope="module")
def tables():
    """Two data sets in each scenario, with fewer genes than the paper's."""
    two = table1.simulation_two(2, seed=100, genes=1500)
    three = table1.simulation_three(2, seed=100, genes=1500)
    return two, three


@pytest.mark.slow
def test_errors_are_those_of_the_original(tables):
    """Two data sets of the R program, ridge and least squares: within 20 %, a data set's spread."""
    two = table1.averages(tables[0], ["correlation", "shifted", "method"])
    found = two.set_index(["method", "correlation", "shifted"])
    theirs = {  # effects: FastMix, least squares, ridge in R 4.2.2
        (0.0, False): (0.5383, 1.5671, 0.7657),
        (0.5, False): (0.3376, 1.5671, 0.6560),
        (0.0, True): (0.5939, 1.5629, 0.8014),
        (0.5, True): (0.4287, 1.5629, 0.7050),
    }
    for (correlation, shifted), expected in theirs.items():
        for name, value in zip(("FastMix 0.2.5", "least squares", "ridge"), expected, strict=True):
            assert found.loc[(name, correlation, shifted), "effects"] == pytest.approx(
                value, rel=0.2
            )
    assert found.loc[("FastMix 0.2.5, independent", 0.5, False), "psi"] > 20  # its floor
    assert found.loc[("mixture", 0.5, True), "psi"] < found.loc[("FastMix 0.2.5", 0.5, True), "psi"]


@pytest.mark.slow
def test_rates(tables):
    three = table1.averages(tables[1], ["correlation", "method"]).set_index("method")
    level = three[["type I Cell1", "type I Cell2", "type I Cell3"]]
    # at most nominal: 1,425 null genes in two data sets have a standard error of .004
    assert level.loc["mixture"].max(axis=None) < 0.065
    assert level.loc["csSAM"].min(axis=None) > level.loc["FastMix 0.2.5"].max(axis=None)
    assert (level.loc["mixture, q"].to_numpy() < 0.01).all()
    power = three["power Cell1"]
    assert (power["csSAM"].to_numpy() > power["csSAM, q"].to_numpy()).all()


def test_averages():
    table = pd.DataFrame(
        {"k": ["a", "a", "b", "b"], "replicate": [0, 1, 0, 1], "x": [1.0, 3.0, 5.0, 5.0]}
    )
    found = table1.averages(table, ["k"]).set_index("k")
    assert found["x"].tolist() == [2.0, 5.0]
    assert found["se of x"].tolist() == pytest.approx([np.sqrt(2) / np.sqrt(2), 0.0])


@pytest.mark.slow
def test_summary_and_picture_follow_the_numbers(tables):
    two = table1.averages(tables[0], ["correlation", "shifted", "method"])
    three = table1.averages(tables[1], ["correlation", "method"])
    value = two.set_index(["method", "correlation", "shifted"])["psi"]["FastMix 0.2.5", 0.5, False]
    assert f"FastMix {value:.2f} with correlation (paper: 0.21)" in table1.summary(two, three, 2)
    assert f"FastMix {2 * value:.2f} with" in table1.summary(
        two.assign(psi=2 * two["psi"]), three, 2
    )
    figure = table1.picture(two, three)
    points = [line for line in figure.axes[2].lines if line.get_marker() in ("o", "s")]
    assert len(points) == len(three)


def test_command(tmp_path, monkeypatch):
    monkeypatch.setattr(table1, "_QUICK", 1)
    monkeypatch.setattr(table1, "_PERMUTATIONS", 5)
    monkeypatch.setattr(table1, "GENES", 400)
    result = run(
        "reproduce", "fastmix-table1", "--quick", "--out", tmp_path / "out", "--no-progress"
    )
    assert "FastMix, Table 1: 1 data sets each" in result.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "table1ab.csv",
        "table1cde.csv",
        "table1.png",
        "summary.txt",
        "run.json",
    }
