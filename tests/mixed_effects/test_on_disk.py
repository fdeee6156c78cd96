"""Expression that stays on disk: the same effects as from memory."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning, InputError
from bayesdecov.io import blocks
from tests.options import of_fastmix

anndata = pytest.importorskip("anndata")


@pytest.fixture(scope="module")
def cohort():
    return bd.simulate.fastmix("III", n_genes=300, n_samples=40, seed=1)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "_BYTES", 64 * 8 * 40)


def as_anndata(frame, values=None):
    values = frame.to_numpy().T if values is None else values
    return anndata.AnnData(
        values, pd.DataFrame(index=frame.columns), pd.DataFrame(index=frame.index)
    )


@pytest.fixture(scope="module")
def stored(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    data = as_anndata(cohort.expression)
    data.write_h5ad(folder / "expression.h5ad")
    with warnings.catch_warnings():  # about the version of the format
        warnings.simplefilter("ignore", UserWarning)
        data.write_zarr(folder / "expression.zarr")
    return folder


@pytest.mark.parametrize("method", ["moments", "map", "mixture"])
@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_the_same_as_from_memory(cohort, stored, method, kind):
    rest = cohort.proportions, cohort.covariates, method
    expected = bd.fastmix(cohort.expression, *rest)
    found = bd.fastmix(stored / f"expression.{kind}", *rest)
    np.testing.assert_allclose(found.fixed, expected.fixed, rtol=1e-8)
    np.testing.assert_allclose(found.effects, expected.effects, rtol=1e-7, atol=1e-9)
    assert found.gene_names.equals(expected.gene_names)


def test_other_samples_weights_and_subjects(cohort, stored):
    kept = cohort.proportions.index[::-1][:30]
    proportions, covariates = cohort.proportions.loc[kept], cohort.covariates.loc[kept]
    weights = pd.DataFrame(np.diag(np.linspace(1, 2, 30)), kept, kept)
    subjects = pd.Series(np.repeat(np.arange(15), 2), kept)
    path = stored / "expression.h5ad"
    for options in ({"weights": weights}, {"subject": subjects}):
        with pytest.warns(BayesdecovWarning, match="10 samples of the expression are missing"):
            expected = bd.fastmix(cohort.expression, proportions, covariates, **of_fastmix(options))
        with pytest.warns(BayesdecovWarning, match="10 samples of the expression are missing"):
            found = bd.fastmix(path, proportions, covariates, **of_fastmix(options))
        np.testing.assert_allclose(found.fixed, expected.fixed, rtol=1e-8)


def test_dask_arrays_and_single_precision(cohort):
    dask = pytest.importorskip("dask.array")
    values = dask.from_array(cohort.expression.to_numpy(dtype=np.float32).T, chunks=(10, 50))
    found = bd.fastmix(as_anndata(cohort.expression, values), cohort.proportions, cohort.covariates)
    expected = bd.fastmix(cohort.expression, cohort.proportions, cohort.covariates)
    np.testing.assert_allclose(found.effects, expected.effects, rtol=1e-3, atol=1e-4)
    assert found.estimate.gamma.dtype == np.float64


def test_flat_genes_and_gaps(cohort, tmp_path):
    frame = cohort.expression.copy()
    frame.iloc[[3, 200]] = 1.0
    as_anndata(frame).write_h5ad(tmp_path / "flat.h5ad")
    with pytest.warns(BayesdecovWarning, match="2 genes with the same value"):
        found = bd.fastmix(tmp_path / "flat.h5ad", cohort.proportions, cohort.covariates)
    assert len(found.gene_names) == 298
    frame.iloc[150, 7] = np.nan
    as_anndata(frame).write_h5ad(tmp_path / "gap.h5ad")
    with pytest.raises(InputError, match=f"missing or infinite values.*{frame.index[150]}"):
        bd.fastmix(tmp_path / "gap.h5ad", cohort.proportions, cohort.covariates)


def test_broken_files(tmp_path, cohort):
    (tmp_path / "x.h5ad").write_bytes(b"no such thing")
    (tmp_path / "x.zarr").mkdir()
    for name in ("x.h5ad", "x.zarr", "absent.h5ad"):
        with pytest.raises(InputError, match=r"expression: .*(cannot be read|does not exist)"):
            bd.fastmix(tmp_path / name, cohort.proportions, cohort.covariates)
