"""Sparse correlations against scikit-learn, numerical maximum likelihood and the criterion."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.covariance import graphical_lasso

from bayesdecov.reference.glasso import MIN_REPLICATES, refit, sparse_correlation


def most_likely(S, support):
    """The precision of a given support with the largest likelihood, by a general optimiser."""
    rows, columns = np.nonzero(np.triu(support))

    def matrix(x):
        Theta = np.zeros_like(S)
        Theta[rows, columns] = Theta[columns, rows] = x
        return Theta

    def criterion(x):
        Theta = matrix(x)
        sign, log_determinant = np.linalg.slogdet(Theta)
        if sign <= 0 or np.linalg.eigvalsh(Theta)[0] <= 0:
            return 1e10, np.zeros(len(x))
        slope = S - np.linalg.inv(Theta)
        double = np.where(rows == columns, 1.0, 2.0)
        return (S * Theta).sum() - log_determinant, double * slope[rows, columns]

    start = (rows == columns).astype(float)
    found = minimize(criterion, start, jac=True, method="BFGS", options={"gtol": 1e-9})
    return matrix(found.x)


def chain(seed, n, n_genes, linked):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, n_genes))
    for g in range(1, linked):
        x[:, g] += x[:, g - 1]
    return np.corrcoef(x.T)


@pytest.mark.parametrize("seed", range(3))
def test_the_penalty_has_the_smallest_criterion_of_the_path(seed):
    """EBIC by hand: scikit-learn's support at every penalty, refitted by a general optimiser."""
    n, G = 25, 6
    R = chain(seed, n, G, 4)
    fit = sparse_correlation(R, n)
    S = (1 - 1 / n) * R + np.eye(G) / n
    values = {np.inf: n * G}
    for share in np.linspace(0.95, 0.1, 18):
        penalty = share * np.abs(R - np.eye(G)).max()
        _, T = graphical_lasso(R, alpha=penalty, tol=1e-3)
        Theta = most_likely(S, T != 0)
        edges = np.count_nonzero(np.triu(T, 1))
        values[penalty] = (
            -n * (np.linalg.slogdet(Theta)[1] - (S * Theta).sum())
            + edges * np.log(n)
            + 2 * edges * np.log(G)
        )
        if abs(penalty / fit.penalty - 1) < 1e-12:
            assert edges == fit.edges
            assert fit.ebic == pytest.approx(values[penalty], abs=1e-3)
    best = min(values, key=values.get)
    assert best < np.inf
    assert values[best] == pytest.approx(fit.ebic, abs=1e-3)


def test_the_order_of_genes_is_irrelevant():
    R = chain(4, 40, 10, 5)
    order = np.random.default_rng(0).permutation(10)
    one, other = sparse_correlation(R, 40), sparse_correlation(R[np.ix_(order, order)], 40)
    assert one.edges > 0
    assert other.penalty == pytest.approx(one.penalty)
    support = one.precision != 0
    np.testing.assert_array_equal(other.precision != 0, support[np.ix_(order, order)])


def test_few_replicates_or_genes_give_the_identity():
    R = chain(5, 30, 4, 4)
    for fit in (sparse_correlation(R, MIN_REPLICATES - 1), sparse_correlation(np.eye(4), 30),
                sparse_correlation(np.eye(1), 30)):  # fmt: skip
        np.testing.assert_array_equal(fit.covariance, np.eye(len(fit.covariance)))
        assert (fit.edges, fit.penalty) == (0, np.inf)
    assert sparse_correlation(R, 30).edges > 0


def test_glasso_solves_components_as_scikit_learn_solves_the_whole():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(40, 12))
    x[:, 1] += 2 * x[:, 0]
    x[:, 5] -= 1.5 * x[:, 4]
    R = np.corrcoef(x.T)
    fit = sparse_correlation(R, 40)
    assert 0 < fit.edges < 20
    assert fit.precision[0, 1] != 0
    assert fit.precision[4, 5] != 0
    whole, _ = graphical_lasso(R, alpha=fit.penalty, tol=1e-3, max_iter=500)
    np.testing.assert_allclose(fit.covariance, whole, atol=2e-3)


def test_refit_is_maximum_likelihood_on_the_support():
    """Entries of the covariance on the support equal the sample's, the others make it sparse."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(200, 5))
    x[:, 1] += x[:, 0]
    x[:, 2] += x[:, 1]
    R = np.corrcoef(x.T)
    support = np.eye(5)
    support[0, 1] = support[1, 0] = support[1, 2] = support[2, 1] = 1
    W = refit(R, support, 200)
    ridged = (1 - 1 / 200) * R + np.eye(5) / 200
    np.testing.assert_allclose(W[support == 1], ridged[support == 1], atol=1e-8)
    precision = np.linalg.inv(W)
    np.testing.assert_allclose(precision[0, 2], 0, atol=1e-4)
    np.testing.assert_allclose(precision[3:, :3], 0, atol=1e-12)
    np.testing.assert_allclose(precision, most_likely(ridged, support), atol=1e-4)


def test_ebic_finds_no_edges_in_noise_and_the_true_ones_in_signal():
    rng = np.random.default_rng(7)
    noise = rng.normal(size=(30, 60))
    assert sparse_correlation(np.corrcoef(noise.T), 30).edges == 0
    chain = noise.copy()
    for g in range(1, 10):
        chain[:, g] = 0.95 * chain[:, g - 1] + 0.3 * noise[:, g]
    fit = sparse_correlation(np.corrcoef(chain.T), 30)
    assert fit.edges >= 5
    inside = np.triu(fit.precision != 0, 1)[:10, :10].sum()
    assert inside / fit.edges > 0.8
