"""One pass of EM against the densities written out, and what EM promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bayesdecov.mixed_effects.contamination import expectation, maximisation
from tests.mixed_effects.problems import contaminated, states


@pytest.fixture
def case():
    return contaminated()


@pytest.mark.parametrize("own", [False, True], ids=["common", "gene"])
def test_posterior_of_the_states(case, own):
    at, Vz, c, rng = case
    sigma2 = rng.uniform(0.5, 2, 300) if own else np.array([1.3])
    seen = expectation(c, Vz, sigma2, at)
    total = 0.0
    for g in range(300):
        T = at.Psi + sigma2[g if own else 0] * Vz
        parts = [w * multivariate_normal.pdf(c[g], mean, cov) for w, mean, cov in states(at, T)]
        total += np.log(sum(parts))
        found = [seen.up[g, 0], seen.down[g, 0], seen.up[g, 1], seen.down[g, 1]]
        np.testing.assert_allclose(found, np.array(parts[1:]) / sum(parts), atol=1e-12)
        # the shift given a state: a normal prior seen through T
        K, r = np.linalg.inv(T), c[g] - at.beta
        v = 1 / (1 / at.tau2[0] + K[0, 0])
        mean = v * (at.delta[0] / at.tau2[0] + (K @ r)[0])
        np.testing.assert_allclose(seen.mean_up[g, 0], mean, rtol=1e-9)
        np.testing.assert_allclose(np.broadcast_to(seen.variance, (300, 2))[g, 0], v, rtol=1e-9)
        np.testing.assert_allclose(seen.mean_up[g, 1], at.delta[2], rtol=1e-12)  # tau = 0
    np.testing.assert_allclose(seen.log_likelihood, total, rtol=1e-10)


@pytest.mark.parametrize("own", [False, True], ids=["common", "gene"])
def test_em_never_loses(case, own):
    at, Vz, c, rng = case
    sigma2 = rng.uniform(0.5, 2, 300) if own else np.array([1.3])
    values = []
    for _ in range(40):
        seen = expectation(c, Vz, sigma2, at)
        values.append(seen.log_likelihood + 10 * np.log(at.null))
        at = maximisation(seen, at, 10.0)
        assert np.linalg.eigvalsh(at.Psi)[0] > -1e-12
        np.testing.assert_allclose(at.null + at.up.sum() + at.down.sum(), 1, rtol=1e-12)
    gains = np.diff(values)
    assert gains.min() > (-0.05 if own else -1e-8)  # scoring may overshoot a little
    assert values[-1] > values[0] + 10


def test_without_components_it_is_the_sample_covariance(case):
    at, Vz, c, _ = case
    none = at._replace(active=np.array([], dtype=int), up=np.zeros(3), down=np.zeros(3), null=1.0)
    new = maximisation(expectation(c, Vz, np.array([0.1]), none), none, 10.0)
    np.testing.assert_allclose(new.beta, c.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(new.Psi + 0.1 * Vz, np.cov(c.T, ddof=0), rtol=1e-8)
