"""Scores against numbers by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr

from bayesdecov.benchmarking.metrics import metrics


@pytest.fixture
def tables():
    rng = np.random.default_rng(1)
    truth = pd.DataFrame(rng.dirichlet([1, 2, 3], 12), columns=list("abc"))
    estimate = truth + rng.normal(0, 0.05, truth.shape)
    return truth, estimate


def test_points(tables):
    truth, estimate = tables
    gap = np.full(truth.shape, np.nan)
    found = metrics(truth, estimate, gap, gap)
    t, x = truth["b"], estimate["b"]
    assert found.loc["b", "r"] == pytest.approx(pearsonr(t, x)[0])
    # Lin's coefficient by its other form: r times the bias correction factor
    u = (x.mean() - t.mean()) / np.sqrt(x.std(ddof=0) * t.std(ddof=0))
    v = x.std(ddof=0) / t.std(ddof=0)
    assert found.loc["b", "ccc"] == pytest.approx(pearsonr(t, x)[0] * 2 / (v + 1 / v + u**2))
    error = (estimate - truth).to_numpy()
    assert found.loc["all", "rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    assert found.loc["all", "mae"] == pytest.approx(np.abs(error).mean())
    assert found.loc["b", "bias"] == pytest.approx((x - t).mean())
    assert found.loc["all", "bias"] == pytest.approx(np.abs(error.mean(axis=0)).mean())
    assert found.loc["all", "r_types"] == pytest.approx(found.loc[list("abc"), "r"].mean())
    assert found.loc["all", "negative"] == pytest.approx((estimate < 0).to_numpy().mean())
    assert found.loc["all", "intervals"] == 0
    assert np.isnan(found.loc["all", "coverage"])


def test_intervals():
    truth = pd.DataFrame({"a": [0.2, 0.5, 0.0], "b": [0.8, 0.5, 1.0]})
    low = np.array([[0.1, 0.7], [0.6, 0.4], [0.1, 0.8]])
    high = np.array([[0.3, 0.9], [0.7, np.nan], [0.2, 0.9]])
    found = metrics(truth, truth, low, high, prob=0.9)
    # of the truths inside of (0, 1) with an interval: .2 yes, .5 no (a), .8 yes (b)
    assert found["coverage"].tolist() == pytest.approx([2 / 3, 0.5, 1.0])
    assert found.loc["a", "width"] == pytest.approx((0.2 + 0.1 + 0.1) / 3)
    # misses of .1 below (.5) and .1 below (0), each counted 2 / .1 times
    assert found.loc["a", "interval_score"] == pytest.approx((0.2 + 2.1 + 2.1) / 3)
    assert found.loc["all", "intervals"] == pytest.approx(5 / 6)


def test_lost_samples_and_constant_truth():
    truth = pd.DataFrame({"a": [0.5, 0.5, 0.5], "b": [0.5, 0.5, 0.5]})
    estimate = truth.copy()
    estimate.iloc[0] = np.nan
    gap = np.full(truth.shape, np.nan)
    found = metrics(truth, estimate, gap, gap)
    assert found.loc["all", "samples"] == 2
    assert found.loc["all", "rmse"] == 0  # equal proportions are right for the sample without
    assert np.isnan(found.loc["a", "r"])
    uneven = pd.DataFrame({"a": [1.0, 0.5, 0.5], "b": [0.0, 0.5, 0.5]})
    assert metrics(uneven, estimate, gap, gap).loc["all", "rmse"] == pytest.approx(
        np.sqrt(2 * 0.25 / 6)
    )
    nothing = metrics(truth, estimate * np.nan, gap, gap)
    assert np.isnan(nothing.loc["all", "rmse"])


def test_a_constant_estimate_ranks_nothing():
    truth = pd.DataFrame({"a": [0.1, 0.2, 0.3], "b": [0.9, 0.8, 0.7]})
    estimate = pd.DataFrame({"a": [0.2, 0.2, 0.2], "b": [0.9, 0.8, 0.7]})
    gap = np.full(truth.shape, np.nan)
    found = metrics(truth, estimate, gap, gap)
    assert np.isnan(found.loc["a", "r"])
    assert found.loc["all", "r_types"] == pytest.approx(0.5)
