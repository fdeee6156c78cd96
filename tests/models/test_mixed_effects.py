"""The collapsed likelihood twice: PyTensor and NumPy agree at random points."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.algebra.shared_design import embed, least_squares, log_likelihood

COLUMNS = ["T", "B", "T.age", "B.age"]


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(15, 4)) + 0.5
    Y = (rng.normal(size=(60, 4)) + 1) @ X.T + 0.5 * rng.normal(size=(60, 15))
    return X, Y


def statistics(ls):
    from bayesdecov.models import Sufficient

    centred = ls.b - ls.mean
    return Sufficient(ls.mean, centred.T @ centred, ls.V, float(ls.rss.sum()), ls.df, len(ls.b))


@pytest.mark.parametrize("random", [None, [0, 2], [1]], ids=["all", "two", "one"])
def test_pytensor_equals_numpy(random, fitted, python_mode):
    from bayesdecov.models import mixed_effects

    ls = least_squares(*fitted, None if random is None else np.array(random))
    names = None if random is None else [COLUMNS[j] for j in random]
    model = mixed_effects(statistics(ls), COLUMNS, names)
    import pytensor

    beta, Psi, sigma = model["beta"], model["Psi"], model["sigma"]
    potential = model.potentials[0]
    gradient = pytensor.grad(potential, [beta, sigma])
    evaluate = pytensor.function([beta, Psi, sigma], [potential, *gradient], mode=python_mode)
    rng = np.random.default_rng(1)
    for _ in range(5):
        A = rng.normal(size=(len(ls.random), len(ls.random)))
        at = (rng.normal(size=4), A @ A.T, float(np.exp(rng.normal())))
        value, in_beta, in_sigma = evaluate(*at)

        def slow(beta, sigma, Psi=at[1]):
            return log_likelihood(ls, beta, embed(Psi, ls), sigma**2)

        np.testing.assert_allclose(value, slow(at[0], at[2]), rtol=1e-9)
        for k in range(4):
            step = 1e-5 * np.eye(4)[k]
            difference = (slow(at[0] + step, at[2]) - slow(at[0] - step, at[2])) / 2e-5
            np.testing.assert_allclose(in_beta[k], difference, rtol=1e-5, atol=1e-4)
        difference = (slow(at[0], at[2] + 1e-5) - slow(at[0], at[2] - 1e-5)) / 2e-5
        np.testing.assert_allclose(in_sigma, difference, rtol=1e-5)
