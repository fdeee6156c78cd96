"""Strips of dot plots show what was asked for."""

from __future__ import annotations

import pytest

import bayesdecov as bd
from bayesdecov.errors import InputError
from bayesdecov.gating import (
    Box,
    Clustering,
    Composition,
    Exclusion,
    Gate,
    Hierarchy,
    Polygon,
    Slope,
)


@pytest.fixture(scope="module")
def gated():
    cohort = bd.simulate.cytometry(2, 1500, seed=3)
    tables = {name: events.drop(columns="Time") / 64 for name, events in cohort.samples.items()}
    cells = Box(30, 200, 5, 200)
    tree = Hierarchy(
        (
            Gate("Singlets", "FSC-A", "FSC-H", Slope(0.62, 0.95), mode="events"),
            Gate("Cells", "FSC-A", "SSC-A", cells, "Singlets",
                 exclude=(Exclusion(Box(0, 20, 0, 20)),)),
            Gate("Small", "FSC-A", "SSC-A", Polygon(((30, 5), (90, 5), (60, 60))), "Singlets"),
            Gate("a long name of a population$", "APC-A", "V450-A", Box(0, 1, 0, 1), "Cells"),
        ),
        clustering=Clustering(k=30, init="k-means++"), composition=Composition(types=("Cells",)),
    )  # fmt: skip
    return bd.gate(tables, tree)


def test_one_panel_for_gates_on_the_same_axes(gated):
    figure = bd.plots.gates(gated, "donor01")
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert len(titles) == 3
    assert titles[0].startswith("Singlets: ")
    assert titles[1].count("\n") == 1
    assert titles[1].startswith("Cells: ")
    panel = figure.axes[1]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("FSC-A", "SSC-A")
    assert len(panel.patches) == 3  # box, excluded box, polygon
    assert panel.get_xlim() == (-4, 204)
    crosses = [line for line in panel.lines if line.get_marker() == "+"]
    assert len(crosses[0].get_xdata()) == len(gated.pictures["donor01"].kept[1])


def test_one_panel_for_every_sample(gated):
    figure = bd.plots.gate(gated, "Cells")
    assert [axes.get_title(loc="left").split("\n")[0] for axes in figure.axes] == [
        "donor01",
        "donor02",
    ]
    counts = gated.counts
    share = 100 * counts.loc["donor02", "Cells"] / counts.loc["donor02", "Singlets"]
    assert f"{share:.1f} % of Singlets" in figure.axes[1].get_title(loc="left")


def test_unknown_names(gated):
    with pytest.raises(InputError, match="must be one of 'donor01', 'donor02'"):
        bd.plots.gates(gated, "x")
    with pytest.raises(InputError, match="gate: must be one of"):
        bd.plots.gate(gated, "x")
