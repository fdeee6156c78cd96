"""Samples in shards: the same whatever their size, baselines and their bootstrap."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.baselines import BASELINES
from bayesdecov.deconvolution import shards
from bayesdecov.deconvolution.shards import Task, _normalised, collect, run_shards, shard_size
from bayesdecov.sampling import Schedule
from tests.deconvolution.problems import problem


def task_of(method, model, bootstrap=0):
    return Task(method, model, Schedule(draws=40), model.covariance.variances(), 11, bootstrap)


def test_a_shard_never_depends_on_the_workers_and_nuts_samples_alone():
    assert shard_size("nuts", 10) == 1
    assert shard_size("map", 10) == 4096  # all are multiples of the blocks of a platform
    assert shard_size("laplace", 1000) == 32
    assert shard_size("laplace", 300) == 160
    assert shard_size("nnls", 10**9) == 32


@pytest.mark.parametrize("method", ["map", "laplace", "nnls"])
def test_samples_get_the_same_in_one_shard_and_in_many(method, monkeypatch):
    model, data, _ = problem(1, n=7)
    task = task_of(method, model, 3 if method == "nnls" else 0)
    whole = collect(run_shards(task, data, progress=False))
    monkeypatch.setattr(shards, "shard_size", lambda method, n_genes: 3)
    parts = run_shards(task, data, progress=False)
    assert len(parts) == 3
    joined = collect(parts)
    near = {"rtol": 1e-9, "atol": 1e-12}  # sums of other lengths round otherwise
    np.testing.assert_allclose(joined.estimates.p, whole.estimates.p, **near)
    np.testing.assert_array_equal(joined.estimates.converged, whole.estimates.converged)
    if method == "laplace":
        np.testing.assert_allclose(joined.posterior.p, whole.posterior.p, **near)
        np.testing.assert_allclose(joined.posterior.map, whole.posterior.map, **near)
    if method == "nnls":
        np.testing.assert_allclose(joined.replicates[0], whole.replicates[0], **near)


def test_the_number_of_the_first_sample_chooses_its_stream():
    model, data, _ = problem(2, n=4)
    whole = collect(run_shards(task_of("laplace", model), data, progress=False))
    later = collect(run_shards(task_of("laplace", model), data.rows(2, 4), progress=False, first=2))
    np.testing.assert_allclose(later.posterior.p, whole.posterior.p[2:], atol=1e-12)


def test_a_bootstrap_repeats_the_baseline_on_genes_drawn_with_replacement():
    model, data, _ = problem(3, n=2)
    found = collect(run_shards(task_of("nnls", model, 4), data, progress=False))
    p, size = found.replicates
    assert p.shape == (2, 4, 3)
    for number in range(4):
        genes = np.random.default_rng([11, number]).integers(15, size=15)
        own = BASELINES["nnls"].estimate(
            model.mu[genes], data.y[:, genes], model.covariance.variances()[genes]
        )
        total = own.coefficients.sum(axis=1)
        np.testing.assert_allclose(p[:, number], own.coefficients / total[:, None])
        np.testing.assert_allclose(size[:, number], total * data.unit)


def test_nothing_to_divide_by_gives_no_proportions():
    p, total = _normalised(np.array([[1.0, 3.0], [0.0, 0.0]]))
    np.testing.assert_array_equal(p, [[0.25, 0.75], [np.nan, np.nan]])
    np.testing.assert_array_equal(total, [4, 0])
