"""Replicated bulks, prior draws and leave-one-gene-out, and the container that holds them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import bayesdecov as bd
from bayesdecov._arviz import dataset, load, save
from bayesdecov.deconvolution.predictive import (
    expression_of,
    kept,
    phi_of,
    prior_draws,
    replicate,
)
from bayesdecov.errors import InputError
from tests.options import of_deconvolve

GROUPS = {
    "posterior", "sample_stats", "prior", "prior_predictive", "posterior_predictive",
    "log_likelihood", "observed_data", "constant_data", "fit",
}  # fmt: skip


@pytest.fixture(scope="module")
def fits(cohort, reference):
    few = cohort.bulk.iloc[:, :3]
    nuts = {"draws": 120, "tune": 100, "chains": 4, "cores": 1}
    made = {}
    with warnings.catch_warnings():  # few draws
        warnings.simplefilter("ignore", bd.BayesdecovWarning)
        for method in ("map", "laplace", "nuts", "nnls"):
            options = nuts if method == "nuts" else {}
            made[method] = bd.deconvolve(few, reference, method, seed=1, **of_deconvolve(options))
    return made


def test_every_method_has_the_same_groups_names_and_dims(fits, tmp_path):
    shapes = {}
    for method in ("map", "laplace", "nuts"):
        idata = fits[method].to_inference_data(log_likelihood=True)
        assert set(idata) == GROUPS
        shapes[method] = {
            group: {name: value.dims for name, value in dataset(idata[group]).data_vars.items()}
            for group in GROUPS - {"sample_stats", "fit"}
        }
        assert {"diverging"} <= set(dataset(idata["sample_stats"]).data_vars)
        assert {"estimate", "gene_residual", "verdict"} <= set(dataset(idata["fit"]).data_vars)
        assert idata["posterior"]["proportions"].dims == ("chain", "draw", "sample", "cell_type")
        save(idata, tmp_path / "x.nc")
        again = load(tmp_path / "x.nc")
        assert set(again) == GROUPS
        for group in GROUPS:
            for name, value in dataset(idata[group]).data_vars.items():
                np.testing.assert_array_equal(again[group][name].to_numpy(), value.to_numpy())
    assert shapes["map"] == shapes["laplace"] == shapes["nuts"]
    assert idata["posterior"].sizes["chain"] == 4


def test_a_baseline_predicts_nothing(fits):
    assert set(fits["nnls"].to_inference_data()) == {
        "posterior",
        "sample_stats",
        "observed_data",
        "constant_data",
        "fit",
    }
    with pytest.raises(InputError, match="must have a likelihood for this; found method='nnls'"):
        fits["nnls"].to_pymc()


def test_replicated_bulks_have_the_moments_of_the_law():
    cohort = bd.simulate.convolution(n_samples=1, n_genes=5, n_types=3, seed=2)
    for df in (None, 8.0):
        given = bd.Reference.from_moments(cohort.mean, cohort.covariances)
        fit = bd.deconvolve(cohort.bulk, given, df=df)
        model, phi = fit.model, phi_of(fit)
        q = expression_of(fit, kept(fit, 1))
        many = np.repeat(q, 20_000, axis=1)
        drawn = replicate(model, phi, many, np.random.default_rng(1))[0, :, 0]
        V = model.genewise.covariance(q[0, 0], phi)[0] * (1.0 if df is None else df / (df - 2))
        sd = np.sqrt(np.diag(V))
        mean = q[0, 0, 0] @ model.mu.T
        assert (np.abs(drawn.mean(axis=0) - mean) < 4 * sd / np.sqrt(20_000)).all()
        np.testing.assert_allclose(np.cov(drawn.T), V, atol=0.08 * np.outer(sd, sd).max())


def test_a_reference_of_factors_draws_its_covariance(reference):
    covariance = reference.covariance
    q = np.array([0.2, 0.3, 0.4, 0.1])
    drawn = covariance.draw(np.tile(q, (20_000, 1)), np.random.default_rng(3))
    expected = sum(q[j] ** 2 * covariance.matrix(j) for j in range(4))
    np.testing.assert_allclose(drawn.var(axis=0), np.diag(expected), rtol=0.06)
    sd = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(
        np.corrcoef(drawn.T), expected / np.outer(sd, sd), atol=4.5 / np.sqrt(20_000)
    )


def test_prior_draws():
    cohort = bd.simulate.convolution(
        n_samples=2, n_genes=10, n_types=2, distribution="gaussian", seed=5
    )
    given = bd.Reference.from_moments(cohort.mean, cohort.covariances)
    for prior in ("flat", "decovart", "normal"):
        fit = bd.deconvolve(cohort.bulk.clip(lower=0), given, prior=prior)
        p, size = prior_draws(fit, 2000, np.random.default_rng(1))
        assert p.shape == (1, 2000, 2, 2)
        np.testing.assert_allclose(p.sum(axis=-1), 1.0)
        assert (size == 1).all()
        first = p[0, :, :, 0].ravel()
        if prior == "flat":
            assert abs(np.mean(first < 0.25) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)
        if prior == "decovart":  # |V|^-1/2, here on a grid
            grid = (np.arange(1000) + 0.5) / 1000
            q = np.column_stack([grid, 1 - grid])
            V = np.einsum("nj,jgh->ngh", q**2, cohort.covariances)
            weight = np.exp(-0.5 * (np.linalg.slogdet(V)[1] - np.linalg.slogdet(V)[1].min()))
            expected = weight[grid < 0.4].sum() / weight.sum()
            assert abs(np.mean(first < 0.4) - expected) < 0.03


def test_loo_agrees_with_arviz(fits):
    """Our table and `arviz.loo` on the log-likelihood group of the same draws."""
    import arviz as az

    fit = fits["laplace"]
    table = fit.loo()
    assert list(table.columns) == ["elpd", "se", "p_loo", "pareto_k"]
    idata = fit.to_inference_data(log_likelihood=True)
    total = az.loo(idata, var_name="bulk")
    elpd = total.elpd_loo if hasattr(total, "elpd_loo") else total.elpd
    assert float(elpd) == pytest.approx(table["elpd"].sum(), rel=1e-3)
    assert (table["p_loo"] > 0).all()
    with pytest.raises(InputError, match="must have posterior draws"):
        fits["map"].loo()


def test_arviz_works_unmodified_on_what_users_receive(fits):
    import arviz as az
    import matplotlib as mpl

    mpl.use("agg")
    idata = fits["nuts"].to_inference_data()
    table = az.summary(idata, var_names=["proportions"])
    assert len(table) == 12
    assert {"r_hat", "ess_bulk"} <= set(table.columns)
    assert az.ess(dataset(idata["posterior"]))["proportions"].shape == (3, 4)
    for plot in (az.plot_forest, az.plot_rank, az.plot_trace):
        assert plot(idata, var_names=["proportions"]) is not None
    import matplotlib.pyplot as plt

    plt.close("all")
