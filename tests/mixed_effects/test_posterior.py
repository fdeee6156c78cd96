"""Posteriors of gene effects against Bayes' rule for every state, and quantiles by bisection."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm

from bayesdecov.mixed_effects import posterior as module
from bayesdecov.mixed_effects.contamination import expectation
from bayesdecov.mixed_effects.parameters import Contamination
from bayesdecov.mixed_effects.posterior import _quantile, _States, posterior
from tests.mixed_effects.problems import shared_problem, states

GENES = 30


@pytest.fixture(params=["common", "gene"])
def case(request):
    known = shared_problem(8, genes=GENES, columns=3)
    at = Contamination(
        np.array([0.2, 0.0, -0.1]),
        known.Psi,
        0.7,
        np.array([0.1, 0.0, 0.05]),
        np.array([0.1, 0.0, 0.05]),
        np.array([4.0, 0.0, 2.0]),
        np.array([0.6, 0.0, 0.0]),
        np.array([0, 2]),
    )
    s2 = np.array([0.7]) if request.param == "common" else known.rng.uniform(0.3, 2, GENES)
    c = known.ls.c.copy()
    c[:10, 0] += 5.0
    c[20:25, 2] -= 4.0
    return known._replace(ls=known.ls._replace(c=c)), at, s2


def judged(known, at, s2, cov=None, **options):
    ls = known.ls
    seen = expectation(ls.c, ls.Vz, s2, at)
    cov = 0.02 * ls.V if cov is None else cov
    return posterior(ls, seen, at, s2, ls.mean + at.beta, cov, **options)


def mixtures(known, at, s2):
    """Weights, means and variances of every gene's effects, by conditioning state by state."""
    ls, m = known.ls, len(known.ls.c)
    for g, s in enumerate(np.broadcast_to(s2, m)):
        T = at.Psi + s * ls.Vz
        K = np.linalg.inv(T)
        extra = 2 * 4 / m * s**2 * np.diag(ls.Vz @ K @ ls.Vz)
        weights, means, variances = [], [], []
        for weight, centre, total in states(at, T):
            own = total - s * ls.Vz  # covariance of the effects in this state
            gain = own @ np.linalg.inv(total)
            weights.append(weight * multivariate_normal.pdf(ls.c[g], centre, total))
            means.append(ls.mean + centre + gain @ (ls.c[g] - centre))
            variances.append(np.diag(own - gain @ own) + extra)
        yield np.array(weights) / sum(weights), np.array(means), np.array(variances)


def test_every_gene_is_the_mixture_of_its_states(case):
    """Mean, sd, false-sign rate and both ends of the interval, without errors of fixed effects."""
    known, at, s2 = case
    cov = np.zeros((3, 3))
    found = judged(known, at, s2, cov, prob=0.9)
    for g, (w, mean, variance) in enumerate(mixtures(known, at, s2)):
        for k in range(3):
            x, sd = mean[:, k], np.sqrt(variance[:, k])
            centre = w @ x
            shift = centre - known.ls.mean[k] - at.beta[k]
            assert found.gamma[g, k] == pytest.approx(shift, rel=1e-7, abs=1e-9)
            spread = np.sqrt(w @ (x**2 + sd**2) - centre**2)
            assert found.sd[g, k] == pytest.approx(spread, rel=1e-7)
            below = w @ norm.cdf(-x / sd)
            assert found.lfsr[g, k] == pytest.approx(min(below, 1 - below), rel=1e-6, abs=1e-12)
            for p, end in ((0.05, found.low), (0.95, found.high)):
                slow = brentq(
                    lambda t, p=p, x=x, sd=sd, w=w: w @ norm.cdf((t - x) / sd) - p,
                    centre - 20 * spread,
                    centre + 20 * spread,
                )
                assert end[g, k] == pytest.approx(slow, abs=1e-3 * spread)


