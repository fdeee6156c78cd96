"""The cohort model's chains: conditionals, normal likelihoods of skewed samples, NUTS's density."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from bayesdecov.algebra.dense import Dense
from bayesdecov.algebra.simplex import log_ratio_basis
from bayesdecov.cohort.expectation import first_sites, update
from bayesdecov.cohort.fit import prior_of
from bayesdecov.cohort.gibbs import Particles, Prior, Sites, sample
from bayesdecov.cohort.joint import Bulks, Sizes, log_joint, take_apart
from bayesdecov.cohort.measured import Measured


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
        ranks.append([
            (chain.coefficients[::4, 1, 0] < B[1, 0]).mean(),
            (np.log(chain.covariance[::4, 0, 0]) < np.log(Omega[0, 0])).mean(),
        ])  # fmt: skip
    for column in np.array(ranks).T:
        assert kstest(column, "uniform").pvalue > 0.001


def _inverse_wishart(d, rng):
    from scipy.stats import invwishart

    return invwishart.rvs(d + 1, rng.gamma(20, 1 / 20) * np.eye(d), random_state=rng)


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
    weight = np.exp(3 * log_p[:, 0] + 997 * log_p[:, 1] - 0.5 * (grid - centre) ** 2 / omega
                    - (3 * np.log(0.003) + 997 * np.log(0.997)))  # fmt: skip
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


def test_particles_are_the_cohort_times_the_likelihood():
    """Draws of a flat posterior, N(1, 1), within a cohort N(0, .5): N(1/3, 1/3)."""
    rng = np.random.default_rng(8)
    z = 1 + rng.normal(size=(1, 20_000, 1))
    looks = Particles(z, np.zeros((1, 20_000)))
    drawn = np.array([looks.draw(np.zeros((1, 1)), np.array([[2.0]]), rng) for _ in range(4000)])
    # 4,000 draws of 10,000 effective ones: standard errors of .01 and .01
    assert drawn.mean() == pytest.approx(1 / 3, abs=0.045)
    assert drawn.var() == pytest.approx(1 / 3, abs=0.045)


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(5)
    n, genes, types = 4, 8, 3
    mu = rng.gamma(3.0, 4.0, (genes, types))
    root = rng.normal(size=(types, genes, genes + 3))
    Sigma = root @ root.transpose(0, 2, 1) / genes
    y = rng.dirichlet(np.ones(types), n) @ mu.T + rng.normal(size=(n, genes))
    X = np.column_stack([np.ones(n), [-1.0, 1.0, -1.0, 1.0]])
    return mu, Sigma, y, X


@pytest.mark.parametrize("df", [None, 4.0])
@pytest.mark.parametrize("free_size", [False, True])
@pytest.mark.parametrize("log_per_cell", [None, np.log([1.0, 2.0, 0.5])])
def test_gradient_of_the_joint_density(problem, df, free_size, log_per_cell):
    mu, Sigma, y, X = problem
    density = Dense(mu, Sigma)
    bulks = Bulks(density, y, np.full(4, 0.3), df, free_size, log_per_cell)
    sizes = Sizes(4, 2, 2, free_size)
    x = 0.3 * np.random.default_rng(6).normal(size=int(sizes.ends[-1]))

    def value(at):
        return log_joint(at, X, bulks, prior_of(2), sizes)[0]

    numeric = np.array([(value(x + h) - value(x - h)) / 2e-5 for h in 1e-5 * np.eye(len(x))])
    assert log_joint(x, X, bulks, prior_of(2), sizes)[1] == pytest.approx(numeric, abs=2e-5)


@pytest.mark.parametrize("df", [None, 5.0])
def test_the_pymc_model_has_the_same_density(problem, python_mode, df):
    """Differences of log-densities between random points: constants are left out of ours."""
    from bayesdecov.models import cohort

    mu, Sigma, y, X = problem
    genes, samples = [f"g{i}" for i in range(8)], list("abcd")
    mean = pd.DataFrame(mu, genes, ["t1", "t2", "t3"])
    bulk = pd.DataFrame(y.T, genes, samples)
    design = pd.DataFrame({"group": X[:, 1]}, samples)
    model = cohort(mean, Sigma, bulk, design, counting_noise=0.3, df=df)
    log_density = model.compile_logp(mode=python_mode)
    bulks = Bulks(Dense(mu, Sigma), y, np.full(4, 0.3), df, False, None)
    sizes = Sizes(4, 2, 2, False)
    rng = np.random.default_rng(7)
    ours, theirs = [], []
    for _ in range(3):
        x = 0.4 * rng.normal(size=int(sizes.ends[-1]))
        parts = take_apart(x, sizes)
        ours.append(log_joint(x, X, bulks, prior_of(2), sizes)[0])
        theirs.append(float(log_density({
            "coefficients": parts.B, "scale_log__": np.array(parts.log_scale),
            "factor_squares_log__": 2 * np.log(np.diagonal(parts.A)),
            "factor": parts.A[[1], [0]], "log_ratios": parts.z,
        })))  # fmt: skip
    assert np.diff(theirs) == pytest.approx(np.diff(ours), rel=1e-9)
