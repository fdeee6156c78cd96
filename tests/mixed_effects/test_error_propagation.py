"""Errors of proportions in the effects, against every error of a design carried out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from bayesdecov.mixed_effects.eblup import predict
from bayesdecov.mixed_effects.error_propagation import leakage, propagate_errors, shared_leakage
from bayesdecov.mixed_effects.estimate import Estimate
from tests.mixed_effects.problems import shared_problem

GENES, N, L, D = 12, 10, 4, 2


@pytest.fixture(params=[None, (0, 2)], ids=["all columns", "two columns"])
def case(request):
    known = shared_problem(6, genes=GENES, samples=N, columns=L, random=request.param)
    lifts = known.rng.normal(size=(N, L, D))
    half = 0.02 * known.rng.normal(size=(N * D, N * D))
    return known, lifts, half


def estimate_of(known):
    ls, rng = known.ls, known.rng
    q, s2 = len(ls.random), np.array([0.7])
    cov = 0.05 * ls.V
    gamma = predict(ls, known.beta, cov, known.Psi, s2).gamma
    sd = rng.uniform(0.3, 0.8, (GENES, q))
    effect = known.beta[ls.random] + gamma
    z = rng.normal(size=(GENES, q)) * 2
    return Estimate(
        known.beta,
        cov,
        np.full(L, 11.0),
        np.ones(L),
        known.Psi,
        s2,
        gamma,
        sd,
        z,
        2 * norm.sf(np.abs(z)),
        {},
        low=effect - 2 * sd,
        high=effect + 1.5 * sd,
        lfsr=norm.sf(np.abs(effect) / sd),
    )


def directions(known, lifts, half):
    """The map D = X^+ dX for each column of a root of the errors' covariance."""
    onto = np.linalg.pinv(known.X)
    for column in half.T:
        u = column.reshape(N, D)
        yield onto @ np.einsum("iad,id->ia", lifts, u)


def test_leakage_is_the_second_moment_of_the_map(case):
    known, lifts, half = case
    leak = leakage(np.linalg.pinv(known.X), lifts, half @ half.T)
    slow = sum(np.multiply.outer(M, M) for M in directions(known, lifts, half))
    np.testing.assert_allclose(leak, slow, rtol=1e-9, atol=1e-15)


def test_effects_get_the_variance_that_their_error_has(case):
    """The error of a whole effect, gene by gene and direction by direction, is added up."""
    known, lifts, half = case
    ls, e = known.ls, estimate_of(known)
    leak = leakage(np.linalg.pinv(known.X), lifts, half @ half.T)
    wide = propagate_errors(e, ls, leak)
    extra, of_beta = np.zeros_like(e.gamma), np.zeros((L, L))
    P = known.Psi @ np.linalg.inv(known.Psi + 0.7 * ls.Vz) @ ls.onto
    for M in directions(known, lifts, half):
        moved = (M @ known.beta)[ls.random] + e.gamma @ (P @ M[:, ls.random]).T
        extra += moved**2
        of_beta += np.outer(M @ known.beta, M @ known.beta)
    np.testing.assert_allclose(wide.sd**2, e.sd**2 + extra, rtol=1e-9)
    np.testing.assert_allclose(wide.beta_cov, e.beta_cov + of_beta, rtol=1e-9, atol=1e-15)
    effect, factor = known.beta[ls.random] + e.gamma, wide.sd / e.sd
    np.testing.assert_allclose(effect - wide.low, 2 * e.sd * factor, rtol=1e-9)
    np.testing.assert_allclose(wide.high - effect, 1.5 * e.sd * factor, rtol=1e-9)
    # of a normal with the wider deviation
    np.testing.assert_allclose(wide.lfsr, norm.sf(np.abs(effect) / wide.sd), rtol=1e-7)
    np.testing.assert_array_equal(wide.gamma, e.gamma)


def test_tests_get_what_a_genes_own_effects_leak_beyond_the_common(case):
    known, lifts, half = case
    ls, e = known.ls, estimate_of(known)
    gamma = e.gamma.copy()
    gamma[0] *= 30
    e = e._replace(gamma=gamma)
    wide = propagate_errors(e, ls, leakage(np.linalg.pinv(known.X), lifts, half @ half.T))
    K = np.linalg.inv(known.Psi + 0.7 * ls.Vz)
    own, common = np.zeros_like(gamma), np.zeros(len(K))
    for M in directions(known, lifts, half):
        score = K @ ls.onto @ M[:, ls.random] / np.sqrt(np.diag(K))[:, None]
        own += (gamma @ score.T) ** 2
        common += np.einsum("qa,ab,qb->q", score, known.Psi, score)
    factor = np.sqrt(1 + np.maximum(own - common, 0))
    assert (factor[0] > 1.1).all()
    np.testing.assert_allclose(wide.z, e.z / factor, rtol=1e-9)
    np.testing.assert_allclose(wide.p, 2 * norm.sf(np.abs(e.z) / factor), rtol=1e-7)


def test_proportions_without_error_change_nothing(case):
    known, lifts, half = case
    e = estimate_of(known)
    same = propagate_errors(e, known.ls, leakage(np.linalg.pinv(known.X), lifts, 0 * half))
    for name in ("beta_cov", "sd", "p", "z", "low", "high", "lfsr"):
        np.testing.assert_allclose(getattr(same, name), getattr(e, name), rtol=1e-9, err_msg=name)
    bare = propagate_errors(
        e._replace(low=None, high=None, lfsr=None),
        known.ls,
        leakage(np.linalg.pinv(known.X), lifts, half),
    )
    assert bare.low is None
    assert bare.lfsr is None


def test_certainty_survives_as_far_as_numbers_go(case):
    """P-values and false-sign rates of exactly 0, and an sd of 0."""
    known, lifts, half = case
    e = estimate_of(known)
    e = e._replace(p=0 * e.p, lfsr=0 * e.lfsr, sd=0 * e.sd)
    wide = propagate_errors(e, known.ls, leakage(np.linalg.pinv(known.X), lifts, half @ half.T))
    for values in (wide.p, wide.lfsr):
        assert np.isfinite(values).all()
        assert (values >= 0).all()
    assert wide.p.max() < 1e-100


def test_a_shared_error_is_one_map_and_its_diagonal_moves_no_test(case):
    known, lifts, _ = case
    moves = 0.05 * known.rng.normal(size=(30, N, D))
    onto = np.linalg.pinv(known.X)
    whole, between = shared_leakage(onto, lifts, moves)
    slow, without = np.zeros((2, L, L, L, L))
    for move in moves - moves.mean(axis=0):
        M = onto @ np.einsum("iad,id->ia", lifts, move)
        slow += np.multiply.outer(M, M) / len(moves)
        M = M - np.diag(np.diag(M))
        without += np.multiply.outer(M, M) / len(moves)
    np.testing.assert_allclose(whole, slow, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(between, without, rtol=1e-9, atol=1e-15)

    e, ls = estimate_of(known), known.ls
    of_both, of_whole = (
        propagate_errors(e, ls, whole, of_tests=between),
        propagate_errors(e, ls, whole),
    )
    of_between = propagate_errors(e, ls, between)
    for name, same in (
        ("sd", of_whole),
        ("low", of_whole),
        ("p", of_between),
        ("lfsr", of_between),
    ):
        np.testing.assert_array_equal(getattr(of_both, name), getattr(same, name))
