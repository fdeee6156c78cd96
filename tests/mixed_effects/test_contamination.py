"""One pass of EM against the densities written out, and what EM promises."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from bayesdecov.mixed_effects.contamination import expectation, maximisation
from bayesdecov.mixed_effects.information import draws, gene_scores, information
from bayesdecov.mixed_effects.parameters import (
    Contamination,
    extrapolated,
    pack,
    units,
    unpack,
    without,
)


@pytest.fixture
def case():
    rng = np.random.default_rng(2)
    A, B = rng.normal(size=(2, 3, 3))
    at = Contamination(
        beta=np.array([0.3, -0.2, 0.1]), Psi=A @ A.T, null=0.8, up=np.array([0.1, 0.0, 0.02]),
        down=np.array([0.05, 0.0, 0.03]), delta=np.array([3.0, 0.0, 2.0]),
        tau2=np.array([0.5, 0.0, 0.0]), active=np.array([0, 2]),
    )  # fmt: skip
    return at, B @ B.T + 0.5 * np.eye(3), rng.normal(size=(300, 3)) * 3, rng


def states(at, T):
    """Weight, mean and covariance of every state of a gene."""
    yield at.null, at.beta, T
    for k in at.active:
        e = np.eye(3)[k]
        for share, sign in ((at.up[k], 1), (at.down[k], -1)):
            yield share, at.beta + sign * at.delta[k] * e, T + at.tau2[k] * np.outer(e, e)


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


def test_dropping_a_component_keeps_the_second_moment(case):
    at, *_ = case
    less = without(at, 0)
    assert less.active.tolist() == [2]
    np.testing.assert_allclose(less.Psi[0, 0] - at.Psi[0, 0], 0.15 * (0.5 + 9.0))
    np.testing.assert_allclose(less.null + less.up.sum() + less.down.sum(), 1.0)


def test_long_steps_stay_inside(case):
    at, Vz, c, _ = case
    path = [at]
    for _ in range(2):
        path.append(maximisation(expectation(c, Vz, np.array([1.0]), path[-1]), path[-1], 10.0))
    far = extrapolated(*path)
    assert np.linalg.eigvalsh(far.Psi)[0] > -1e-12
    assert 0 < far.null < 1
    assert (far.tau2 >= 0).all()
    assert (far.delta >= 0).all()
    np.testing.assert_allclose(far.null + far.up.sum() + far.down.sum(), 1, rtol=1e-9)
    assert extrapolated(at, at, at) is None


def test_packing_is_undone(case):
    at, *_ = case
    back = unpack(pack(at, units(at)), units(at), at.active)
    for name, value in at._asdict().items():
        np.testing.assert_allclose(getattr(back, name), value, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("own", [False, True], ids=["common", "gene"])
def test_scores_are_the_derivatives(case, own):
    """Finite differences of every gene's log-likelihood in every free parameter."""
    at, Vz, c, rng = case
    at = at._replace(tau2=np.array([0.5, 0.0, 0.2]))
    c = c[:7]
    sigma2 = rng.uniform(0.5, 2, 7) if own else np.array([1.3])
    scale = units(at)
    x = pack(at, scale)

    def values(x):
        there = unpack(x, scale, at.active)
        return np.array([
            expectation(c[[g]], Vz, sigma2[[g]] if own else sigma2, there).log_likelihood
            for g in range(7)
        ])  # fmt: skip

    slow = np.empty((7, len(x)))
    for j in range(len(x)):
        step = np.zeros(len(x))
        step[j] = 1e-5
        slow[:, j] = (values(x + step) - values(x - step)) / 2e-5
    seen = expectation(c, Vz, sigma2, at)
    np.testing.assert_allclose(gene_scores(seen, at, scale, slice(None)), slow, atol=2e-7)
    np.testing.assert_allclose(information(seen, at), slow.T @ slow, atol=1e-5)


def test_draws_have_the_covariance_of_the_information(case):
    at, Vz, _, rng = case
    none = at._replace(active=np.array([], dtype=int), up=np.zeros(3), down=np.zeros(3), null=1.0)
    T = none.Psi + 0.5 * Vz
    c = rng.multivariate_normal(none.beta, T, 20_000)
    found, cov = draws(expectation(c, Vz, np.array([0.5]), none), none, rng, 2000)
    size = np.sqrt(np.outer(np.diag(T), np.diag(T))) / 20_000
    np.testing.assert_allclose(cov / size, T / 20_000 / size, atol=4 * np.sqrt(2 / 20_000))
    spread = np.var([d.Psi[0, 0] for d in found])
    assert abs(spread / (2 * T[0, 0] ** 2 / 20_000) - 1) < 5 * np.sqrt(2 / 2000) + 0.05
