"""What a density predicts: conditionals against brute force, distances against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, multivariate_t

from bayesdecov.algebra.predictive import leave_one_out, misfit_probability
from tests.algebra.problems import random_problem


@pytest.mark.parametrize("df", [None, 5.0])
@pytest.mark.parametrize("form", ["dense", "lowrank"])
def test_a_gene_given_all_others(form, df):
    """log p(y_g | rest) = log p(y) - log p(rest), from SciPy's densities."""
    problem = random_problem(2, n_genes=6)
    density = problem.forms[form]
    value, residual = leave_one_out(density, problem.q, problem.y, problem.phi, df)
    V = problem.forms["dense"].covariance(problem.q, problem.phi)
    mean = problem.q @ density.mu.T
    for i, y in enumerate(problem.y):
        for g in range(6):
            rest = np.delete(np.arange(6), g)
            if df is None:
                whole = multivariate_normal(mean[i], V[i]).logpdf(y)
                others = multivariate_normal(mean[i, rest], V[i][np.ix_(rest, rest)])
                expected = whole - others.logpdf(y[rest])
            else:
                whole = multivariate_t(mean[i], V[i], df=df).logpdf(y)
                others = multivariate_t(mean[i, rest], V[i][np.ix_(rest, rest)], df=df)
                expected = whole - others.logpdf(y[rest])
            assert value[i, g] == pytest.approx(expected, rel=1e-9, abs=1e-9)
            slope = np.linalg.solve(V[i][np.ix_(rest, rest)], V[i][rest, g])
            guess = mean[i, g] + slope @ (y[rest] - mean[i, rest])
            assert np.sign(residual[i, g]) == np.sign(y[g] - guess)


@pytest.mark.parametrize("df", [None, 6.0])
def test_misfit_is_uniform_under_the_model(df):
    rng = np.random.default_rng(1)
    z = rng.normal(size=(4000, 15))
    if df is not None:
        z /= np.sqrt(rng.chisquare(df, 4000) / df)[:, None]
    p = misfit_probability((z**2).sum(axis=1), 15, df)
    share = np.histogram(p, np.linspace(0, 1, 11))[0] / 4000
    assert (np.abs(share - 0.1) < 4 * np.sqrt(0.1 * 0.9 / 4000)).all()
