"""The Gibbs sampler: conditionals, agreement with regression, ranks of the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare, invwishart, kstest, multivariate_normal

from bayesdecov.cohort.fit import prior_of
from bayesdecov.cohort.gibbs import Particles, Prior, Sites, sample

OMEGA = np.array([[0.8, 0.3], [0.3, 0.5]])


def test_log_ratios_are_drawn_from_likelihood_times_cohort():
    rng = np.random.default_rng(0)
    P = np.array([[3.0, 1.0], [1.0, 2.0]])
    shift, centre = np.array([1.0, -2.0]), np.array([0.5, 0.3])
    n = 40_000
    sites = Sites(np.broadcast_to(P, (n, 2, 2)), np.broadcast_to(shift, (n, 2)))
    drawn = sites.draw(np.tile(centre, (n, 1)), np.linalg.inv(OMEGA), rng)
    V = np.linalg.inv(P + np.linalg.inv(OMEGA))
    mean = V @ (shift + np.linalg.solve(OMEGA, centre))
    assert np.abs((drawn.mean(axis=0) - mean) / np.sqrt(np.diag(V) / n)).max() < 4
    se = np.sqrt((np.outer(np.diag(V), np.diag(V)) + V**2) / n)
    assert np.abs((np.cov(drawn.T) - V) / se).max() < 4


def test_particles_weigh_as_the_cohort_over_their_prior():
    rng = np.random.default_rng(1)
    z, log_prior = rng.normal(size=(3, 6, 2)), rng.normal(size=(3, 6))
    centre = rng.normal(size=(3, 2))
    looks = Particles(z, log_prior)
    found = looks.weights(centre, np.linalg.inv(OMEGA))
    for i in range(3):
        expected = multivariate_normal(centre[i], OMEGA).pdf(z[i]) / np.exp(log_prior[i])
        np.testing.assert_allclose(found[i], expected / expected.max())
    times = np.zeros((3, 6))
    for _ in range(3000):
        chosen = looks.draw(centre, np.linalg.inv(OMEGA), rng)
        times += (z == chosen[:, None]).all(axis=2)
    for i in range(3):
        share = found[i] / found[i].sum()
        often = share > 0.005
        counts = np.append(times[i][often], times[i][~often].sum())
        shares = np.append(share[often], share[~often].sum())
        keep = shares > 0
        assert chisquare(counts[keep], 3000 * shares[keep]).pvalue > 1e-4


def test_samples_of_a_subject_are_alike():
    """The variance between subjects is told from that within, and is nothing without subjects."""
    rng = np.random.default_rng(2)
    subjects = np.repeat(np.arange(60), 5)
    n, d = len(subjects), 2
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    z = 1 + rng.normal(0, 1.2, (60, d))[subjects] + rng.normal(0, 0.4, (n, d))
    sites = Sites(np.broadcast_to(1e6 * np.eye(d), (n, d, d)), 1e6 * z)
    chain = sample(X, sites, prior_of(2), subjects, draws=400, tune=200, rng=rng)
    within = np.mean([np.cov(z[subjects == s].T) for s in range(60)], axis=0)
    between = np.cov(np.array([z[subjects == s].mean(axis=0) for s in range(60)]).T) - within / 5
    # 240 and 59 degrees of freedom: relative standard errors of .09 and .18
    assert np.diag(chain.covariance.mean(axis=0)) == pytest.approx(np.diag(within), rel=0.15)
    found = np.diag(chain.between_subjects.mean(axis=0))
    assert found == pytest.approx(np.diag(between), rel=0.25)
    alone = sample(X, sites, prior_of(2), None, draws=50, tune=50, rng=rng)
    assert alone.between_subjects.size == 0
    assert np.diag(alone.covariance.mean(axis=0)).min() > 1
    np.testing.assert_allclose(chain.mean, z, atol=0.01)
    residual = (z - chain.centre)[subjects == 7]
    assert np.abs(residual.mean(axis=0)).max() < 0.4


def test_exact_log_ratios_are_a_regression():
    rng = np.random.default_rng(1)
    n, d = 200, 2
    X = np.column_stack([np.ones(n), rng.normal(size=n)])
    z = X @ np.array([[1.0, -1.0], [0.5, 0.0]]) + 0.7 * rng.normal(size=(n, d))
    sites = Sites(np.broadcast_to(1e6 * np.eye(d), (n, d, d)), 1e6 * z)
    chain = sample(X, sites, prior_of(2), None, draws=3000, tune=200, rng=rng)
    ols, rss, *_ = np.linalg.lstsq(X, z, rcond=None)
    se = np.sqrt(np.outer(np.diag(np.linalg.inv(X.T @ X)), rss / (n - 2)))
    # 3,000 nearly independent draws; the priors move a coefficient by less than .02 se
    assert np.abs((chain.coefficients.mean(axis=0) - ols) / se).max() < 0.1
    assert chain.coefficients.std(axis=0) == pytest.approx(se, rel=0.08)
    assert chain.mean == pytest.approx(z, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("with_subjects", [False, True])
def test_ranks_of_the_truth_are_uniform(with_subjects):
    """Simulation-based calibration: parameters from the prior, data from them, ranks of the truth.

    Prior scales are Gamma(20, 20) so that data sets are of one size.
    """
    rng = np.random.default_rng(2)
    n, d, prior = 12, 2, Prior(np.array([1.0, 1.0]), 20.0, 20.0)
    subjects = np.repeat(np.arange(4), 3) if with_subjects else None
    ranks = []
    for _ in range(80):
        X = np.column_stack([np.ones(n), np.tile([-1.0, 1.0], n // 2)])
        B = rng.normal(size=(2, d))
        Omega, Psi = (_inverse_wishart(d, rng) for _ in range(2))
        z = X @ B + rng.multivariate_normal(np.zeros(d), Omega, n)
        if subjects is not None:
            z += rng.multivariate_normal(np.zeros(d), Psi, 4)[subjects]
        P = np.broadcast_to(4 * np.eye(d), (n, d, d))
        y = z + 0.5 * rng.normal(size=(n, d))
        chain = sample(X, Sites(P, 4 * y), prior, subjects, draws=300, tune=60, rng=rng)
        ranks.append(
            [
                (chain.coefficients[::4, 1, 0] < B[1, 0]).mean(),
                (np.log(chain.covariance[::4, 0, 0]) < np.log(Omega[0, 0])).mean(),
            ]
        )
    for column in np.array(ranks).T:
        assert kstest(column, "uniform").pvalue > 0.001


def _inverse_wishart(d, rng):
    return invwishart.rvs(d + 1, rng.gamma(20, 1 / 20) * np.eye(d), random_state=rng)


def test_particles_are_the_cohort_times_the_likelihood():
    """Draws of a flat posterior, N(1, 1), within a cohort N(0, .5): N(1/3, 1/3)."""
    rng = np.random.default_rng(8)
    z = 1 + rng.normal(size=(1, 20_000, 1))
    looks = Particles(z, np.zeros((1, 20_000)))
    drawn = np.array([looks.draw(np.zeros((1, 1)), np.array([[2.0]]), rng) for _ in range(4000)])
    # 4,000 draws of 10,000 effective ones: standard errors of .01 and .01
    assert drawn.mean() == pytest.approx(1 / 3, abs=0.045)
    assert drawn.var() == pytest.approx(1 / 3, abs=0.045)
