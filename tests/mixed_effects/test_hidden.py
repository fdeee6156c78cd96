"""Hidden factors that were planted, noise that holds none, and what genes are worth."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.mixed_effects.hidden import _edge, effective_genes, hidden_factors


def problem(seed, *, genes=400, samples=24, columns=3):
    rng = np.random.default_rng(seed)
    X, b = rng.normal(size=(samples, columns)) + 0.5, rng.normal(size=(genes, columns))
    return X, b, b @ X.T + rng.normal(size=(genes, samples)), rng


def found_in(X, Y):
    return hidden_factors(X, Y, np.linalg.lstsq(X, Y.T, rcond=None)[0].T)


def test_noise_holds_a_factor_once_in_a_thousand():
    """Among 300 data sets with an expected 0.3 false factors, at most 3 (probability 3e-4)."""
    counts = [found_in(*problem(seed, genes=150)[:3:2]).factors for seed in range(300)]
    assert np.sum(counts) <= 3


def test_the_edge_is_where_the_largest_eigenvalue_ends():
    """1500 Wishart matrices: 1.5 expected beyond the edge, and it is no farther than needed."""
    rng, p, m = np.random.default_rng(0), 12, 80
    largest = np.array([np.linalg.eigvalsh(x.T @ x / m)[-1] for x in rng.normal(size=(1500, m, p))])
    beyond = (largest > _edge(p, m)).sum()
    assert beyond <= 7  # probability 1e-3
    assert (largest > 0.9 * _edge(p, m)).sum() >= 10


def test_planted_factors_are_found_with_their_strength():
    """Also what lies in the design, which residuals do not show; effects are larger."""
    X, b, _, rng = problem(1, genes=3000)
    U = np.linalg.qr(rng.normal(size=(24, 2)))[0]
    own = np.hstack([np.ones((3000, 1)), b])
    scores = np.linalg.qr(np.hstack([own, rng.normal(size=(3000, 2))]))[0][:, -2:] * np.sqrt(3000)
    factors = scores @ (np.diag([12.0, 9.0]) @ U.T)
    found = found_in(X, 15 * b @ X.T + factors + rng.normal(size=(3000, 24)))
    assert found.factors == 2
    slow = np.eye(24) + (U * [144.0, 81.0]) @ U.T
    assert np.abs(found.covariance - slow).max() < 0.1 * np.abs(slow).max()
    assert np.linalg.eigvalsh(found.covariance)[0] > 1 - 1e-9


def test_a_wrong_proportion_is_no_factor_but_the_same_shape_for_other_genes_is():
    X, b, Y, rng = problem(2)
    error = 0.5 * rng.normal(size=24)
    assert found_in(X, Y + np.outer(b[:, 1], error)).factors == 0
    assert found_in(X, Y + np.outer(rng.permutation(b[:, 1]), error)).factors == 1


def test_only_the_space_of_the_design_counts_and_the_order_of_samples_and_genes_does_not():
    X, _, Y, rng = problem(3)
    Y += np.outer(rng.normal(size=400), 1.5 * rng.normal(size=24))
    base = found_in(X, Y)
    assert base.factors == 1
    other = found_in(X @ rng.normal(size=(3, 3)), Y)
    np.testing.assert_allclose(other.covariance, base.covariance, atol=1e-8)
    samples, genes = rng.permutation(24), rng.permutation(400)
    moved = found_in(X[samples], Y[genes][:, samples])
    np.testing.assert_allclose(
        moved.covariance, base.covariance[np.ix_(samples, samples)], atol=1e-8
    )


@pytest.mark.parametrize("size", [{"samples": 8}, {"genes": 27}], ids=["few samples", "few genes"])
def test_too_little_data_holds_no_factors(size):
    X, _, Y, rng = problem(4, **size)
    Y += 50 * np.outer(rng.normal(size=len(Y)), rng.normal(size=len(X)))
    found = found_in(X, Y)
    assert found.factors == 0
    np.testing.assert_array_equal(found.covariance, np.eye(len(X)))


def test_effective_genes_follow_from_the_correlations_of_all_pairs():
    X, _, Y, rng = problem(5, genes=60)
    Y += rng.normal(size=(60, 1)) * rng.normal(size=24)
    W = np.eye(24) + 0.3 * rng.normal(size=(24, 24))
    white, design = Y @ W.T, W @ X
    fitted = design @ np.linalg.lstsq(design, white.T, rcond=None)[0]
    E = white - fitted.T
    R = np.array([[a @ b / np.sqrt(a @ a * (b @ b)) for a in E] for b in E])
    shared, df = np.mean(R**2), 24 - 3
    slow = (1 - 1 / df) / (shared - 1 / df)
    assert effective_genes(X, Y, W) == pytest.approx(slow, rel=1e-9)
    units = rng.uniform(0.1, 5, (60, 1))
    assert effective_genes(X, units * Y, 3 * W) == pytest.approx(slow, rel=1e-9)


def test_copies_of_genes_say_nothing_new():
    X, _, Y, rng = problem(6, genes=50)
    Y += rng.normal(size=(50, 1)) * rng.normal(size=24)
    once = effective_genes(X, Y, np.eye(24))
    assert effective_genes(X, np.tile(Y, (4, 1)), np.eye(24)) == pytest.approx(once, rel=1e-9)
    assert effective_genes(X, np.tile(Y[:1], (30, 1)), np.eye(24)) == pytest.approx(1, rel=1e-9)
    assert 1 < once < 50
