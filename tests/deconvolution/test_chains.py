"""Chains of every sample, and the guess of how long they take."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.deconvolution import chains
from bayesdecov.deconvolution.chains import expected_minutes, sample_chains
from bayesdecov.sampling import Schedule
from tests.deconvolution.problems import problem

SHORT = Schedule(draws=30, tune=30, chains=2, target_accept=0.85, nuts_sampler="nutpie")


def test_draws_come_by_sample_chain_and_draw_and_depend_on_the_streams_only():
    model, data, _ = problem(1, n=2)
    once, again = (
        sample_chains(model, data, SHORT, [np.random.default_rng(i) for i in (5, 6)])
        for _ in range(2)
    )
    assert once.p.shape == (2, 2, 30, 3)
    np.testing.assert_allclose(once.p.sum(axis=-1), 1)
    np.testing.assert_array_equal(once.p, again.p)
    assert {"diverging", "energy", "step_size"} <= once.stats.keys()
    assert all(values.shape == (2, 2, 30) for values in once.stats.values())
    alone = sample_chains(model, data.rows(1, 2), SHORT, [np.random.default_rng(6)])
    np.testing.assert_allclose(alone.p[0], once.p[1], atol=1e-10)


def test_the_guess_grows_with_samples_draws_and_chains_and_falls_with_workers(monkeypatch):
    ticks = iter(np.arange(1000) * 0.01)
    monkeypatch.setattr(chains.time, "perf_counter", lambda: float(next(ticks)))
    monkeypatch.setattr(chains.joblib, "cpu_count", lambda: 4)
    model, data, _ = problem(2)
    one = expected_minutes(model, data, SHORT, 1)
    # 4 samples, 2 chains, 60 steps of 5 gradients, each of a tick and what the sampler adds
    assert one == pytest.approx(4 * 2 * 60 * 5 * (0.01 + 1e-4) / 60)
    assert expected_minutes(model, data.rows(0, 2), SHORT, 1) == pytest.approx(one / 2)
    more = SHORT._replace(draws=90, chains=4)
    assert expected_minutes(model, data, more, 1) == pytest.approx(4 * one)
    assert expected_minutes(model, data, SHORT, 100) == pytest.approx(one / 4)
