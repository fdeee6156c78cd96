"""The quadratic form against the density of all genes, and the background integrated by sums."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad as integral
from scipy.stats import multivariate_normal

from bayesdecov.algebra.held import Held, QuadraticSums

G, J = 12, 3


def problem(seed=0):
    rng = np.random.default_rng(seed)
    P = rng.lognormal(1, 1, (G, J + 1))
    P[:, -1] = P.mean()
    root = rng.normal(size=(G, G))
    V = root @ root.T + np.eye(G)
    y = P @ np.append(rng.dirichlet(np.ones(J)), 0.2) + rng.multivariate_normal(np.zeros(G), V)
    W = np.linalg.inv(V)
    sums = QuadraticSums(
        np.array([y @ W @ y]),
        np.array([np.linalg.slogdet(V)[1]]),
        (P.T @ W @ y)[None],
        (P.T @ W @ P)[None],
    )
    return P, V, y, sums.packed()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_background_is_integrated_out(seed):
    P, V, y, packed = problem(seed)
    law = multivariate_normal(np.zeros(G), V)

    def exact(q):
        def density(background):
            return np.exp(law.logpdf(y - P @ np.append(q, background)) - law.logpdf(np.zeros(G)))

        whole = integral(density, 0, np.inf, limit=400)[0]
        return np.log(whole)

    q = np.random.default_rng(seed + 9).dirichlet(np.ones(J), 4)
    found = Held(J, G).pieces(q, np.repeat(packed, 4, axis=0), np.empty(0), order=0)
    value = -0.5 * (found.quad.value + found.logdet.value)
    slow = np.array([exact(each) for each in q])
    np.testing.assert_allclose(value - value[0], slow - slow[0], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("far", [1.0, 50.0, 1e5])  # the last where no background can be positive
def test_derivatives_are_those_of_differences(far):
    packed = problem(3)[3]
    density, h = Held(J, G), 1e-5
    q = far * np.array([[0.2, 0.5, 0.3]])
    found = density.pieces(q, packed, np.empty(0))
    steps = h * far * np.eye(J)
    up = [density.pieces(q + step, packed, np.empty(0), order=1).quad for step in steps]
    down = [density.pieces(q - step, packed, np.empty(0), order=1).quad for step in steps]
    first = [(a.value[0] - b.value[0]) / (2 * h * far) for a, b in zip(up, down, strict=True)]
    np.testing.assert_allclose(found.quad.gradient[0], first, rtol=1e-4, atol=1e-4)
    second = [
        (a.gradient[0] - b.gradient[0]) / (2 * h * far) for a, b in zip(up, down, strict=True)
    ]
    np.testing.assert_allclose(found.quad.hessian[0], second, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.information_mean, 0.5 * found.quad.hessian)
    assert (found.logdet.gradient == 0).all()


def test_shared_points_are_evaluated_for_every_sample():
    packed = np.concatenate([problem(0)[3], problem(1)[3]])
    q = np.random.default_rng(0).dirichlet(np.ones(J), 5)
    scanned = Held(J, G).scan(q, packed, 0.0).quad.value
    for i in range(2):
        alone = Held(J, G).pieces(q, np.repeat(packed[[i]], 5, axis=0), np.empty(0), order=0)
        np.testing.assert_array_equal(scanned[i], alone.quad.value)


def test_bulks_are_refused():
    with pytest.raises(TypeError, match="depend on its variances"):
        Held(J, G).project(np.ones((1, G)))
    assert Held(J, G).approximate_hessian() == Held(J, G)
