"""Tests of normality: against libraries, and of many genes against all of them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, shapiro
from sklearn.mixture import GaussianMixture

from bayesdecov.mixed_effects import screens
from bayesdecov.mixed_effects.screens import anderson_p, mixture_components, screen, shapiro_p


@pytest.fixture(scope="module")
def effects():
    """Normal, shifted minority, heavy tails, two halves."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(3000, 4))
    x[:200, 1] += 4.0
    x[:300, 2] *= 4.0
    x[:1500, 3] += 4.0
    return x


def test_every_screen_finds_what_is_not_normal(effects):
    for name in screens.SCREENS:
        assert screen(effects, name).flagged.tolist() == [False, True, True, True], name


def test_bins_do_not_change_the_decision(effects, monkeypatch):
    binned = mixture_components(effects)
    monkeypatch.setattr(screens, "_MANY", 10**9)
    assert mixture_components(effects).tolist() == binned.tolist()


def test_two_components_against_a_library(effects):
    """The log-likelihood that EM reaches, with a library's EM from the same halves."""
    x = effects[:900, [1]]
    points = screens._Points(x, np.ones_like(x), np.zeros_like(x))
    ours = screens._fit(points, x, 2)
    value = np.logaddexp.reduce(screens._log_density(x, ours), axis=0).sum()
    half = x > np.median(x)
    theirs = GaussianMixture(
        2, tol=1e-10, max_iter=5000, means_init=[[x[~half].mean()], [x[half].mean()]]
    ).fit(x)
    assert value > theirs.score(x) * len(x) - 1.0
    slow = np.log(
        sum(s[0] * norm.pdf(x, m[0], np.sqrt(v[0])) for m, v, s in zip(*ours, strict=True))
    ).sum()
    np.testing.assert_allclose(value, slow, rtol=1e-12)


def test_p_values_are_the_libraries(effects):
    np.testing.assert_allclose(shapiro_p(effects), [shapiro(c).pvalue for c in effects.T])
    many = np.random.default_rng(1).normal(size=(12_000, 20))
    assert (shapiro_p(many) > 0.001).all()
    p = anderson_p(np.random.default_rng(2).normal(size=(400, 500)))
    assert abs((p < 0.05).mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 500)


def test_levels_are_shared_by_the_effects():
    x = np.random.default_rng(3).normal(size=(300, 200))
    plain = screen(x, "anderson", correct=False).flagged.sum()
    assert plain > 2
    assert screen(x, "anderson").flagged.sum() <= 1


def test_ties_are_no_component():
    x = np.random.default_rng(4).normal(size=(500, 1))
    before = mixture_components(x)[0]
    x[:20] = 0.5
    assert mixture_components(x)[0] == before


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 0.5])
def test_the_least_normal_effects_are_flagged(share):
    """Statistics beyond the range of the approximation, and values far out."""
    x = np.random.default_rng(5).normal(size=(20_000, 2))
    x[: int(share * 20_000)] += 5.0
    p = anderson_p(x)
    assert (p < 1e-10).all()
    x[0] = 50.0
    assert (anderson_p(x) < 1e-10).all()


def test_anderson_is_the_library():
    from statsmodels.stats.diagnostic import normal_ad

    x = np.random.default_rng(6).normal(size=(300, 8))
    x[:20, :4] *= 2
    np.testing.assert_allclose(anderson_p(x), [normal_ad(column)[1] for column in x.T], rtol=1e-6)
