"""Effects written into an AnnData."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.errors import InputError

anndata = pytest.importorskip("anndata")


@pytest.fixture(scope="module")
def fitted():
    data = bd.simulate.fastmix("II", n_genes=120, n_samples=30, seed=1)
    return data, bd.fastmix(data.expression, data.proportions, data.covariates, "map")


def test_a_new_one_survives_a_file(fitted, tmp_path):
    _, fit = fitted
    fit.to_anndata().write_h5ad(tmp_path / "fit.h5ad")
    back = anndata.read_h5ad(tmp_path / "fit.h5ad")
    pd.testing.assert_frame_equal(back.varm["effects"], fit.effects, check_names=False)
    np.testing.assert_array_equal(back.varm["effects_q"], fit.q_values)
    np.testing.assert_array_equal(back.varm["effects_sd"], fit.estimate.sd)
    np.testing.assert_array_equal(back.obsm["design"], fit.design.table)
    fixed = back.uns["bayesdecov_effects"]["fixed"].set_index("covariate")
    np.testing.assert_allclose(fixed["estimate"], fit.fixed["estimate"])


def test_names_decide_what_goes_where(fitted):
    data, fit = fitted
    genes = [*data.expression.index[::-1][:50], "unknown"]
    samples = ["other", *data.expression.columns[:3]]
    adata = anndata.AnnData(
        np.zeros((4, 51)), pd.DataFrame(index=samples), pd.DataFrame(index=genes)
    )
    assert fit.to_anndata(adata) is adata
    pd.testing.assert_frame_equal(
        adata.varm["effects"].iloc[:-1], fit.effects.loc[genes[:-1]], check_names=False
    )
    assert adata.varm["effects"].loc["unknown"].isna().all()
    assert adata.obsm["design"].loc["other"].isna().all()
    assert adata.obsm["design"].iloc[1:].notna().all(axis=None)


def test_names_that_do_not_match_are_said(fitted):
    data, fit = fitted
    spaced = anndata.AnnData(data.expression.T.set_axis([f"{s} " for s in data.expression]))
    assert fit.to_anndata(spaced).obsm["design"].notna().all(axis=None)
    with pytest.raises(InputError, match="adata: must contain some of the fitted genes"):
        fit.to_anndata(anndata.AnnData(np.zeros((3, 2))))
    with pytest.raises(InputError, match="adata: must be an AnnData; found int"):
        fit.to_anndata(3)
