"""AnnData in memory and in files: values and names as anndata itself has them."""

from __future__ import annotations

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from bayesdecov.errors import InputError
from bayesdecov.io.anndata import (
    dense,
    from_anndata,
    is_anndata,
    new_anndata,
    open_anndata,
)

anndata = pytest.importorskip("anndata")


def made(kind=np.asarray, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.poisson(0.7, (6, 9)).astype(float)
    obs = pd.DataFrame({"donor": list("xxyyzz")}, [f"s{i}" for i in range(6)])
    return anndata.AnnData(kind(values), obs, pd.DataFrame(index=[f"g{i}" for i in range(9)])), (
        pd.DataFrame(values.T, [f"g{i}" for i in range(9)], [f"s{i}" for i in range(6)])
    )


@pytest.fixture
def quick(monkeypatch):
    """Small files are read without the process that looks into them first."""
    monkeypatch.setattr("bayesdecov.io.hdf5._probed", lambda *_: {"ok": {"obs": 9, "var": 9}})


KINDS = pytest.mark.parametrize("kind", [
    np.asarray, np.float32, np.int64, sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array,
])  # fmt: skip


@KINDS
def test_samples_become_columns(kind):
    adata, table = made(kind)
    assert is_anndata(adata)
    pd.testing.assert_frame_equal(from_anndata(adata), table)


@KINDS
def test_a_file_holds_the_same(kind, tmp_path, quick):
    adata, table = made(kind)
    adata.write_h5ad(tmp_path / "a.h5ad")
    opened = open_anndata(tmp_path / "a.h5ad", "bulk")
    assert is_anndata(opened)
    assert list(opened.obs["donor"]) == list("xxyyzz")
    pd.testing.assert_frame_equal(from_anndata(opened), table)
    np.testing.assert_array_equal(dense(opened.X[2:4], "bulk"), table.iloc[:, 2:4].T)


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data")
def test_a_zarr_store_holds_the_same(tmp_path, quick):
    pytest.importorskip("zarr")
    adata, table = made(sparse.csr_matrix)
    adata.write_zarr(tmp_path / "a.zarr")
    pd.testing.assert_frame_equal(from_anndata(open_anndata(tmp_path / "a.zarr", "bulk")), table)


def test_what_an_anndata_lacks_is_said(tmp_path, quick):
    adata, _ = made()
    for name in ("X", "obs", "var"):
        adata.write_h5ad(tmp_path / f"{name}.h5ad")
        with h5py.File(tmp_path / f"{name}.h5ad", "a") as file:
            del file[name]
        with pytest.raises(InputError, match=rf"bulk: .* has no {name}\. It must be an AnnData"):
            open_anndata(tmp_path / f"{name}.h5ad", "bulk")
    with pytest.raises(InputError, match="table: must have expression in X"):
        from_anndata(new_anndata(pd.Index(["a", "b"])))


@pytest.mark.parametrize(("values", "said"), [
    (np.zeros((6, 8)), r"is damaged; found X of shape \(6, 8\) for 6 samples and 9 genes"),
    (np.full((6, 9), b"x"), "must contain numbers in X; found values of type"),
])  # fmt: skip
def test_values_that_cannot_be_of_these_names(values, said, tmp_path, quick):
    adata, _ = made()
    adata.write_h5ad(tmp_path / "a.h5ad")
    with h5py.File(tmp_path / "a.h5ad", "a") as file:
        del file["X"]
        file["X"] = values
    with pytest.raises(InputError, match=said):
        open_anndata(tmp_path / "a.h5ad", "bulk")


def test_sparse_matrices_that_point_outside_are_refused():
    matrix = sparse.csr_matrix(np.eye(3))
    matrix.indices[1] = 7
    with pytest.raises(InputError, match="bulk: must not contain a damaged sparse matrix"):
        dense(matrix, "bulk")


def test_text_instead_of_numbers_is_refused():
    adata, _ = made()

    class Text:
        X = np.full((6, 9), "x", dtype=object)
        obs_names, var_names, obs = adata.obs_names, adata.var_names, adata.obs

    with pytest.raises(InputError, match="bulk: must contain numbers in X"):
        from_anndata(Text(), "bulk")
    assert not is_anndata(pd.DataFrame())


def test_names_of_results_are_text():
    found = new_anndata(pd.Index([1, 2]), pd.Index(["a", "b", "c"]))
    assert found.shape == (2, 3)
    assert list(found.obs_names) == ["1", "2"]
