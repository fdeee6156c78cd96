"""Estimates against the exact maximisers of Eq. 8 and of the likelihood, and the original's QP."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from tests.conftest import REFERENCE
from tests.options import of_deconvolve

CENTROIDS = {True: [[20.0, 22.0], [22.0, 20.0]], False: [[20.0, 40.0], [40.0, 20.0]]}
GENES, TYPES = ["g1", "g2"], ["a", "b"]


def toy_reference(near: bool, rho) -> bd.Reference:
    mean = pd.DataFrame(CENTROIDS[bool(near)], GENES, TYPES)
    Sigma = np.array([[[1.0, r], [r, 1.0]] for r in rho])
    return bd.Reference.from_moments(mean, Sigma)


def toy_estimates(near, rho, y, **options) -> bd.deconvolve:
    bulk = pd.DataFrame(np.asarray(y).T, GENES, [f"s{i}" for i in range(len(y))])
    return bd.deconvolve(bulk, toy_reference(near, rho), **of_deconvolve(options))


@pytest.mark.slow
@pytest.mark.parametrize(("prior", "name"), [("flat", "mle"), ("decovart", "eq8")])
def test_bivariate_maximisers(prior, name):
    """All 324 configurations, 25 samples each; the full comparison needs the golden files."""
    case = np.load(REFERENCE / "decovart_bivariate.npz")
    for c, (near, rho) in enumerate(zip(case["near"], case["rho"], strict=True)):
        fit = toy_estimates(near, rho, case["y"][c], prior=prior)
        assert fit.diagnostics["converged"].all()
        np.testing.assert_allclose(fit.proportions["a"], case[name][c], atol=2e-3)


@pytest.mark.slow
@pytest.mark.goldens
@pytest.mark.parametrize(("prior", "name"), [("flat", "p1_mle"), ("decovart", "p1_eq8")])
def test_all_bivariate_samples(prior, name, goldens):
    """162,000 samples: at least 99 % of every configuration, none silently wrong."""
    folder = goldens / "decovart"
    configs = pd.read_csv(folder / "bivariate_configs.csv").set_index("config")
    bulks = pd.read_csv(folder / "bivariate_estimates.csv.gz").groupby("config")
    maxima = pd.read_csv(folder / "bivariate_argmax_python.csv.gz").groupby("config")
    for number, config in configs.iterrows():
        y = bulks.get_group(number)[["y1", "y2"]].to_numpy()
        fit = toy_estimates(config["centroid"] == "near", config[["rho1", "rho2"]], y, prior=prior)
        truth = maxima.get_group(number)[f"{name}_global"].to_numpy()
        wrong = np.abs(fit.proportions["a"].to_numpy() - truth) > 2e-3
        assert wrong.mean() <= 0.01, f"configuration {number}"
        silent = wrong & fit.diagnostics["converged"].to_numpy()
        assert not silent.any(), f"configuration {number}"


@pytest.fixture(scope="module")
def four_types():
    case = np.load(REFERENCE / "decovart_J4_G30.npz")
    genes, types = [f"g{i}" for i in range(30)], list("abcd")
    reference = bd.Reference.from_moments(pd.DataFrame(case["mu"], genes, types), case["Sigma"])
    bulk = pd.DataFrame(case["Y"], genes, [f"s{i}" for i in range(case["Y"].shape[1])])
    return case, reference, bulk


def test_four_types_reach_the_maximum_of_eq8(four_types):
    case, reference, bulk = four_types
    fit = bd.deconvolve(bulk, reference, prior="decovart")
    theirs, converged = case["eq8"][:, :4], case["eq8"][:, 4] == 1
    assert converged.sum() >= 19
    np.testing.assert_allclose(fit.proportions.to_numpy()[converged], theirs[converged], atol=2e-3)


@pytest.mark.parametrize("method", ["nnls", "simplex", "ols"])
def test_baselines_equal_the_originals(four_types, method):
    case, reference, bulk = four_types
    fit = bd.deconvolve(bulk, reference, method)
    theirs = case[{"simplex": "lsei"}.get(method, method)]
    np.testing.assert_allclose(fit.proportions, theirs, atol=1e-6)
