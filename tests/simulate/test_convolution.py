"""The simulator has the moments that it reports."""

from __future__ import annotations

import numpy as np
import pytest

import bayesdecov as bd
from bayesdecov.errors import InputError


@pytest.mark.parametrize("distribution", ["lognormal", "gaussian"])
def test_moments_within_monte_carlo_error(distribution):
    n = 4000
    cohort = bd.simulate.convolution(
        n_samples=1, n_genes=12, n_types=2, replicates=n, distribution=distribution, seed=1
    )
    for j, name in enumerate(cohort.mean):
        x = cohort.purified.loc[:, (cohort.labels == name).to_numpy()].to_numpy()
        sd = np.sqrt(np.diag(cohort.covariances[j]))
        z = (x.mean(1) - cohort.mean[name]) / (sd / np.sqrt(n))
        assert np.abs(z).max() < 4
        products = (x - cohort.mean[[name]].to_numpy())[:, None] * (
            x - cohort.mean[[name]].to_numpy()
        )
        error = products.std(axis=2) / np.sqrt(n)
        assert (np.abs(products.mean(axis=2) - cohort.covariances[j]) / error).max() < 5


def test_same_seed_same_cohort_and_counts_are_counts():
    one = bd.simulate.convolution(depth=1e4, seed=5)
    other = bd.simulate.convolution(depth=1e4, seed=np.random.default_rng(5))
    assert one.bulk.equals(other.bulk)
    assert (one.bulk % 1 == 0).all(axis=None)
    assert one.bulk.sum().between(9e3, 11e3).all()


def test_bad_arguments():
    with pytest.raises(InputError, match="depth: must be None unless"):
        bd.simulate.convolution(distribution="gaussian", depth=1e4)
    with pytest.raises(InputError, match="n_types"):
        bd.simulate.convolution(n_types=1)
    with pytest.raises(InputError, match="distribution"):
        bd.simulate.convolution(distribution="cauchy")
