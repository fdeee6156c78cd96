"""Gene-wise least squares and the collapsed likelihood against their slow formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bayesdecov.algebra import shared_design
from bayesdecov.algebra.shared_design import basis, least_squares, log_likelihood


@pytest.fixture
def data():
    rng = np.random.default_rng(3)
    return rng.normal(size=(9, 3)) + 1.0, rng.normal(size=(7, 9)) * 2


def test_least_squares_gene_by_gene(data, monkeypatch):
    X, Y = data
    whole = least_squares(X, Y)
    for g, y in enumerate(Y):
        b, rss, *_ = np.linalg.lstsq(X, y, rcond=None)
        np.testing.assert_allclose(whole.b[g], b, rtol=1e-12)
        np.testing.assert_allclose(whole.rss[g], rss[0], rtol=1e-12)
    np.testing.assert_allclose(whole.V, np.linalg.inv(X.T @ X), rtol=1e-12)
    monkeypatch.setattr(shared_design, "_CHUNK", 2)
    np.testing.assert_allclose(least_squares(X, Y).rss, whole.rss, rtol=1e-14)


def test_reduced_coefficients_are_those_of_the_residuals(data):
    X, Y = data
    ls = least_squares(X, Y, np.array([0, 2]))
    Z = X[:, [0, 2]]
    slow = np.linalg.lstsq(Z, (Y - X @ ls.mean).T, rcond=None)[0].T
    np.testing.assert_allclose(ls.c, slow, atol=1e-12)
    np.testing.assert_allclose(ls.Vz, np.linalg.inv(Z.T @ Z), rtol=1e-12)
    # a change of all fixed effects seen through Z alone
    change = np.array([0.3, -1.0, 2.0])
    slow = np.linalg.lstsq(Z, X @ change, rcond=None)[0]
    np.testing.assert_allclose(ls.onto @ change, slow, rtol=1e-10)


def _dense(X, Y, Psi, sigma2):
    m, n = Y.shape
    cov = X @ Psi @ X.T + sigma2 * np.eye(n)
    return np.kron(np.eye(m), cov), np.tile(X, (m, 1)), Y.ravel()


def test_log_likelihood_is_the_dense_normal(data):
    X, Y = data
    A = np.random.default_rng(1).normal(size=(3, 3))
    Psi, sigma2, beta = A @ A.T, 1.7, np.array([0.2, -0.4, 1.0])
    cov, design, y = _dense(X, Y, Psi, sigma2)
    slow = multivariate_normal.logpdf(y, design @ beta, cov)
    fast = log_likelihood(least_squares(X, Y), beta, Psi, sigma2)
    np.testing.assert_allclose(fast, slow, rtol=1e-12)


def test_restricted_likelihood_integrates_the_fixed_effects(data):
    X, Y = data
    A = np.random.default_rng(2).normal(size=(3, 3))
    Psi, sigma2 = A @ A.T, 0.8
    cov, design, y = _dense(X, Y, Psi, sigma2)
    K = np.linalg.inv(cov)
    information = design.T @ K @ design
    beta = np.linalg.solve(information, design.T @ K @ y)
    slow = multivariate_normal.logpdf(y, design @ beta, cov)
    slow += 0.5 * (3 * np.log(2 * np.pi) - np.linalg.slogdet(information)[1])
    fast = log_likelihood(least_squares(X, Y), beta, Psi, sigma2, restricted=True)
    np.testing.assert_allclose(fast, slow, rtol=1e-12)


def test_basis_diagonalises_both():
    rng = np.random.default_rng(5)
    A, B = rng.normal(size=(2, 4, 4))
    Psi, Vz = A @ A.T, B @ B.T
    W, inverse, lam = basis(Psi, Vz)
    np.testing.assert_allclose(W @ W.T, Vz, rtol=1e-9)
    np.testing.assert_allclose((W * lam) @ W.T, Psi, rtol=1e-8)
    np.testing.assert_allclose(inverse @ W, np.eye(4), atol=1e-9)
