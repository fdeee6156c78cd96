"""The variance law, tails and the genes' own noise, from data drawn with known ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad

from bayesdecov.platform import noise as room
from bayesdecov.platform.noise import Law, Noise, Residuals, first_law, renew, tails, variance

N, G = 60, 400


def drawn(law, *, nu=None, gene=None, seed=0):
    rng = np.random.default_rng(seed)
    mean = rng.lognormal(3, 1.5, (1, G)) * rng.uniform(0.7, 1.3, (N, 1))
    gene = np.ones(G) if gene is None else gene
    V = gene * variance(law, mean, 0.0, None)
    z = rng.standard_normal((N, G)) if nu is None else rng.standard_t(nu, (N, G))
    return Residuals(mean, np.sqrt(V) * z, np.zeros((N, G)), 0.0, None)


def settled(fitted, **options):
    noise = Noise(first_law(float(fitted.mean.mean())), np.ones(G), np.ones_like(fitted.mean))
    for _ in range(25):
        noise = renew(noise, fitted, **options)
    return noise


def test_the_law_is_found():
    truth = Law(0.04, 0.5, 4.0, 60.0)
    found = settled(drawn(truth), genes=False).law
    # a variance from G N residuals; a few hundred of them tell of the floor
    assert found.c2 == pytest.approx(truth.c2 * 58 / 60, rel=0.05)  # the scale of a t
    assert found.phi == pytest.approx(truth.phi, rel=0.1)
    assert found.b2 == pytest.approx(truth.b2, rel=0.2)
    assert found.nu == 60.0


def test_known_counting_noise_is_kept():
    truth = Law(0.04, 0.5, 1e-6, 60.0)
    fitted = drawn(truth)._replace(phi=np.full(N, 0.5))
    found = settled(fitted, genes=False).law
    assert found.c2 == pytest.approx(truth.c2 * 58 / 60, rel=0.05)  # the scale of a t
    assert found.phi == first_law(float(fitted.mean.mean())).phi  # not touched


def test_tails_are_found_and_weigh_down():
    fitted = drawn(Law(0.04, 1e-3, 1e-6, 4.0), nu=4.0)
    found = settled(fitted, genes=False)
    assert found.law.nu == 4.0
    assert found.law.c2 == pytest.approx(0.04, rel=0.1)
    z = np.abs(fitted.residual / fitted.mean)
    assert found.weights[z > 2].max() < 0.2
    assert found.weights[z < 0.05].min() > 1


def test_outliers_do_not_hide_in_a_wide_normal():
    """One gene in ten off by a factor: a t that starts at the scale of a normal sees no tail."""
    rng = np.random.default_rng(1)
    mean = np.full((1, G), 100.0)
    ratio = np.exp(0.2 * rng.normal(size=(1, G)))
    ratio[:, :40] *= 15
    fitted = Residuals(mean, mean * (ratio - 1), np.zeros((1, G)), 0.0, np.zeros(1))
    noise = Noise(first_law(100.0)._replace(nu=60.0, c2=10.0), np.ones(G), np.ones((1, G)))
    for _ in range(12):
        noise = renew(noise, fitted, genes=False, counts=False)
    assert noise.law.nu == 2.5
    assert np.sqrt(noise.law.c2) == pytest.approx(0.2, rel=0.2)


def test_counts_are_no_outliers():
    """The weights follow the multiplicative share of the variance."""
    scaled = np.array([[9.0, 9.0, 9.0]])
    found = tails(2.5, scaled, np.array([[1.0, 0.5, 0.0]]))
    np.testing.assert_allclose(found, [[3.5 / 11.5, 0.5 + 0.5 * 3.5 / 11.5, 1.0]])


def test_genes_have_their_own_noise():
    own = np.exp(np.random.default_rng(2).normal(0, 0.8, G))
    found = settled(drawn(Law(0.04, 1e-3, 1e-6, 60.0), gene=own)).gene
    assert np.exp(np.log(found).mean()) == pytest.approx(1)
    error = np.log(found) - np.log(own) + np.log(own).mean()
    assert error.std() < 1.2 * np.sqrt(2 / N)  # the chi-square's own


def test_equal_genes_are_equal():
    found = settled(drawn(Law(0.04, 1e-3, 1e-6, 60.0))).gene
    assert np.log(found).std() < 0.5 * np.sqrt(2 / N)


def test_two_samples_say_nothing_of_a_gene():
    fitted = drawn(Law(0.04, 1e-3, 1e-6, 60.0))
    two = Residuals(fitted.mean[:2], fitted.residual[:2], fitted.uncertain[:2], 0.0, None)
    noise = Noise(first_law(30.0), np.ones(G), np.ones((2, G)))
    assert (renew(noise, two).gene == 1).all()


def test_the_slope_of_the_law(monkeypatch):
    """The gradient that L-BFGS gets is that of the value."""
    fitted = drawn(Law(0.04, 0.5, 4.0, 60.0))
    seen = []

    def minimise(function, start, **options):
        x = start + np.array([0.3, -0.4, 0.2])
        seen.append(check_grad(lambda v: function(v)[0], lambda v: function(v)[1], x))
        seen.append(np.linalg.norm(function(x)[1]))
        return type("Found", (), {"x": start})

    monkeypatch.setattr(room, "minimize", minimise)
    renew(Noise(first_law(30.0), np.ones(G), np.ones((N, G))), fitted)
    assert seen[0] < 1e-4 * seen[1]
