"""Draws of bulks have the moments and the densities that are said."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad as integral

from bayesdecov.platform.cut import learn_platform
from bayesdecov.platform.predictive import draw_bulks, gene_densities, predict
from bayesdecov.reference.structures import FactorCovariance
from tests.platform.cohorts import G, J, cohort


@pytest.fixture(scope="module")
def platform():
    bulks, profiles, _, _ = cohort(0.4)
    found, _ = learn_platform(bulks, profiles)
    return found._replace(law=found.law._replace(nu=15.0))


def covariance():
    rng = np.random.default_rng(0)
    return FactorCovariance(
        rng.lognormal(2, 1, (G, J)), np.zeros((G, 0)), np.zeros(0, dtype=np.intp)
    )


def test_moments_of_drawn_bulks(platform):
    n = 4000
    q = np.repeat(np.random.default_rng(1).dirichlet(np.ones(J), 1), n, axis=0)
    found = predict(platform, q, np.full(n, 0.1), np.full(n, 2.0))
    drawn = draw_bulks(platform, covariance(), q, found, np.random.default_rng(2))
    nu = platform.law.nu
    structure = (q**2 @ covariance().variances().T)[0]
    V = platform.gene * (structure + found.additive[0] + found.multiplicative[0] * nu / (nu - 2))
    z = (drawn.mean(axis=0) - found.mean[0]) / np.sqrt(V / n)
    assert np.abs(z).max() < 4.5
    np.testing.assert_allclose(drawn.var(axis=0), V, rtol=0.2)


def test_densities_of_genes_integrate_to_one(platform):
    q = np.random.default_rng(1).dirichlet(np.ones(J), 1)
    found = predict(platform, q, np.zeros(1), np.ones(1))

    def density(x, gene):
        y = found.mean.copy()
        y[0, gene] = x
        return np.exp(gene_densities(platform, covariance(), q, found, y)[0][0, gene])

    for gene in (0, 17):
        at = found.mean[0, gene]
        total = integral(density, at - 60 * at, at + 60 * at, args=(gene,), points=[at], limit=300)
        assert total[0] == pytest.approx(1, abs=1e-3)