def test_errors_of_the_fixed_effects_widen_every_state(case):
    """By the variance of (I - Psi T^-1) times the error, with one residual variance."""
    known, at, _ = case
    s2 = np.array([0.7])
    none = at._replace(active=np.array([], dtype=int), null=1.0, up=np.zeros(3), down=np.zeros(3))
    cov = 0.3 * known.ls.V
    before, after = (judged(known, none, s2, each) for each in (0 * cov, cov))
    M = np.eye(3) - at.Psi @ np.linalg.inv(at.Psi + 0.7 * known.ls.Vz)
    slow = np.diag(M @ cov @ M.T)
    np.testing.assert_allclose(after.sd**2 - before.sd**2, np.tile(slow, (GENES, 1)), rtol=1e-8)
    # a normal
    effect = known.ls.mean + at.beta + after.gamma
    np.testing.assert_allclose(after.high, effect + norm.ppf(0.975) * after.sd, rtol=1e-8)
    np.testing.assert_allclose(after.low, effect - norm.ppf(0.975) * after.sd, rtol=1e-8)
    np.testing.assert_allclose(after.lfsr, norm.sf(np.abs(effect) / after.sd), rtol=1e-8)


def test_chunks_and_the_order_of_genes_do_not_matter(case, monkeypatch):
    known, at, s2 = case
    whole = judged(known, at, s2)
    monkeypatch.setattr(module, "_CHUNK", 7)
    for one, other in zip(judged(known, at, s2), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)  # quantiles stop together
    monkeypatch.undo()
    order = known.rng.permutation(GENES)
    ls = known.ls._replace(c=known.ls.c[order])
    moved = judged(known._replace(ls=ls), at, s2 if len(s2) == 1 else s2[order])
    for one, other in zip(moved, whole, strict=True):
        np.testing.assert_allclose(one, other[order], rtol=1e-7, atol=1e-9)


def test_turning_all_signs_turns_effects_and_swaps_the_ends(case):
    known, at, s2 = case
    ls = known.ls._replace(c=-known.ls.c, mean=-known.ls.mean)
    base = judged(known, at, s2)
    turned = judged(known._replace(ls=ls), at._replace(beta=-at.beta, up=at.down, down=at.up), s2)
    np.testing.assert_allclose(turned.gamma, -base.gamma, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(turned.lfsr, base.lfsr, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(turned.low, -base.high, atol=1e-3)


def test_quantiles_of_mixtures_of_normals():
    rng = np.random.default_rng(1)
    weight = rng.dirichlet(np.ones(3), 6).T[:, :, None]
    mean, sd = rng.normal(size=(3, 6, 2)) * 4, rng.uniform(0.5, 2, (3, 6, 2))
    centre = (weight * mean).sum(axis=0)
    spread = np.sqrt((weight * (np.square(mean - centre) + sd**2)).sum(axis=0))
    found = _quantile(_States(weight, mean, sd), 0.9, centre, spread)
    for g in range(6):
        state = rng.choice(3, 400_000, p=weight[:, g, 0])
        x = rng.normal(mean[state, g, 1], sd[state, g, 1])
        assert abs((x < found[g, 1]).mean() - 0.9) < 4 * np.sqrt(0.09 / 400_000) + 1e-4


@pytest.mark.parametrize("p", [1e-6, 0.2, 0.5, 0.999999])
def test_quantiles_between_two_far_narrow_peaks(p):
    """Where Newton leaves its bracket: two states 1000 standard deviations apart."""
    weight = np.array([0.3, 0.7])[:, None, None]
    mean, sd = np.array([-500.0, 500.0])[:, None, None], np.ones((2, 1, 1))
    centre = (weight * mean).sum(axis=0)
    spread = np.sqrt((weight * (mean - centre) ** 2).sum(axis=0) + 1)
    found = _quantile(_States(weight, mean, sd), p, centre, spread)
    slow = brentq(lambda t: 0.3 * norm.cdf(t + 500) + 0.7 * norm.cdf(t - 500) - p, -600, 600)
    assert found.item() == pytest.approx(slow, abs=2e-4 * spread.item())
