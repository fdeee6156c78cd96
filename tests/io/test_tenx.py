"""10x files and folders: counts, names and features as they were written."""

from __future__ import annotations

import gzip

import h5py
import numpy as np
import pytest
from scipy import sparse
from scipy.io import mmwrite

from bayesdecov.errors import InputError
from bayesdecov.io.tenx import is_tenx, open_tenx

N, G = 20, 12
CELLS = [f"AAAC{i}-1" for i in range(N)]
IDS, NAMES = [f"ENSG{g:011d}" for g in range(G)], [f"SYM{g}" for g in range(G)]


@pytest.fixture
def counts():
    return np.random.default_rng(0).poisson(0.8, (N, G))


def hdf5(path, counts):
    columns = sparse.csc_matrix(counts.T)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(columns, name)
        group["shape"] = columns.shape
        group["barcodes"] = np.array(CELLS, dtype="S")
        features = group.create_group("features")
        for name, values in (
            ("id", IDS),
            ("name", NAMES),
            ("feature_type", ["Gene Expression"] * G),
        ):
            features[name] = np.array(values, dtype="S")
    return path


def folder(path, counts, *, packed=True, old=False):
    path.mkdir()
    mmwrite(path / "matrix.mtx", sparse.coo_matrix(counts.T))
    kind = "" if old else "\tGene Expression"
    features = "\n".join(f"{i}\t{n}{kind}" for i, n in zip(IDS, NAMES, strict=True))
    (path / "barcodes.tsv").write_text("\n".join(CELLS) + "\n")
    (path / ("genes.tsv" if old else "features.tsv")).write_text(features + "\n")
    for plain in list(path.iterdir()) if packed else []:
        (path / f"{plain.name}.gz").write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    return path


@pytest.mark.parametrize("kind", ["h5", "folder", "plain folder", "old folder"])
def test_counts_and_names(kind, counts, tmp_path):
    if kind == "h5":
        path = hdf5(tmp_path / "filtered_feature_bc_matrix.h5", counts)
    else:
        path = folder(tmp_path / "x", counts, packed="plain" not in kind, old="old" in kind)
    assert is_tenx(path)
    found = open_tenx(path, "cells")
    np.testing.assert_array_equal(found.X[:N].toarray(), counts)
    np.testing.assert_array_equal(found.X[3:7].toarray(), counts[3:7])
    assert found.cells.tolist() == CELLS
    assert found.genes.index.tolist() == NAMES
    assert found.genes["gene_ids"].tolist() == IDS


def test_what_is_missing_or_damaged_is_said(counts, tmp_path):
    path = folder(tmp_path / "x", counts)
    (path / "barcodes.tsv.gz").unlink()
    with pytest.raises(InputError, match=r"found no barcodes\.tsv"):
        open_tenx(path, "cells")
    short = folder(tmp_path / "y", counts, packed=False)
    (short / "barcodes.tsv").write_text("AAAC\n")
    with pytest.raises(
        InputError, match="is damaged; found 12 x 20 values for 12 genes and 1 cells"
    ):
        open_tenx(short, "cells")
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = [1]
    with pytest.raises(InputError, match="not a file of counts of Cell Ranger 3"):
        open_tenx(other, "cells")
    outside = hdf5(tmp_path / "outside.h5", counts)
    with h5py.File(outside, "r+") as file:
        file["matrix/indices"][0] = G + 5
    with pytest.raises(InputError, match="out of bounds"):
        open_tenx(outside, "cells")
    assert not is_tenx(tmp_path)
