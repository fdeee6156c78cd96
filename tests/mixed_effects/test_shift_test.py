"""The test of one shift against conditional densities written out, and that it is uniform."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm
from scipy.stats import t as student

from bayesdecov.mixed_effects.contamination import expectation
from bayesdecov.mixed_effects.parameters import Contamination
from bayesdecov.mixed_effects.shift_test import shift_p_values
from tests.mixed_effects.problems import contaminated, states


def binomial(share, n, sigmas=4.0):
    return sigmas * np.sqrt(share * (1 - share) / n)


@pytest.fixture
def case():
    at, Vz, c, rng = contaminated()
    return at._replace(Psi=at.Psi + np.eye(3), tau2=np.array([0.5, 0.0, 0.3])), Vz, c[:40], rng


@pytest.mark.parametrize("own", [False, True], ids=["common", "gene"])
def test_p_values_average_conditional_tails_over_the_other_effects_states(case, own):
    """F(c_k | c of the others), effect k unshifted, states weighed by the others alone."""
    at, Vz, c, rng = case
    s2 = rng.uniform(0.5, 2, 40) if own else np.array([1.3])
    p = shift_p_values(expectation(c, Vz, s2, at), at, None)
    for g, s in enumerate(np.broadcast_to(s2, 40)):
        for k in range(3):
            others = np.delete(np.arange(3), k)
            bare = at._replace(
                null=at.null + at.up[k] + at.down[k], active=at.active[at.active != k]
            )
            F = mass = 0.0
            for weight, mean, T in states(bare, at.Psi + s * Vz):
                near = T[np.ix_(others, others)]
                weight *= multivariate_normal.pdf(c[g, others], mean[others], near)
                slope = np.linalg.solve(near, T[others, k])
                centre = mean[k] + slope @ (c[g, others] - mean[others])
                sd = np.sqrt(T[k, k] - slope @ T[others, k])
                F, mass = F + weight * norm.cdf((c[g, k] - centre) / sd), mass + weight
            F /= mass
            assert p[g, k] == pytest.approx(2 * min(F, 1 - F), rel=1e-6, abs=1e-13)


def test_without_components_it_is_the_score_test(case):
    at, Vz, c, rng = case
    none = at._replace(active=np.array([], dtype=int), up=np.zeros(3), down=np.zeros(3), null=1.0)
    seen = expectation(c, Vz, np.array([1.3]), none)
    K = np.linalg.inv(at.Psi + 1.3 * Vz)
    z = (c - at.beta) @ K / np.sqrt(np.diag(K))
    np.testing.assert_allclose(shift_p_values(seen, none, None), 2 * norm.sf(np.abs(z)), rtol=1e-8)
    df = rng.uniform(3, 30, (40, 3))
    slow = 2 * student.sf(np.abs(z), df)
    np.testing.assert_allclose(shift_p_values(seen, none, df), slow, rtol=1e-7)


def test_many_degrees_of_freedom_are_the_normal_and_few_are_wider(case):
    at, Vz, c, _ = case
    seen = expectation(2 * c, Vz, np.array([1.3]), at)
    normal = shift_p_values(seen, at, None)
    many = shift_p_values(seen, at, np.full((40, 3), 1e9))
    np.testing.assert_allclose(many, normal, rtol=1e-4)
    small = normal < 1e-4
    assert small.sum() > 3
    assert (shift_p_values(seen, at, np.full((40, 3), 5.0))[small] > normal[small]).all()


def test_a_gene_far_out_has_a_p_value_near_zero_and_no_error(case):
    at, Vz, c, _ = case
    c = c.copy()
    c[0], c[1, 1] = 1e3, -1e3
    p = shift_p_values(expectation(c, Vz, np.array([1.3]), at), at, None)
    assert np.isfinite(p).all()
    assert p[1, 1] < 1e-12
    assert ((p >= 0) & (p <= 1)).all()


def test_the_test_of_a_shift_is_uniform_at_the_true_parameters():
    """Strongly correlated effects and shifted neighbours: 200,000 genes."""
    rng = np.random.default_rng(9)
    at = Contamination(
        np.zeros(2),
        np.array([[1.0, 0.9], [0.9, 1.0]]),
        0.8,
        np.array([0.0, 0.12]),
        np.array([0.0, 0.08]),
        np.array([0.0, 2.0]),
        np.array([0.0, 0.3]),
        np.array([1]),
    )
    Vz = 0.1 * np.eye(2)
    state = rng.choice(3, 200_000, p=[0.8, 0.12, 0.08])
    c = rng.multivariate_normal(np.zeros(2), at.Psi + Vz, 200_000)
    shift = np.array([0.0, 2.0, -2.0])[state]
    c[:, 1] += shift + np.where(state > 0, np.sqrt(0.3), 0) * rng.normal(size=200_000)
    p = shift_p_values(expectation(c, Vz, np.ones(1), at), at, None)[:, 0]
    for level in (0.01, 0.05, 0.2, 0.5, 0.8):
        assert abs((p < level).mean() - level) < binomial(level, 200_000)
