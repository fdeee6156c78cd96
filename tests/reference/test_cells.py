"""References from single cells: profiles of donors, said or refused what is not as it should be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning, InputError

anndata = pytest.importorskip("anndata")
LINEAGES = {"a": ["T", "NK"], "b": ["B"]}


@pytest.fixture(scope="module")
def cohort():
    return bd.simulate.cells(4, 600, 300, LINEAGES, n_bulks=12, batches=2, seed=1)


@pytest.fixture(scope="module")
def reference(cohort):
    return bd.Reference.from_cells(cohort.cells, "cell_type", "donor", batch="batch", genes=90)


def profile(adata, cell_type, donor):
    rows = ((adata.obs["cell_type"] == cell_type) & (adata.obs["donor"] == donor)).to_numpy()
    return np.asarray(adata.X[rows].sum(axis=0, dtype=float)).ravel(), rows.sum()


def test_a_profile_is_the_sum_of_a_donors_cells(cohort, reference):
    counts, n = profile(cohort.cells, "NK", "donor 2")
    name = "NK, donor 2"
    expected = pd.Series(1e6 * counts / counts.sum(), cohort.cells.var_names)
    np.testing.assert_allclose(reference.profiles[name], expected[reference.genes], rtol=1e-9)
    assert reference.profile_cells.loc[name].tolist() == [n, counts.sum()]
    assert reference.donors[name] == "donor 2"
    assert (reference.replicates == 4).all()
    depth = reference.profile_cells["counts"][reference.labels == "NK"]
    assert reference.counting["NK"] == pytest.approx((1e6 / depth).mean())


def test_content_is_that_of_the_simulation(cohort, reference):
    ratio = reference.mrna_per_cell / cohort.content[reference.cell_types]
    assert ratio.std() / ratio.mean() < 0.15


def test_a_bulk_is_deconvolved_into_cells_and_mrna_side_by_side(cohort, reference, tmp_path):
    fit = bd.deconvolve(cohort.bulk, reference, "laplace", seed=1)
    truth = cohort.proportions[fit.proportions.columns]
    assert fit.quantity == "cell fractions"
    assert np.sqrt(np.square(fit.proportions - truth).to_numpy().mean()) < 0.05
    of_mrna = bd.deconvolve(cohort.bulk, reference, "laplace", seed=1, mrna_per_cell="none")
    assert of_mrna.quantity == "mRNA fractions"
    np.testing.assert_allclose(fit.mrna_fractions, of_mrna.proportions, atol=1e-9)
    assert of_mrna.mrna_fractions.equals(of_mrna.proportions)
    fit.write(tmp_path / "run")
    written = pd.read_csv(tmp_path / "run" / "mrna_fractions.csv", index_col=0)
    np.testing.assert_allclose(written, fit.mrna_fractions, rtol=1e-6)
    assert any("fractions of cells" in note for note in fit.notes)


def test_a_saved_reference_is_the_same(reference, tmp_path):
    reference.save(tmp_path / "r.nc")
    again = bd.Reference.load(tmp_path / "r.nc")
    pd.testing.assert_series_equal(again.mrna_per_cell, reference.mrna_per_cell, check_names=False)
    pd.testing.assert_frame_equal(
        again.profile_cells, reference.profile_cells.astype(float), check_names=False
    )
    assert again.notes == reference.notes


@pytest.mark.parametrize("donors", [None, 1, 2])
def test_few_donors_are_said(cohort, donors):
    adata = cohort.cells
    if donors is not None:
        adata = adata[adata.obs["donor"].isin([f"donor {d + 1}" for d in range(donors)])]
    column = None if donors is None else "donor"
    found = bd.Reference.from_cells(adata, "cell_type", column, genes=90)
    assert found.settings["donors"] == (donors or 0)
    assert (found.replicates == (donors or 1)).all()
    expected = "donors are not known" if donors is None else "variances between donors are borrowed"
    assert any(expected in note for note in found.notes)
    fit = bd.deconvolve(cohort.bulk, found)
    truth = cohort.proportions[fit.proportions.columns]
    assert np.sqrt(np.square(fit.proportions - truth).to_numpy().mean()) < 0.08


def test_rare_types_and_thin_profiles_are_left_out_and_said(cohort):
    adata = cohort.cells.copy()
    types = adata.obs["cell_type"].astype(str).to_numpy()
    donors = adata.obs["donor"].to_numpy()
    few = np.flatnonzero(types == "B")
    types[few[:3]] = "rare"
    types[few[few > 300]] = "unknown"
    thin = np.flatnonzero((types == "T") & (donors == "donor 3"))
    types[thin[:-4]] = "NaN"
    adata.obs["cell_type"] = types
    with pytest.warns(BayesdecovWarning, match=r"fewer than 10 cells left out: rare \(3\)"):
        found = bd.Reference.from_cells(adata, "cell_type", "donor", genes=90)
    said = " ".join(found.notes)
    assert "1 profiles of fewer than 10 cells left out (4 cells)" in said
    assert f"{len(few[few > 300]) + len(thin) - 4} of 600 cells left out" in said
    assert found.replicates["T"] == 3
    assert found.replicates["NK"] == 4


def test_a_type_that_is_thin_in_every_donor_is_pooled(cohort):
    adata = cohort.cells.copy()
    types = adata.obs["cell_type"].astype(str).to_numpy()
    for donor in adata.obs["donor"].unique():
        own = np.flatnonzero((types == "B") & (adata.obs["donor"] == donor).to_numpy())
        types[own[6:]] = "nan"
    adata.obs["cell_type"] = types
    found = bd.Reference.from_cells(adata, "cell_type", "donor", genes=90)
    assert found.replicates["B"] == 1
    assert found.profile_cells.loc["B", "cells"] == 24
    assert any("no donor has 10 cells of B" in note for note in found.notes)


def test_content_that_cannot_be_compared_leaves_fractions_of_mrna(cohort):
    adata = cohort.cells.copy()
    adata.obs["study"] = np.where(adata.obs["cell_type"] == "B", "other", "first")
    with pytest.warns(BayesdecovWarning, match="mRNA per cell is unknown for B"):
        found = bd.Reference.from_cells(adata, "cell_type", batch="study", genes=90)
    with pytest.warns(BayesdecovWarning, match="proportions are fractions of mRNA.* of B"):
        fit = bd.deconvolve(cohort.bulk, found)
    assert fit.quantity == "mRNA fractions"


def test_markers_stand_out_from_the_noise_of_few_cells(cohort):
    """A gene with a count or two in a few cells of one type is no marker."""
    rng = np.random.default_rng(0)
    counts = cohort.cells.X.toarray()
    noise = np.zeros((len(counts), 200), dtype=np.float32)
    rows = np.flatnonzero(cohort.cells.obs["cell_type"] == "NK")
    noise[rng.choice(rows, 200), np.arange(200)] = 1.0
    names = [*cohort.cells.var_names, *(f"noise{i}" for i in range(200))]
    adata = anndata.AnnData(np.hstack([counts, noise]), cohort.cells.obs, pd.DataFrame(index=names))
    found = bd.Reference.from_cells(adata, "cell_type", genes=60)
    assert not found.genes.str.startswith("noise").any()


def test_cells_as_replicates_are_warned_of(cohort):
    table = pd.DataFrame(cohort.cells.X.toarray().T, cohort.cells.var_names, cohort.cells.obs_names)
    labels = cohort.cells.obs["cell_type"]
    with pytest.warns(BayesdecovWarning, match=r"look like single cells.*Reference\.from_cells"):
        bd.Reference.from_samples(table, labels, "diagonal", genes=60)


@pytest.mark.parametrize(("options", "message"), [
    ({"min_cells": 10_000}, r"needs at least two cell types with 10000 cells"),
    ({"min_cells": 0}, "min_cells"),
    ({"covariance": "full"}, "covariance"),
    ({"genes": "many"}, "genes"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:cell types with fewer")
def test_wrong_options(cohort, options, message):
    with pytest.raises(InputError, match=message):
        bd.Reference.from_cells(cohort.cells, "cell_type", **options)
    with pytest.raises(InputError, match="cells: must name at least one source"):
        bd.Reference.from_cells([])


def test_a_name_to_drop_may_stand_alone(cohort):
    found = bd.Reference.from_cells(cohort.cells, "cell_type", drop="NK", genes=90)
    assert found.cell_types.tolist() == ["B", "T"]


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "largest", "names"),
    [
        ("newman_wb", 0.07, {"Monocyte": "Monocytes", "Neutrophil": "Neutrophils"}),
        ("mixology_dropseq_ref", 0.077, {}),
    ],
)
@pytest.mark.filterwarnings("ignore::bayesdecov.errors.BayesdecovWarning")
def test_real_cells_to_real_bulks_in_one_line(name, largest, names, real_data):
    folder = real_data / "real_cohorts" / name
    if not folder.is_dir():
        pytest.skip(f"needs {name} among the real cohorts")
    reference = bd.Reference.from_cells(folder / "cells.h5ad")
    fit = bd.deconvolve(folder / "bulk.csv.gz", reference, "laplace", seed=1)
    truth = pd.read_csv(folder / "truth.csv", index_col=0)
    found = fit.proportions.rename(columns=names).loc[truth.index, truth.columns]
    truth = truth.div(truth.sum(axis=1), axis=0)
    assert np.sqrt(np.square(found - truth).to_numpy().mean()) < largest
    assert np.corrcoef(found.to_numpy().ravel(), truth.to_numpy().ravel())[0, 1] > 0.85
    table = fit.intervals().replace({"cell_type": names}).set_index(["sample", "cell_type"])
    table = table.loc[truth.stack().index]
    held = (table["low"] <= truth.stack()) & (truth.stack() <= table["high"])
    assert held.mean() >= 0.8
