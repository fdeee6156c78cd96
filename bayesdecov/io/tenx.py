"""Counts as 10x Genomics' programs write them: an .h5 file, or a folder with matrix.mtx."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.io import mmread

from bayesdecov.errors import InputError
from bayesdecov.io import limits
from bayesdecov.io.files import check_file, readable
from bayesdecov.io.hdf5 import look_into

_PLACES = ("matrix",)
_KIND = "a 10x file of counts"


class TenxCounts(NamedTuple):
    """Cells x genes, in memory or in their file; names of cells; a table of the genes."""

    X: Any
    cells: pd.Index
    genes: pd.DataFrame


class RowsOnDisk:
    """The rows of a sparse matrix in an HDF5 file, read as they are asked for.

    ``group`` has data, indices and indptr of the compressed rows.
    """

    format = "csr"

    def __init__(self, group: Any, shape: tuple[int, int]) -> None:
        self.shape = shape
        self._group = group
        self._pointers = np.asarray(group["indptr"][:], dtype=np.int64)

    def __getitem__(self, rows: slice) -> sp.csr_matrix:
        start, stop, _ = rows.indices(self.shape[0])
        first, last = self._pointers[start], self._pointers[stop]
        parts = self._group["data"][first:last], self._group["indices"][first:last]
        pointers = self._pointers[start : stop + 1] - first
        return sp.csr_matrix((*parts, pointers), shape=(stop - start, self.shape[1]))


def is_tenx(path: Path) -> bool:
    """Whether a path is an .h5 file, or a folder with a matrix.mtx."""
    return path.suffix.lower() == ".h5" or (
        path.is_dir() and _found(path, "matrix.mtx") is not None
    )


def open_tenx(path: Path, argument: str) -> TenxCounts:
    """Counts of all genes ("Gene Expression" where there are other features).

    Raises
    ------
    InputError
        Files are missing, damaged or of another kind.
    """
    counted = _folder(path, argument) if path.is_dir() else _hdf5(path, argument)
    n_cells, n_genes = counted.X.shape
    if (n_cells, n_genes) != (len(counted.cells), len(counted.genes)):
        raise InputError(
            argument,
            f"{str(path)!r} is damaged",
            found=f"{n_genes} x {n_cells} values for {len(counted.genes)} genes and "
            f"{len(counted.cells)} cells",
        )
    return counted


def _hdf5(path: Path, argument: str) -> TenxCounts:
    import h5py

    look_into(path, argument, f"cannot be read as {_KIND}", *_PLACES)
    with readable(path, _KIND, argument):
        group = h5py.File(path, "r").get("matrix")
        if group is None or "features" not in group:
            raise InputError(
                argument,
                f"{str(path)!r} is not a file of counts of Cell Ranger 3 or later",
                found="no 'matrix' with 'features'",
                fix="give the folder with matrix.mtx, or an .h5ad",
            )
        features = group["features"]
        columns = {"gene_ids": "id", "name": "name", "feature_types": "feature_type"}
        genes = pd.DataFrame(
            {key: _text(features[name]) for key, name in columns.items() if name in features}
        )
        n_genes, n_cells = (int(n) for n in group["shape"][:])
        X = RowsOnDisk(group, (n_cells, n_genes))
        return TenxCounts(X, pd.Index(_text(group["barcodes"])), genes.set_index("name"))


def _text(values: Any) -> list[str]:
    return [each.decode() if isinstance(each, bytes) else str(each) for each in values[:]]


def _folder(path: Path, argument: str) -> TenxCounts:
    """``matrix.mtx``, ``barcodes.tsv`` and ``features.tsv`` (or genes.tsv), each also .gz."""
    places = [_found(path, *names) for names in _FILES]
    for place, wanted in zip(places, _FILES, strict=True):
        if place is None:
            raise InputError(
                argument,
                f"the folder {str(path)!r} must have matrix.mtx, barcodes.tsv and features.tsv",
                found=f"no {wanted[0]}",
            )
    matrix, barcodes, features = places
    assert matrix is not None
    assert barcodes is not None
    assert features is not None
    for place in (matrix, barcodes, features):
        check_file(place, argument)
        limits.require_file(place, argument)
    with readable(path, "a folder of 10x counts", argument):
        with warnings.catch_warnings():  # array or matrix: either will do
            warnings.simplefilter("ignore", DeprecationWarning)
            X = sp.csr_matrix(mmread(matrix).T)
        cells = pd.Index(_lines(barcodes)[0])
        table = _lines(features)
        if table.shape[1] < 2:  # one column of names
            return TenxCounts(X, cells, pd.DataFrame(index=pd.Index(table[0], name="name")))
        names = ["gene_ids", "name", "feature_types"][: table.shape[1]]
        genes = table.iloc[:, : len(names)].set_axis(pd.Index(names), axis=1).set_index("name")
        return TenxCounts(X, cells, genes)


_FILES = (("matrix.mtx",), ("barcodes.tsv",), ("features.tsv", "genes.tsv"))


def _found(folder: Path, *names: str) -> Path | None:
    for name in names:
        for place in (folder / name, folder / f"{name}.gz"):
            if place.is_file():
                return place
    return None


def _lines(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", header=None, dtype=str, keep_default_na=False)
