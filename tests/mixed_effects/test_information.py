"""Scores, information and draws of the parameters, and rates of false discoveries over them."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.mixed_effects import information as module
from bayesdecov.mixed_effects.contamination import expectation
from bayesdecov.mixed_effects.information import averaged, draws, gene_scores, information
from bayesdecov.mixed_effects.parameters import pack, units, unpack
from tests.mixed_effects.problems import contaminated


@pytest.fixture
def case():
    return contaminated()


def drawn_genes(at, T, genes, rng):
    """Coefficients of genes whose states are drawn from the model."""
    state = rng.choice(5, genes, p=[at.null, at.up[0], at.down[0], at.up[2], at.down[2]])
    c = rng.multivariate_normal(at.beta, T, genes)
    for k, up, down in ((0, 1, 2), (2, 3, 4)):
        sign = (state == up) * 1.0 - (state == down)
        c[:, k] += sign * (at.delta[k] + np.sqrt(at.tau2[k]) * rng.normal(size=genes))
    return c


@pytest.mark.parametrize("own", [False, True], ids=["common", "gene"])
def test_scores_are_the_derivatives(case, own):
    """Finite differences of every gene's log-likelihood in every free parameter."""
    at, Vz, c, rng = case
    at = at._replace(tau2=np.array([0.5, 0.0, 0.2]))
    c = c[:7]
    sigma2 = rng.uniform(0.5, 2, 7) if own else np.array([1.3])
    scale = units(at)
    x = pack(at, scale)

    def values(x):
        there = unpack(x, scale, at.active)
        return np.array(
            [
                expectation(c[[g]], Vz, sigma2[[g]] if own else sigma2, there).log_likelihood
                for g in range(7)
            ]
        )

    slow = np.empty((7, len(x)))
    for j in range(len(x)):
        step = np.zeros(len(x))
        step[j] = 1e-5
        slow[:, j] = (values(x + step) - values(x - step)) / 2e-5
    seen = expectation(c, Vz, sigma2, at)
    np.testing.assert_allclose(gene_scores(seen, at, scale, slice(None)), slow, atol=2e-7)
    np.testing.assert_allclose(information(seen, at), slow.T @ slow, atol=1e-5)


def test_draws_have_the_covariance_of_the_information(case):
    at, Vz, _, rng = case
    none = at._replace(active=np.array([], dtype=int), up=np.zeros(3), down=np.zeros(3), null=1.0)
    T = none.Psi + 0.5 * Vz
    c = rng.multivariate_normal(none.beta, T, 20_000)
    found, cov = draws(expectation(c, Vz, np.array([0.5]), none), none, rng, 2000)
    size = np.sqrt(np.outer(np.diag(T), np.diag(T))) / 20_000
    np.testing.assert_allclose(cov / size, T / 20_000 / size, atol=4 * np.sqrt(2 / 20_000))
    spread = np.var([d.Psi[0, 0] for d in found])
    assert abs(spread / (2 * T[0, 0] ** 2 / 20_000) - 1) < 5 * np.sqrt(2 / 2000) + 0.05


def test_scores_of_genes_from_the_model_are_zero_on_average(case):
    """4000 genes, judged in 4.5 standard errors; in any chunks."""
    at, Vz, _, rng = case
    at = at._replace(tau2=np.array([0.5, 0.0, 0.2]))
    c = drawn_genes(at, at.Psi + 1.3 * Vz, 4000, rng)
    scores = gene_scores(expectation(c, Vz, np.array([1.3]), at), at, units(at), slice(None))
    error = scores.std(axis=0) / np.sqrt(4000)
    assert (np.abs(scores.mean(axis=0)) < 4.5 * error).all()
    # the covariance of the scores is minus the expected second derivative, along any direction
    step = 0.1 * rng.normal(size=scores.shape[1]) / np.sqrt(scores.shape[1])
    there = unpack(pack(at, units(at)) + step, units(at), at.active)
    gain = expectation(c, Vz, np.array([1.3]), there).log_density
    gain -= expectation(c, Vz, np.array([1.3]), at).log_density + scores @ step
    assert gain.mean() == pytest.approx(-0.5 * np.mean((scores @ step) ** 2), rel=0.15)


def test_chunks_of_genes_do_not_matter(case, monkeypatch):
    at, Vz, c, rng = case
    seen = expectation(c, Vz, rng.uniform(0.5, 2, 300), at)
    whole = information(seen, at)
    monkeypatch.setattr(module, "_CHUNK", 7)
    np.testing.assert_allclose(information(seen, at), whole, rtol=1e-10)


