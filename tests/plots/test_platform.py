"""Factors of genes as a picture: every gene once, outliers in their own colour."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    weight = np.ones(30)
    weight[:2] = 0.1
    return pd.DataFrame(
        {"shift": rng.normal(size=30), "sd": 0.1, "kept": 0.9, "weight": weight},
        pd.Index([f"$g{i}" for i in range(30)], name="gene"),
    )


def test_every_gene_is_drawn_once(table, tmp_path):
    figure = bd.plots.gene_shifts(table)
    axes = figure.axes[0]
    drawn = [line.get_xydata() for line in axes.lines if len(line.get_xdata()) in (2, 28)]
    assert sorted(np.concatenate(drawn)[:, 1][-30:]) == pytest.approx(sorted(table["shift"]))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "genes",
        "outliers (small weight)",
    ]
    figure.savefig(tmp_path / "a.png")  # names with dollars are no mathematics


def test_against_expression(table):
    expression = pd.Series(np.arange(30.0), table.index)
    axes = bd.plots.gene_shifts(table, expression).axes[0]
    assert axes.get_xlabel() == "expression (log2)"
