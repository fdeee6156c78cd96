"""mRNA per cell: the content of a simulation, and what cannot be compared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesdecov.cells.content import mrna_per_cell

TYPES = list("ABCD")
CONTENT = np.array([1.0, 3.0, 0.5, 2.0])


def table(present, depth, cells=200):
    """``present`` (block, type): a block's cells of a type; depths differ between blocks."""
    rows = [
        (TYPES[t], f"donor {b % 2}", f"batch {b}", cells, cells * depth[b] * CONTENT[t])
        for b, t in zip(*np.nonzero(present), strict=True)
    ]
    return pd.DataFrame(rows, columns=["cell_type", "donor", "batch", "cells", "counts"])


def test_depths_of_blocks_do_not_matter():
    depth = np.array([1000.0, 200.0, 5000.0])
    present = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]])  # a chain
    found = mrna_per_cell(table(present, depth))
    np.testing.assert_allclose(found / found["A"], CONTENT / CONTENT[0], rtol=1e-9)
    assert found.mean() == pytest.approx(1)


def test_a_type_of_another_study_is_unknown():
    present = np.array([[1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 1]])
    found = mrna_per_cell(table(present, np.array([1000.0, 2000.0, 300.0])))
    assert found.index[found.isna()].tolist() == ["D"]
    np.testing.assert_allclose(found["B"] / found["A"], 3.0)


def test_large_groups_weigh_more():
    many, few = (table(np.ones((2, 4), int), np.ones(2) * 1000, cells=n) for n in (5000, 10))
    few["counts"] *= np.where(few["cell_type"] == "A", 2.0, 1.0)
    few["batch"] = "other " + few["batch"]
    found = mrna_per_cell(pd.concat([many, few]))
    assert 1.0 < found["A"] / (found["B"] / 3) < 2**0.5
