"""Normal likelihoods of samples: moments by plain loops and by quadrature."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

from bayesdecov.algebra.simplex import log_ratio_basis
from bayesdecov.cohort.expectation import first_sites, update
from bayesdecov.cohort.measured import Measured


def data_of(z, log_prior=None):
    n, draws, d = z.shape
    names = pd.Index([f"s{i}" for i in range(n)])
    flat = np.zeros((n, draws)) if log_prior is None else log_prior
    return Measured(names, pd.Index([f"t{j}" for j in range(d + 1)]), z, flat, "")


def normal_draws(seed, n=3, draws=4000, d=2):
    rng = np.random.default_rng(seed)
    roots = 0.4 * rng.normal(size=(n, d, d)) + 0.5 * np.eye(d)
    means = rng.normal(size=(n, d))
    z = means[:, None] + rng.normal(size=(n, draws, d)) @ roots.transpose(0, 2, 1)
    return z, means, roots @ roots.transpose(0, 2, 1)


def test_the_first_sites_are_the_normals_of_the_draws():
    z, _, _ = normal_draws(0)
    found = first_sites(data_of(z))
    for i, draws in enumerate(z):
        P = np.linalg.inv(np.cov(draws.T) + 1e-9 * np.eye(2))
        np.testing.assert_allclose(found.precision[i], P, rtol=1e-9)
        np.testing.assert_allclose(found.shift[i], P @ draws.mean(axis=0), rtol=1e-7)


def test_a_single_draw_is_taken_as_exact():
    z = normal_draws(1, draws=1)[0]
    found = first_sites(data_of(z))
    sd = 1 / np.sqrt(np.linalg.eigvalsh(found.precision))
    assert sd.max() <= 1e-3
    np.testing.assert_allclose(
        np.linalg.solve(found.precision, found.shift[..., None])[..., 0], z[:, 0]
    )


def test_sites_have_the_moments_of_the_weighted_draws():
    """Draw by draw: the cohort's density over the prior's, and the moments they give."""
    z, means, _ = normal_draws(2)
    rng = np.random.default_rng(3)
    log_prior = -0.1 * np.square(z).sum(axis=2)
    centre = means + 0.3 * rng.normal(size=means.shape)
    Omega = np.array([[2.0, 0.3], [0.3, 1.5]])
    data = data_of(z, log_prior)
    first = first_sites(data)
    sites, effective = update(data, first, first, centre, Omega)
    for i in range(3):
        w = multivariate_normal(centre[i], Omega).pdf(z[i]) / np.exp(log_prior[i])
        w /= w.sum()
        assert effective[i] == pytest.approx(1 / (w**2).sum())
        mean = w @ z[i]
        C = np.cov(z[i].T, aweights=w, ddof=1) + 1e-9 * np.eye(2)
        own = np.linalg.inv(C)
        assert np.linalg.eigvalsh(own - np.linalg.inv(Omega))[0] > 0
        P = own - np.linalg.inv(Omega) + 0.02 * first.precision[i]
        r = own @ mean - np.linalg.solve(Omega, centre[i]) + 0.02 * first.shift[i]
        np.testing.assert_allclose(sites.precision[i], P, rtol=1e-6)
        np.testing.assert_allclose(sites.shift[i], r, rtol=1e-6)


def test_a_normal_likelihood_is_found_wherever_the_cohort_looks():
    z, means, C = normal_draws(4, draws=50_000)
    data = data_of(z)
    first = first_sites(data)
    for distance in (0.0, 1.0):
        centre, Omega = means + distance * np.sqrt(C[:, [0, 1], [0, 1]]), 2 * C.mean(axis=0)
        sites, effective = update(data, first, first, centre, Omega)
        assert effective.min() > 5000
        P = 1.02 * np.linalg.inv(C)
        # precisions from 5,000 effective draws have relative standard errors of .02
        assert np.abs(sites.precision - P).max() < 0.1 * np.abs(P).max()
        found = np.linalg.solve(sites.precision, sites.shift[..., None])[..., 0]
        np.testing.assert_allclose(found, means, atol=0.1 * np.sqrt(C.max()))


def test_no_likelihood_has_a_negative_precision():
    """Draws that are wider under the cohort's weights than the cohort itself."""
    z = np.concatenate([np.full((1, 200, 1), -3.0), np.full((1, 200, 1), 3.0)], axis=1)
    z = z + 0.01 * np.random.default_rng(5).normal(size=z.shape)
    data = data_of(z)
    first = first_sites(data)
    sites, effective = update(data, first, first, np.zeros((1, 1)), np.array([[4.0]]))
    assert effective[0] > 20
    assert sites.precision[0, 0, 0] == pytest.approx(0.02 * first.precision[0, 0, 0])


def test_a_skewed_sample_has_its_exact_moments_within_the_cohort():
    """A count of 3 in 1,000: likelihood times the cohort's normal by quadrature."""
    rng = np.random.default_rng(3)
    V = log_ratio_basis(2)
    centre, omega = np.log(0.99 / 0.01) / np.sqrt(2), 0.3
    p = rng.beta(3 + 1, 997 + 1, 4000)  # flat prior
    P = np.stack([p, 1 - p], axis=1)
    if V[0, 0] > 0:
        centre = -centre
    z = np.log(P) @ V
    data = Measured(pd.Index(["s"]), pd.Index(["a", "b"]), z[None], np.log(P).sum(axis=1)[None], "")
    first = first_sites(data)
    sites, effective = update(data, first, first, np.array([[centre]]), np.array([[omega]]))
    grid = np.linspace(z.min() - 3, z.max() + 3, 40_001)
    log_p = np.log(1 / (1 + np.exp(-np.outer(grid, V[:, 0] - V[::-1, 0]))))
    weight = np.exp(
        3 * log_p[:, 0]
        + 997 * log_p[:, 1]
        - 0.5 * (grid - centre) ** 2 / omega
        - (3 * np.log(0.003) + 997 * np.log(0.997))
    )
    weight /= weight.sum()
    mean = float(weight @ grid)
    variance = float(weight @ (grid - mean) ** 2)
    precision = sites.precision[0, 0, 0] + 1 / omega
    found = (sites.shift[0, 0] + centre / omega) / precision
    assert effective[0] > 500
    # 4,000 weighted draws, hence about 2 % of a standard deviation and of a variance
    assert found == pytest.approx(mean, abs=0.1 * np.sqrt(variance))
    assert 1 / precision == pytest.approx(variance, rel=0.12)


def test_samples_far_from_the_cohort_keep_what_they_had():
    rng = np.random.default_rng(4)
    z = rng.normal(size=(2, 300, 1)) * 0.01
    z[1] += 5.0
    data = Measured(pd.Index(["a", "b"]), pd.Index(["x", "y"]), z, np.zeros((2, 300)), "")
    first = first_sites(data)
    sites, effective = update(data, first, first, np.zeros((2, 1)), np.array([[1e-5]]))
    assert effective[0] > 20 > effective[1]
    assert sites.precision[1] == pytest.approx(first.precision[1])
    assert not np.allclose(sites.precision[0], first.precision[0])