def test_with_few_genes_nothing_is_drawn_and_fixed_effects_are_a_mean(case):
    at, Vz, c, rng = case
    few = expectation(c[:50], Vz, np.array([0.5]), at)  # 17 parameters
    found, cov = draws(few, at, rng)
    assert found == []
    np.testing.assert_allclose(cov, (at.Psi + 0.5 * Vz) / 50, rtol=1e-9)
    assert len(draws(expectation(c[:51], Vz, np.array([0.5]), at), at, rng, 3)[0]) == 3


def test_draws_lie_around_the_estimate_as_the_information_says(case):
    """1000 draws in 4.5 standard errors, whitened by an inverse that is written out."""
    at, Vz, _, rng = case
    at = at._replace(tau2=np.array([0.5, 0.0, 0.2]), Psi=at.Psi + np.eye(3))  # away from edges
    seen = expectation(drawn_genes(at, at.Psi + 0.5 * Vz, 5000, rng), Vz, np.array([0.5]), at)
    found, cov = draws(seen, at, rng, 1000)
    scale = units(at)
    x = np.array([pack(each, scale) for each in found]) - pack(at, scale)
    prior = np.diag([0.0] * 5 + [1.0] * 6 + [0.0] * 6)
    slow = np.linalg.inv(information(seen, at) + prior) * (5000 - 17 - 1) / 5000
    white = x @ np.linalg.inv(np.linalg.cholesky(slow)).T
    assert np.abs(white.mean(axis=0)).max() < 4.5 / np.sqrt(1000)
    assert np.abs(white.var(axis=0) - 1).max() < 4.5 * np.sqrt(2 / 1000)
    np.testing.assert_allclose(cov, slow[:3, :3] * np.outer(scale, scale), rtol=1e-8)


def test_rates_are_sorted_means_at_one_point_and_an_upper_quantile_over_many(case):
    at, Vz, c, rng = case
    s2 = np.array([1.3])
    seen = expectation(c, Vz, s2, at)
    drawn = draws(seen, at, rng, 11)[0]
    probability, rate = averaged(c, Vz, s2, seen, at, drawn)
    assert (probability[:, 1] == 0).all()
    assert (rate[:, 1] == 1).all()
    passes = [expectation(c, Vz, s2, each) for each in drawn]
    for j, k in enumerate(at.active):
        each = np.array([p.up[:, j] + p.down[:, j] for p in passes])
        np.testing.assert_allclose(probability[:, k], each.mean(axis=0), rtol=1e-10)
        order = np.argsort(-(seen.up + seen.down)[:, j], kind="stable")
        worst = 0.0
        for rank, g in enumerate(order, start=1):
            listed = order[:rank]
            worst = max(worst, np.quantile([1 - p[listed].mean() for p in each], 0.8))
            slow = worst if probability[g, k] >= 0.5 else max(worst, 1 - probability[g, k])
            assert rate[g, k] == pytest.approx(slow, rel=1e-5)


def test_rates_of_genes_from_the_model_are_calibrated_and_follow_the_genes(case):
    """The rate at the true parameters against the share of false calls, in 4.5 deviations."""
    at, Vz, _, rng = case
    at = at._replace(
        delta=np.array([4.0, 0.0, 0.0]),
        up=np.array([0.2, 0, 0]),
        down=np.zeros(3),
        null=0.8,
        active=np.array([0]),
    )
    shifted = np.arange(20_000) < 4000
    c = rng.multivariate_normal(at.beta, at.Psi + 0.5 * Vz, 20_000)
    c[shifted, 0] += 4.0 + np.sqrt(0.5) * rng.normal(size=4000)
    seen = expectation(c, Vz, np.array([0.5]), at)
    probability, rate = averaged(c, Vz, np.array([0.5]), seen, at, [at])
    for level in (0.05, 0.2):
        called = rate[:, 0] <= level
        n, false = called.sum(), (~shifted[called]).mean()
        assert n > 500
        assert abs(false - (1 - probability[called, 0]).mean()) < 4.5 * np.sqrt(level / n)
        assert false < level + 4.5 * np.sqrt(level / n)
    genes = rng.permutation(20_000)
    again = averaged(
        c[genes], Vz, np.array([0.5]), expectation(c[genes], Vz, np.array([0.5]), at), at, [at]
    )
    np.testing.assert_allclose(again[1], rate[genes], rtol=1e-5)
