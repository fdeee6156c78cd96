"""Where counts are found in AnnData, in files and in memory; what is said where they are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from bayesdecov.cells.source import not_counts, open_cells
from bayesdecov.errors import BayesdecovWarning, InputError, Notes
from bayesdecov.io.anndata import dense

anndata = pytest.importorskip("anndata")
N, G = 30, 25


@pytest.fixture
def counts():
    return np.random.default_rng(0).poisson(1.0, (N, G)).astype(np.float32)


def normalised(counts):
    return np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)


def made(X, **more):
    obs = pd.DataFrame({"cell_type": ["A", "B"] * (N // 2)}, [f"c{i}" for i in range(N)])
    var = pd.DataFrame({"symbol": [f"SYM{g}" for g in range(G)]}, [f"ENSG{g}" for g in range(G)])
    adata = anndata.AnnData(sparse.csr_matrix(X), obs, var)
    for name, value in more.items():
        adata.layers[name] = sparse.csr_matrix(value)
    return adata


def opened(cells, layer="auto", gene_names=None, obs=None, notes=None):
    return open_cells(cells, layer, gene_names, obs, Notes() if notes is None else notes)


def with_raw(counts):
    adata = made(counts)
    adata.raw = adata
    adata.X = sparse.csr_matrix(normalised(counts))
    return adata


CASES = {
    "X": lambda counts: made(counts),
    "layers": lambda counts: made(normalised(counts), counts=counts),
    "raw": with_raw,
}


@pytest.mark.parametrize("where", ["memory", "h5ad", "backed", "zarr"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_the_first_matrix_with_counts_is_taken(case, where, counts, tmp_path):
    adata = CASES[case](counts)
    cells = adata
    if where in ("h5ad", "backed"):
        cells = tmp_path / "cells.h5ad"
        adata.write_h5ad(cells)
    if where == "backed":
        cells = anndata.read_h5ad(cells, backed="r")
    if where == "zarr":
        pytest.importorskip("zarr")
        cells = tmp_path / "cells.zarr"
        adata.write_zarr(cells)
    found = opened(cells)
    assert case in found.said
    np.testing.assert_array_equal(dense(found.X[:N], "cells"), counts)
    assert found.obs["cell_type"].tolist() == adata.obs["cell_type"].tolist()


def test_values_that_are_no_counts_are_refused_with_every_place_that_was_tried(counts):
    with pytest.raises(
        InputError, match=r"layer: .*X: values that look like logarithms.*no layers"
    ):
        opened(made(normalised(counts)))
    adata = made(normalised(counts), spliced=counts)
    with pytest.raises(
        InputError, match=r"Name the layer with counts, one of \['layers/spliced'\]"
    ):
        opened(adata)
    assert opened(adata, "spliced").said.startswith("layers/spliced")
    with pytest.raises(InputError, match=r"layer: must be a matrix of the AnnData; found 'x'"):
        opened(adata, "x")
    with pytest.raises(InputError, match="layer: X of the AnnData must hold counts"):
        opened(adata, "X")


def test_why_values_are_no_counts(counts):
    whole = counts.sum(axis=1, keepdims=True)
    assert not_counts(counts) is None
    assert not_counts(sparse.csc_matrix(counts)) is None
    assert "the same total in all cells, 1e+04" in not_counts(1e4 * counts / whole)
    assert "logarithms" in not_counts(normalised(counts))
    assert "negative" in not_counts(counts - counts.mean(axis=0))
    assert "only zeros" in not_counts(0 * counts)
    assert "missing" in not_counts(np.where(counts > 3, np.nan, counts))
    assert "only zeros and ones" in not_counts(np.minimum(counts, 1))
    assert "the same total" in not_counts(np.round(1e6 * counts / whole))
    assert "0 cells" in not_counts(counts[:0])
    assert "fractions" in not_counts(counts * np.random.default_rng(0).uniform(9, 99, counts.shape))


def test_genes_get_the_names_that_are_asked_for(counts):
    assert opened(made(counts), gene_names="symbol").genes[0] == "SYM0"
    with pytest.raises(InputError, match=r"gene_names: must be a column .* symbol"):
        opened(made(counts), gene_names="gene_symbols")
    adata = made(counts)
    adata.var_names = [str(g) for g in range(G)]
    with pytest.raises(InputError, match=r"numbers its genes.* symbol"):
        opened(adata)


def test_a_layer_may_have_any_name_and_genes_may_have_none(counts):
    adata = made(normalised(counts), raw=counts)
    assert opened(adata, "layers/raw").said == opened(adata, "raw").said
    adata.var["symbol"] = [None, np.nan, *adata.var["symbol"][2:]]
    assert opened(adata, "raw", gene_names="symbol").genes[:3].tolist() == ["", "", "SYM2"]
    with pytest.raises(InputError, match="Corrected counts are taken by name"):
        opened(made(counts * np.random.default_rng(0).uniform(9, 99, counts.shape)))


def test_features_that_are_no_genes_are_left_out(counts):
    adata, notes = made(counts), Notes()
    adata.var["feature_types"] = ["Gene Expression"] * (G - 2) + ["Antibody Capture"] * 2
    found = opened(adata, notes=notes)
    assert len(found.genes) == found.kept.sum() == G - 2
    assert "2 features that are no genes" in notes.lines[0]


def test_annotations_of_another_table_are_joined_by_name(counts):
    adata = made(counts)
    table = pd.DataFrame({"type": "T", "donor": range(N)}, adata.obs_names[::-1])
    found = opened(adata, obs=table).obs
    assert found["donor"].tolist() == list(range(N))[::-1]
    assert found["cell_type"].tolist() == adata.obs["cell_type"].tolist()
    with pytest.warns(BayesdecovWarning, match="5 of 30 cells are not in obs"):
        opened(adata, obs=table.iloc[5:])
    with pytest.raises(InputError, match="obs: must have the names of the cells"):
        opened(adata, obs=table.set_axis([f"x{i}" for i in range(N)]))
    with pytest.raises(InputError, match="obs: must name every cell once"):
        opened(adata, obs=table.set_axis(["c0"] * N))


@pytest.mark.parametrize("wrong", [5, pd.DataFrame(), __file__])
def test_other_things_are_refused(wrong):
    with pytest.raises(InputError, match=r"cells: must be an AnnData, an \.h5ad"):
        opened(wrong)
