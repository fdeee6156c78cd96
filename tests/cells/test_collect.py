"""Several sources, and annotations of their own: the same reference as from one AnnData."""

from __future__ import annotations

import numpy as np
import pytest

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning, InputError

pytest.importorskip("anndata")
LINEAGES = {"a": ["T", "NK"], "b": ["B"]}


@pytest.fixture(scope="module")
def cohort():
    return bd.simulate.cells(4, 600, 300, LINEAGES, n_bulks=12, batches=2, seed=1)


@pytest.fixture(scope="module")
def reference(cohort):
    return bd.Reference.from_cells(cohort.cells, "cell_type", "donor", batch="batch", genes=90)


def test_several_sources_share_their_genes_and_are_batches(cohort, tmp_path):
    first, second = cohort.cells[:300, 20:].copy(), cohort.cells[300:, ::-1].copy()
    path = tmp_path / "second.h5ad"
    second.write_h5ad(path)
    found = bd.Reference.from_cells([first, path], "cell_type", "donor", genes=90)
    whole = bd.Reference.from_cells(cohort.cells[:, 20:], "cell_type", "donor", genes=90)
    assert found.genes.equals(whole.genes)
    np.testing.assert_allclose(found.profiles[whole.profiles.columns], whole.profiles)
    assert any("280 genes are in all 2 sources" in note for note in found.notes)
    first.var_names = [f"x{name}" for name in first.var_names]
    with pytest.raises(InputError, match="cells: sources must share most of their genes; found 0"):
        bd.Reference.from_cells([first, path], "cell_type", "donor")


def test_annotations_come_from_a_table_of_their_own(cohort, tmp_path):
    bare = cohort.cells.copy()
    table = bare.obs.copy()
    bare.obs = bare.obs[[]]
    with pytest.raises(
        InputError, match=r"the table has no columns\. Give the annotations as obs="
    ):
        bd.Reference.from_cells(bare, "cell_type")
    table.to_csv(tmp_path / "obs.csv")
    found = bd.Reference.from_cells(bare, "cell_type", "donor", obs=tmp_path / "obs.csv", genes=90)
    assert (found.replicates == 4).all()


def test_cells_without_counts_are_no_cells(cohort, reference):
    adata = cohort.cells.copy()
    empty = np.flatnonzero(adata.obs["cell_type"] == "B")[::2]
    counts = adata.X.tolil()
    counts[empty] = 0
    adata.X = counts.tocsr()
    with pytest.warns(BayesdecovWarning, match=f"{len(empty)} cells without counts left out"):
        found = bd.Reference.from_cells(adata, "cell_type", "donor", batch="batch", genes=90)
    ratio = found.mrna_per_cell / reference.mrna_per_cell
    assert ratio.max() / ratio.min() < 1.15


def test_barcodes_that_repeat_and_sources_given_twice_are_refused(cohort, tmp_path):
    first, second = cohort.cells[:300].copy(), cohort.cells[300:].copy()
    second.obs_names = first.obs_names
    with pytest.raises(InputError, match=r"obs: must name every cell of all sources once.*repeat"):
        bd.Reference.from_cells([first, second], "cell_type", obs=first.obs)
    path = tmp_path / "x.h5ad"
    first.write_h5ad(path)
    for twice in ([first, first], [path, str(path)]):
        with pytest.raises(InputError, match="cells: must name every source once"):
            bd.Reference.from_cells(twice, "cell_type")
    with pytest.raises(InputError, match="obs: must be a table of the cells"):
        bd.Reference.from_cells(first, "cell_type", obs=[1])


def test_versions_of_genes_are_no_other_genes(cohort):
    names = [f"ENSG{i:011d}" for i in range(300)]
    first, second = cohort.cells[:300].copy(), cohort.cells[300:].copy()
    first.var_names = [f"{name}.1" for name in names]
    second.var_names = [f"{name}.{i % 3}" for i, name in enumerate(names)]
    found = bd.Reference.from_cells([first, second], "cell_type", genes=90)
    assert len(found.transcriptome) == 300
