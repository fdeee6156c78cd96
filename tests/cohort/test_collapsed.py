"""The law of a large cohort: gradient, agreement with Gibbs sampling, scale."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.cohort.collapsed import _density, _packed, _parts, collapsed, find_mode
from bayesdecov.cohort.fit import prior_of
from bayesdecov.cohort.gibbs import Sites, sample
from bayesdecov.results.proportions import Draws, Proportions


def sites(n, d, seed, precision=20.0):
    """Samples of a known law, some of which say nothing of one log-ratio."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    B = rng.normal(size=(2, d))
    z = X @ B + rng.normal(size=(n, d)) @ np.diag(np.linspace(0.4, 0.8, d))
    P = np.tile(precision * np.eye(d), (n, 1, 1))
    P[::3, 0] = P[::3, :, 0] = 0.0
    seen = z + rng.normal(size=(n, d)) / np.sqrt(precision)
    return X, Sites(P, np.einsum("nde,ne->nd", P, seen)), B


def test_gradient():
    X, known, _ = sites(40, 3, 0)
    rng = np.random.default_rng(1)
    prior = prior_of(2)
    x = _packed(rng.normal(size=(2, 3)), np.eye(3) + 0.3) + 0.2 * rng.normal(size=12)
    _, gradient = _density(x, X, known, prior)
    for j, slope in enumerate(gradient):
        step = 1e-5 * np.eye(12)[j]
        up, down = (_density(x + s * step, X, known, prior)[0] for s in (1, -1))
        assert slope == pytest.approx((up - down) / 2e-5, rel=1e-6, abs=1e-6)
    B, L = _parts(x, 2)
    np.testing.assert_allclose(_packed(B, L @ L.T), x, atol=1e-12)


def test_the_same_posterior_as_gibbs():
    X, known, truth = sites(400, 3, 2)
    prior, rng = prior_of(2), np.random.default_rng(3)
    chain = sample(X, known, prior, None, draws=3000, tune=500, rng=rng)
    found = collapsed(X, known, prior, find_mode(X, known, prior, None), 3000, rng)
    assert found is not None
    for ours, theirs in ((found.coefficients, chain.coefficients),
                         (found.covariance, chain.covariance)):  # fmt: skip
        sd = theirs.std(axis=0)
        np.testing.assert_allclose(ours.mean(axis=0), theirs.mean(axis=0), atol=0.3 * sd.max())
        assert np.abs((ours.mean(axis=0) - theirs.mean(axis=0)) / sd).max() < 0.3
        np.testing.assert_allclose(ours.std(axis=0) / sd, 1, atol=0.15)
    assert (
        np.abs((found.coefficients.mean(axis=0) - truth) / chain.coefficients.std(axis=0)).max() < 4
    )
    np.testing.assert_allclose(found.mode.mean, chain.mean, atol=0.15)


def test_many_samples():
    """2,000 samples of counts: nearly independent draws, and the truth among them."""
    rng = np.random.default_rng(5)
    z = np.log([1.0, 3.0, 6.0]) + 0.5 * rng.normal(size=(2000, 3))
    z[1000:, 0] += 0.4
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    draws = np.stack([rng.dirichlet(0.5 + row, 250) for row in rng.multinomial(150, p)])
    names = [f"s{i}" for i in range(2000)]
    fit = Proportions(
        proportions=pd.DataFrame(draws.mean(axis=1), names, list("abc")),
        diagnostics=pd.DataFrame(index=names),
        method="gate",
        quantity="cell fractions",
        settings={},
        notes=(),
        draws=Draws(draws[:, None], {}),
    )
    group = pd.DataFrame({"group": np.repeat(["A", "B"], 1000)}, index=names)
    found = bd.contrast(fit, group, seed=1)
    assert found.facts["ess_bulk"] > 500
    assert found.facts["r_hat"] < 1.02
    row = found.table.set_index("cell_type")
    true = 100 * (p[1000:].mean(axis=0) - p[:1000].mean(axis=0))
    assert (np.abs(row["difference"] - true) < 4 * row["sd"]).all()
    assert row.loc["a", "log_ratio"] == pytest.approx(0.4 * 2 / 3, abs=0.06)
