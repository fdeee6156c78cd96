"""Do the intervals hold what they promise, under the model itself? (A short version of nightly.)"""

from __future__ import annotations

import numpy as np
import pytest

import bayesdecov as bd
from tests.options import of_deconvolve


def _coverage(method, n_samples, seed):
    """Share of 95 % intervals that hold the truth, and its standard error over samples."""
    cohort = bd.simulate.convolution(
        n_samples=n_samples,
        n_genes=60,
        n_types=4,
        distribution="gaussian",
        concentration=5.0,
        own_sd=0.3,
        seed=seed,
    )
    reference = bd.Reference.from_moments(cohort.mean, cohort.covariances)
    limit = {"max_pareto_k": np.inf} if method == "laplace" else {}  # all of them are judged
    fit = bd.deconvolve(
        cohort.bulk.clip(lower=0), reference, method, seed=1, **of_deconvolve(limit)
    )
    table = fit.intervals(0.95)
    truth = cohort.proportions.to_numpy().ravel()
    inside = ((table["low"] <= truth) & (truth <= table["high"])).to_numpy()
    share = inside.reshape(n_samples, -1).mean(axis=1)  # proportions of one sample go together
    return share.mean(), share.std() / np.sqrt(n_samples)


@pytest.mark.parametrize(("method", "n_samples"), [("map", 500), ("laplace", 100)])
def test_coverage_under_the_model(method, n_samples):
    covered, error = _coverage(method, n_samples, seed=2)
    assert abs(covered - 0.95) < 4 * error


@pytest.mark.calibration
@pytest.mark.filterwarnings("ignore:.*do not look like a mixture")
@pytest.mark.parametrize(("method", "bias"), [("map", 0.015), ("laplace", 0.005)])
def test_coverage_under_the_model_nightly(method, bias):
    """Many samples: the normal approximations are allowed a stated bias of their own."""
    runs = [_coverage(method, 2000, seed) for seed in range(5)]
    covered = np.mean([run[0] for run in runs])
    error = np.sqrt(np.sum([run[1] ** 2 for run in runs])) / len(runs)
    assert abs(covered - 0.95) < bias + 4 * error
