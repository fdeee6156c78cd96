"""Groups of cells, from columns as people have them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesdecov.cells.groups import grouped
from bayesdecov.errors import BayesdecovWarning, InputError, Notes

DROP = ("unknown",)


def obs(**columns):
    return pd.DataFrame(columns, index=[f"c{i}" for i in range(len(next(iter(columns.values()))))])


def test_cells_of_a_type_donor_and_batch_are_a_group():
    table = obs(t=list("ABABA"), d=["x", "x", "y", "y", "x"], b=["1", "1", "1", "2", "1"])
    found = grouped(table, "t", "d", "b", DROP, Notes())
    rows = found.table.loc[found.codes, ["cell_type", "donor", "batch"]].to_numpy()
    np.testing.assert_array_equal(rows, table[["t", "d", "b"]].to_numpy())
    assert found.table["cells"].tolist() == [2, 1, 1, 1]


@pytest.mark.parametrize("missing", [None, np.nan, "nan", "NA", "<NA>", "None", "Unknown", " ", ""])
def test_cells_without_a_type_are_left_out_and_counted(missing):
    table, notes = obs(t=["A", "B", missing, "A "]), Notes()
    found = grouped(table, "t", None, None, DROP, notes)
    assert found.codes.tolist() == [0, 1, -1, 0]
    assert "1 of 4 cells left out" in notes.lines[0]


def test_cells_without_a_donor_are_left_out_and_counted():
    notes = Notes()
    found = grouped(obs(t=list("ABA"), d=["x", "x", None]), "t", "d", None, DROP, notes)
    assert found.codes.tolist() == [0, 1, -1]
    assert "1 cells without a donor left out" in notes.lines[0]


def test_types_that_differ_in_spelling_are_warned_of():
    with pytest.warns(BayesdecovWarning, match="'CD8 T' and 'cd8_t'"):
        found = grouped(obs(t=["CD8 T", "cd8_t", "B"]), "t", None, None, DROP, Notes())
    assert len(found.table) == 3


def test_labels_may_be_categories_numbers_or_truth_values():
    for values in (
        pd.Categorical(["a", "b", "a"], categories=["b", "a", "unused"]),
        [1, 2, 1],
        [1.0, 2.0, 1.0],
        [True, False, True],
    ):
        found = grouped(obs(t=values), "t", None, None, DROP, Notes())
        assert len(found.table) == 2
        assert found.codes[0] == found.codes[2] != found.codes[1]
    labels = grouped(obs(t=[1.0, 2.0, np.nan]), "t", None, None, DROP, Notes()).table["cell_type"]
    assert labels.tolist() == ["1", "2"]


@pytest.mark.parametrize(("columns", "cell_type", "donor", "message"), [
    ({"cluster": ["a", "b"]}, "cell_type", None, "cell_type: must be a column .* cluster"),
    ({"t": ["a", "b"]}, "t", "donor_id", "donor: must be a column"),
    ({"t": [0.5, 1.2]}, "t", None, "must be a column of names; found numbers such as 0.5"),
    ({"t": ["nan", None]}, "t", None, "must name the type of some cells"),
    ({"t": ["A", "B"], "d": [None, "NA"]}, "t", "d", "donor: must name the donor of some cells"),
    ({"t": ["A", "B\n"], "d": ["x", "y\0z"]}, "t", "d", "donor"),
    ({"t": ["A", "B"]}, ["t"], None, "cell_type: must be the name of one column"),
    ({"t": [f"cell {i}" for i in range(500)]}, "t", None, "at most 200 types; found 500"),
])  # fmt: skip
def test_wrong_columns(columns, cell_type, donor, message):
    with pytest.raises(InputError, match=message):
        grouped(obs(**columns), cell_type, donor, None, DROP, Notes())
