"""Populations of single events as files, and what is refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayesdecov.errors import InputError
from bayesdecov.gating.members import check_members, write_members

TABLE = pd.DataFrame(
    {"T": [True, False, True], "B": [False, False, True]}, pd.RangeIndex(1, 4, name="event")
)


def test_tables_hold_zeros_and_ones_by_the_number_of_the_event(tmp_path):
    write_members(TABLE, "csv", tmp_path / "a.csv", None)
    found = pd.read_csv(tmp_path / "a.csv", index_col="event")
    np.testing.assert_array_equal(found, TABLE.astype(int))
    assert list(found.index) == [1, 2, 3]
    pytest.importorskip("pyarrow")
    write_members(TABLE, "parquet", tmp_path / "a.parquet", None)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.parquet"), TABLE)


def test_no_members_are_always_possible_and_unknown_kinds_never():
    check_members(None, ["s"], {})
    check_members("csv", ["s"], {})
    with pytest.raises(InputError, match="members: must be one of 'csv', 'parquet', 'fcs'"):
        check_members("xlsx", ["s"], {})


def test_parameters_are_added_to_fcs_files_only():
    files = {"one": Path("one.csv")}
    with pytest.raises(InputError, match="found no FCS file for one, two"):
        check_members("fcs", ["one", "two"], files)
