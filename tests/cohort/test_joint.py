"""The density of everything at once: against scipy, finite differences and the PyMC model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from scipy.stats import chi, gamma, multivariate_normal, multivariate_t, norm

from bayesdecov.algebra.dense import Dense
from bayesdecov.algebra.simplex import log_ratio_basis
from bayesdecov.cohort.fit import prior_of
from bayesdecov.cohort.gibbs import Prior
from bayesdecov.cohort.joint import Bulks, Sizes, log_joint, take_apart


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


def test_the_vector_is_taken_apart_and_nothing_is_left():
    sizes = Sizes(4, 2, 3, True)
    assert sizes.ends.tolist() == [6, 12, 13, 25, 29]
    x = np.arange(29) / 10
    B, A, log_scale, z, log_size = take_apart(x, sizes)
    np.testing.assert_array_equal(B, x[:6].reshape(2, 3))
    np.testing.assert_array_equal(A[np.triu_indices(3, 1)], 0.0)
    own = [np.exp(x[6]), x[7], np.exp(x[8]), x[9], x[10], np.exp(x[11])]
    np.testing.assert_allclose(A[np.tril_indices(3)], own)
    assert log_scale == x[12]
    np.testing.assert_array_equal(z, x[13:25].reshape(4, 3))
    np.testing.assert_array_equal(log_size, x[25:])


@pytest.mark.parametrize("df", [None, 4.0])
@pytest.mark.parametrize("power", [1.0, 0.3])
def test_the_density_is_that_of_its_parts(problem, df, power):
    """Factor by factor with scipy, up to a constant; with size factors and mRNA per cell."""
    mu, Sigma, y, X = problem
    per_cell = np.array([1.0, 2.0, 0.5])
    bulks = Bulks(Dense(mu, Sigma), y, np.full(4, 0.3), df, True, np.log(per_cell), power)
    sizes, prior = Sizes(4, 2, 2, True), Prior(np.array([5.0, 0.7]), 2.0, 3.0)
    V = log_ratio_basis(3)

    def slow(x):
        B, A, log_scale, z, log_size = take_apart(x, sizes)
        value = sum(
            norm(0, sd).logpdf(row).sum() for sd, row in zip(prior.slope_sd, B, strict=True)
        )
        value += norm.logpdf(A[1, 0])
        # Bartlett: chi with 3 and 2 degrees; coordinates are logarithms
        for k in range(2):
            value += chi(3 - k).logpdf(A[k, k]) + np.log(A[k, k])
        a = np.exp(log_scale)
        value += gamma(prior.shape, scale=1 / prior.rate).logpdf(a) + log_scale
        Omega = a * np.linalg.inv(A @ A.T)
        for i in range(4):
            value += multivariate_normal(X[i] @ B, Omega).logpdf(z[i])
            p = softmax(V @ z[i]) * per_cell
            q = np.exp(log_size[i]) * p / p.sum()
            noise = np.diag(0.3 * mu @ q + 0.3**2 / 4)
            C = np.tensordot(q**2, Sigma, 1) + noise
            law = multivariate_normal(mu @ q, C) if df is None else multivariate_t(mu @ q, C, df=df)
            value += power * law.logpdf(y[i])
        return value

    rng = np.random.default_rng(9)
    points = 0.4 * rng.normal(size=(5, int(sizes.ends[-1])))
    ours = [log_joint(x, X, bulks, prior, sizes)[0] for x in points]
    assert np.diff(ours) == pytest.approx(np.diff([slow(x) for x in points]), rel=1e-9)


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
        theirs.append(
            float(
                log_density(
                    {
                        "coefficients": parts.B,
                        "scale_log__": np.array(parts.log_scale),
                        "factor_squares_log__": 2 * np.log(np.diagonal(parts.A)),
                        "factor": parts.A[[1], [0]],
                        "log_ratios": parts.z,
                    }
                )
            )
        )
    assert np.diff(theirs) == pytest.approx(np.diff(ours), rel=1e-9)
