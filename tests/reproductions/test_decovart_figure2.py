"""Figure 2 of DeCovarT against the numbers of the original programs and of exact maximisers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesdecov.reproductions import REPRODUCTIONS, decovart_figure2
from tests.test_cli import run

THEIRS = {"simplex": "mse_lsei", "nnls": "mse_nnls", "eq8": "mse_eq8", "mle": "mse_mle"}


@pytest.fixture(scope="module")
def table():
    """All configurations, a fifth of the samples."""
    return decovart_figure2.errors(100, seed=1)


@pytest.mark.slow
@pytest.mark.goldens
@pytest.mark.parametrize("method", THEIRS)
def test_mean_squared_errors_are_those_of_the_originals(table, goldens, method):
    """Each scenario within 2 standard errors, all configurations within what chance allows."""
    theirs = pd.read_csv(goldens / "decovart" / "bivariate_mse_by_config.csv").round(6)
    keys = ["centroid", "p1", "rho1", "rho2"]
    both = table.round({"rho1": 6, "rho2": 6}).merge(theirs, on=keys, validate="one_to_one")
    assert len(both) == 324
    # both are simulations: theirs with 500 samples, ours with 100
    both["se"] = both[f"se_{method}"] * np.sqrt(1 + 100 / 500)
    both["difference"] = both[f"mse_{method}_x" if f"mse_{method}_x" in both else f"mse_{method}"]
    both["difference"] -= both[
        f"{THEIRS[method]}_y" if f"{THEIRS[method]}_y" in both else THEIRS[method]
    ]
    for _, part in both.groupby(["centroid", "p1"]):
        z = part["difference"].sum() / np.sqrt((part["se"] ** 2).sum())
        assert abs(z) < 2.5  # sixteen of them: .987 each
    assert (both["difference"].abs() < 3 * both["se"]).mean() > 0.97


def test_overlap_is_what_the_geometry_says():
    """Two normals of one covariance: 2 Phi(-d/2), with d their Mahalanobis distance."""
    from scipy.stats import norm

    for rho in (-0.6, 0.0, 0.6):
        found = decovart_figure2.overlap("near", rho, rho, np.random.default_rng(0))
        distance = np.sqrt(8 / (1 - rho))  # the centroids differ by (2, -2)
        expected = 2 * norm.cdf(-distance / 2)
        assert found == pytest.approx(expected, abs=4 * np.sqrt(expected / 20_000) + 1e-3)
    assert decovart_figure2.overlap("far", 0.0, 0.0, np.random.default_rng(0)) < 1e-3


@pytest.mark.slow
def test_summary_follows_the_numbers(table):
    text = decovart_figure2.summary(table, 100)
    assert "near, p1 = 0.5: Eq. 8 has 0.4" in text
    turned = table.assign(mse_eq8=table["mse_simplex"] * 2)
    assert "near, p1 = 0.5: Eq. 8 has 2.00 times the error of least squares (contrary" in (
        decovart_figure2.summary(turned, 100)
    )


@pytest.mark.slow
def test_pictures(table):
    figure = decovart_figure2.heat_maps(table)
    images = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(images) == 16
    near = table[(table["centroid"] == "near") & (table["p1"] == 0.5)]
    grid = near.pivot(index="rho2", columns="rho1", values="mse_simplex")
    assert np.allclose(images[0], grid)
    assert len(decovart_figure2.densities().axes) == 6


def test_command(tmp_path, monkeypatch):
    monkeypatch.setattr(decovart_figure2, "CORRELATIONS", np.array([-0.8, 0.8]))
    monkeypatch.setattr(decovart_figure2, "_QUICK", 20)
    result = run(
        "reproduce", "decovart-figure2", "--out", tmp_path / "out", "--quick", "--no-progress"
    )
    assert "16 configurations, 20 samples each" in result.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "errors.csv",
        "heat_maps.png",
        "densities.png",
        "summary.txt",
        "run.json",
    }
    wrong = run("reproduce", "figure9", "--out", tmp_path / "x", expect=2)
    assert "name: must be one of 'decovart-figure2'" in wrong.stderr


def test_records():
    for name, one in REPRODUCTIONS.items():
        assert one.name == name
        assert one.title
        assert one.source
