"""Parquet tables by parts: the same as pandas reads of the whole."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesdecov.errors import InputError
from bayesdecov.io.parquet import Parquet

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def stored(tmp_path):
    """57 genes x 9 samples in row groups of 10."""
    values = np.random.default_rng(0).gamma(2.0, 2.0, (57, 9))
    table = pd.DataFrame(values, [f"g{i}" for i in range(57)], [f"s{i}" for i in range(9)])
    table.rename_axis("gene").to_parquet(tmp_path / "t.parquet", row_group_size=10)
    return table, Parquet(tmp_path / "t.parquet", "bulk")


def test_parts_make_the_whole(stored):
    table, file = stored
    assert list(file.index) == list(table.index)
    assert list(file.columns) == list(table.columns)
    pd.testing.assert_frame_equal(file.whole(), table, check_names=False)
    for size in (1, 7, 10, 57, 100):
        batches = list(file.batches(size))
        assert max(map(len, batches)) <= size
        pd.testing.assert_frame_equal(pd.concat(batches), table, check_names=False)
        samples = [file.samples(start, start + size) for start in range(0, 9, size)]
        pd.testing.assert_frame_equal(pd.concat(samples, axis=1), table, check_names=False)


def test_genes_by_number_across_batches(stored):
    table, file = stored
    rng = np.random.default_rng(1)
    chosen = [slice(0, 5), slice(8, 33), slice(55, 99), slice(None), np.array([], dtype=int),
              *(np.sort(rng.permutation(57)[:k]) for k in (1, 4, 30))]  # fmt: skip
    for rows in chosen:
        for size in (3, 10, 60):
            found = file.genes(rows, size)
            pd.testing.assert_frame_equal(found, table.iloc[rows], check_names=False)


def test_names_are_the_stored_index_or_a_first_column_of_text(tmp_path):
    path = tmp_path / "t.parquet"
    plain = pd.DataFrame({"a": [1.0, 2.0], "b": [3, 4]})
    for frame, names, axis in (
        (plain, [0, 1], None),
        (plain.set_axis([10, 12]), [10, 12], None),
        (plain.set_axis(pd.RangeIndex(5, 9, 2)), [5, 7], None),
        (plain.set_axis(["x", "y"]), ["x", "y"], None),
        (plain.set_axis(["x", "y"]).rename_axis("gene"), ["x", "y"], "gene"),
        (plain.assign(gene=["x", "y"])[["gene", "a", "b"]], ["x", "y"], "gene"),
    ):
        frame.to_parquet(path)
        file = Parquet(path, "bulk")
        assert (list(file.index), file.index.name) == (names, axis)
        np.testing.assert_array_equal(file.whole().to_numpy(), plain.to_numpy())
    pq.write_table(pa.table({"gene": [b"x", b"y"], "a": [1.0, 2.0]}), path)  # not by pandas
    assert list(Parquet(path, "bulk").index) == ["x", "y"]


def test_files_that_are_no_expression(tmp_path):
    path = tmp_path / "t.parquet"
    twice = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["a", "a"])
    nested = pa.table({"gene": ["x"], "a": [[1.0, 2.0]]})
    for made, said in ((twice, "must have unique column names"),
                       (nested, "only numbers and text; found list.* in column 'a'")):  # fmt: skip
        pq.write_table(made, path)
        with pytest.raises(InputError, match=f"bulk: .*{said}"):
            Parquet(path, "bulk")
    table = pd.DataFrame({"a": [1.0]}, pd.MultiIndex.from_tuples([("x", "y")], names=["p", "q"]))
    table.to_parquet(path)
    with pytest.raises(InputError, match=r"must have one column of gene names; found \['p', 'q'\]"):
        Parquet(path, "bulk")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"bulk: .*cannot be read as a parquet table"):
        Parquet(path, "bulk")


def test_a_file_that_needs_more_memory_than_is_allowed(stored, monkeypatch):
    monkeypatch.setenv("BAYESDECOV_MAX_MEMORY", "2K")
    with pytest.raises(InputError, match="57 x 10 values"):
        stored[1].whole()
