"""Tables that are read a part at a time."""

from __future__ import annotations

import tempfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesdecov.errors import InputError
from bayesdecov.io import blocks
from bayesdecov.io.blocks import Blocks, stays_on_disk

anndata = pytest.importorskip("anndata")


def frame(genes, samples):
    values = np.arange(genes * samples, dtype=float).reshape(genes, samples)
    return pd.DataFrame(values, [f"g{i}" for i in range(genes)], [f"s{i}" for i in range(samples)])


def as_anndata(table):
    return anndata.AnnData(
        table.to_numpy().T, pd.DataFrame(index=table.columns), pd.DataFrame(index=table.index)
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 40))
def test_parts_make_the_whole(genes, samples, size):
    table = frame(genes, samples)
    for source in (Blocks(table, "x"), Blocks(as_anndata(table), "x")):
        parts = [source.take(i, i + size) for i in range(0, samples, size)]
        pd.testing.assert_frame_equal(pd.concat(parts, axis=1), table)
        rows = [source.genes(slice(i, i + size)) for i in range(0, genes, size)]
        pd.testing.assert_frame_equal(pd.concat(rows), table)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 30), st.integers(1, 9), st.integers(1, 12), st.booleans())
def test_parts_of_parquet(genes, samples, size, named):
    pytest.importorskip("pyarrow")
    table = frame(genes, samples)
    with tempfile.TemporaryDirectory() as place:
        path = f"{place}/x.parquet"
        (table if named else table.reset_index(names="gene")).to_parquet(path, row_group_size=7)
        source = Blocks(path, "x")
        assert source.index.name == (None if named else "gene")
        table.index.name = source.index.name
        parts = [source.take(i, i + size) for i in range(0, samples, size)]
        pd.testing.assert_frame_equal(pd.concat(parts, axis=1), table)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(blocks, "_BYTES", 8 * samples * size)
            batches = list(source.by_genes())
            pd.testing.assert_frame_equal(pd.concat(batches), table)
            assert max(map(len, batches)) <= size
            some = np.arange(0, genes, 2)
            pd.testing.assert_frame_equal(source.genes(some), table.iloc[some])


def written(tmp_path, table):
    table.to_parquet(tmp_path / "x.parquet")
    return Blocks(tmp_path / "x.parquet", "x")


def test_names_that_are_numbers(tmp_path):
    pytest.importorskip("pyarrow")
    table = frame(6, 4).set_axis(range(4), axis=1).set_axis(range(1000, 1012, 2))
    source = written(tmp_path, table)
    whole = pd.concat(source.by_genes())
    assert list(whole.index) == list(source.index) == list(table.index)
    assert list(whole.columns) == list(source.columns) == ["0", "1", "2", "3"]
    pd.testing.assert_frame_equal(whole, source.take(0, 4))


def test_first_columns_that_are_names_or_are_not(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = frame(3, 2)
    for names in (pd.Categorical(table.index), [name.encode() for name in table.index]):
        plain = table.reset_index(drop=True)
        plain.insert(0, "gene", names)
        pd.testing.assert_frame_equal(
            pd.concat(written(tmp_path, plain).by_genes()), table.rename_axis("gene")
        )
    plain["gene"] = [["a", "b"], ["c"], []]
    with pytest.raises(InputError, match="one name for each gene; found several in column 'gene'"):
        written(tmp_path, plain)
    twice = pyarrow.table([["a"], [1.0], [2.0]], names=["gene", "s1", "s1"])
    parquet.write_table(twice, tmp_path / "x.parquet")
    with pytest.raises(InputError, match="must have unique column names"):
        Blocks(tmp_path / "x.parquet", "x")
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(InputError, match="is not a file"):
        Blocks(tmp_path / "folder.parquet", "x")


def test_damaged_parquet_is_said(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "x.parquet"
    frame(40, 5).to_parquet(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(InputError, match="cannot be read as a parquet table"):
        Blocks(path, "x")
    path.write_bytes(whole[:40] + bytes(len(whole) // 4) + whole[40 + len(whole) // 4 :])
    with pytest.raises(InputError, match="cannot be read as a parquet table"):
        list(Blocks(path, "x").by_genes())
    with pytest.raises(InputError, match="does not exist"):
        Blocks(tmp_path / "y.parquet", "x")
    table = frame(4, 3).set_index([["a", "a", "b", "b"], list("wxyz")])
    table.to_parquet(path)
    with pytest.raises(InputError, match="one column of gene names"):
        Blocks(path, "x")


def test_by_genes_keeps_to_its_size(monkeypatch):
    monkeypatch.setattr(blocks, "_BYTES", 8 * 7 * 3)
    parts = list(Blocks(frame(10, 7), "x").by_genes())
    assert [len(part) for part in parts] == [3, 3, 3, 1]


def test_what_stays_on_disk(tmp_path):
    table = frame(4, 3)
    data = as_anndata(table)
    data.write_h5ad(tmp_path / "x.h5ad")
    backed = anndata.read_h5ad(tmp_path / "x.h5ad", backed="r")
    assert stays_on_disk(tmp_path / "x.h5ad")
    assert stays_on_disk(backed)
    assert not any(stays_on_disk(each) for each in (table, data, tmp_path / "x.csv"))
    pd.testing.assert_frame_equal(Blocks(backed, "x").take(0, 3), table)
    backed.file.close()


def test_sparse_values_are_made_dense(tmp_path):
    sparse = pytest.importorskip("scipy.sparse")
    table = frame(4, 3)
    data = as_anndata(table)
    data.X = sparse.csr_matrix(data.X)
    data.write_h5ad(tmp_path / "x.h5ad")
    source = Blocks(tmp_path / "x.h5ad", "x")
    pd.testing.assert_frame_equal(source.take(0, 2), table.iloc[:, :2])
    pd.testing.assert_frame_equal(source.genes(slice(1, 3)), table.iloc[1:3])


def test_neither_table_nor_path():
    with pytest.raises(InputError, match="x: must be a DataFrame"):
        Blocks(3, "x")
    with pytest.raises(InputError, match="x: must not be empty"):
        Blocks(frame(3, 3).iloc[:0], "x")


def test_some_samples_from_anywhere(tmp_path):
    table = frame(5, 9)
    where = np.array([0, 1, 4, 8])
    table.to_parquet(tmp_path / "t.parquet")
    for source in (table, as_anndata(table), tmp_path / "t.parquet"):
        found = Blocks(source, "bulk").some(where)
        pd.testing.assert_frame_equal(
            found, table.iloc[:, where], check_names=False, check_index_type=False
        )
