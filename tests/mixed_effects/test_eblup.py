"""Gene effects given the parameters against the textbook, gene by gene, and their tests."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from bayesdecov.algebra.shared_design import embed
from bayesdecov.mixed_effects.eblup import (
    conditional,
    coordinates,
    fixed_part,
    p_values,
    predict,
    predictor,
    statistics,
)
from tests.mixed_effects.problems import shared_problem

KINDS = ("whitened", "marginal", "prior", "score")


@pytest.fixture(params=[None, (1, 3)], ids=["all columns", "two columns"])
def known(request):
    return shared_problem(1, random=request.param)


@pytest.fixture(params=["common", "gene"])
def sigma2(request, known):
    return np.array([0.7]) if request.param == "common" else known.rng.uniform(0.3, 2, 40)


def test_effects_are_the_best_predictions_from_the_samples(known, sigma2):
    """E[gamma | y], its variance, and the score, from (sample, sample) matrices."""
    ls, Z = known.ls, known.X[:, known.ls.random]
    frame, h, z = coordinates(ls, known.beta, known.Psi, sigma2)
    mean, variance = conditional(frame, h, sigma2, z)
    found = predict(ls, known.beta, np.zeros_like(ls.V), known.Psi, sigma2)
    np.testing.assert_allclose(found.gamma, mean, rtol=1e-12)
    for g in range(40):
        s2 = np.broadcast_to(sigma2, 40)[g]
        gain = known.Psi @ Z.T @ np.linalg.inv(Z @ known.Psi @ Z.T + s2 * np.eye(12))
        slow = gain @ (known.Y[g] - known.X @ known.beta)
        np.testing.assert_allclose(mean[g], slow, rtol=1e-8, atol=1e-10)
        left = np.diag(known.Psi - gain @ Z @ known.Psi)
        np.testing.assert_allclose(np.broadcast_to(variance, mean.shape)[g], left, rtol=1e-8)
        K = np.linalg.inv(known.Psi + s2 * ls.Vz)
        r = np.linalg.lstsq(Z, known.Y[g] - known.X @ known.beta, rcond=None)[0]
        np.testing.assert_allclose(found.score[g], K @ r, rtol=1e-8, atol=1e-10)
        information = np.broadcast_to(found.information, mean.shape)[g]
        np.testing.assert_allclose(information, np.diag(K), rtol=1e-10)
        # Psi that is estimated from 40 genes
        more = 2 * (len(Z.T) + 1) / 40 * s2**2 * np.diag(ls.Vz @ K @ ls.Vz)
        total = np.broadcast_to(found.variance, mean.shape)[g]
        np.testing.assert_allclose(total, left + more, rtol=1e-8)


def test_errors_of_the_fixed_effects_move_whole_effects_linearly(known):
    """The map found by moving every fixed effect by 1 and predicting again."""
    ls, s2 = known.ls, np.array([0.7])
    B = known.rng.normal(size=(4, 4))
    cov = B @ B.T

    def whole(beta):
        return beta[ls.random] + predict(ls, beta, cov, known.Psi, s2).gamma[0]

    M = np.stack([whole(known.beta + e) - whole(known.beta) for e in np.eye(4)], axis=1)
    frame, h, _ = coordinates(ls, known.beta, known.Psi, s2)
    np.testing.assert_allclose(fixed_part(ls, frame, h, cov), np.diag(M @ cov @ M.T), rtol=1e-8)
    K = np.linalg.inv(known.Psi + 0.7 * ls.Vz)
    np.testing.assert_allclose(predictor(frame, h), known.Psi @ K, rtol=1e-8, atol=1e-12)


def test_at_the_estimate_the_spread_is_the_covariance_of_the_predictions(known):
    ls, s2 = known.ls, 0.3
    Psi = np.cov(ls.c.T) - s2 * ls.Vz
    found = predict(ls, ls.mean, (embed(Psi, ls) + s2 * ls.V) / 40, Psi, np.array([s2]))
    seen = np.cov(found.gamma.T, ddof=0)
    np.testing.assert_allclose(found.spread, seen, rtol=1e-8)
    x = {kind: statistics(found, Psi, kind) for kind in KINDS}
    np.testing.assert_allclose(np.cov(x["whitened"].T, ddof=0), np.eye(len(Psi)), atol=1e-8)
    np.testing.assert_allclose(x["marginal"].var(axis=0), 1, rtol=1e-8)
    np.testing.assert_allclose(x["prior"], found.gamma / np.sqrt(np.diag(Psi)), rtol=1e-12)
    np.testing.assert_allclose(x["score"].var(axis=0), 1 - 1 / 40, rtol=1e-8)


def test_the_score_is_generalised_least_squares_of_a_shift_in_one_effect(known, sigma2):
    ls = known.ls
    found = predict(ls, known.beta, np.zeros_like(ls.V), known.Psi, sigma2)
    z = statistics(found, known.Psi, "score")
    for g in (0, 11):
        half = np.linalg.inv(np.linalg.cholesky(known.Psi + np.broadcast_to(sigma2, 40)[g] * ls.Vz))
        r = half @ (ls.c[g] - ls.onto @ (known.beta - ls.mean))
        for k, column in enumerate(half.T):
            slope = np.linalg.lstsq(column[:, None], r, rcond=None)[0][0]
            assert z[g, k] == pytest.approx(slope * np.linalg.norm(column), rel=1e-8)


def test_units_and_order_of_effects(known):
    """Effects in other units: the marginal tests stay, the effects scale."""
    ls, a = known.ls, known.rng.uniform(0.1, 9, len(known.ls.random))
    cov = 0.01 * ls.V
    D = np.eye(4)
    D[ls.random, ls.random] = a
    turned = ls._replace(
        b=ls.b @ D,
        mean=ls.mean @ D,
        V=D @ ls.V @ D,
        c=ls.c * a,
        Vz=ls.Vz * np.outer(a, a),
        onto=a[:, None] * ls.onto @ np.linalg.inv(D),
    )
    s2 = np.array([0.7])
    before = predict(ls, known.beta, cov, known.Psi, s2)
    after = predict(turned, D @ known.beta, D @ cov @ D, known.Psi * np.outer(a, a), s2)
    np.testing.assert_allclose(after.gamma, before.gamma * a, rtol=1e-8)
    np.testing.assert_allclose(after.variance, before.variance * a**2, rtol=1e-8)
    for kind in ("marginal", "prior", "score"):
        both = [
            statistics(p, np.diag(np.diag(p.spread)) if kind != "prior" else P, kind)
            for p, P in ((before, known.Psi), (after, known.Psi * np.outer(a, a)))
        ]
        np.testing.assert_allclose(*both, rtol=1e-7)


def test_an_effect_that_does_not_vary_is_zero():
    known = shared_problem(5)
    Psi = known.Psi.copy()
    Psi[2] = Psi[:, 2] = 0.0
    found = predict(known.ls, known.ls.mean, np.zeros((4, 4)), Psi, np.array([0.7]))
    np.testing.assert_allclose(found.gamma[:, 2], 0, atol=1e-12)
    np.testing.assert_array_equal(statistics(found, Psi, "prior")[:, 2], 0)
    none = predict(known.ls, known.ls.mean, np.zeros((4, 4)), 0 * Psi, np.array([0.7]))
    for kind in KINDS[:3]:
        np.testing.assert_array_equal(statistics(none, 0 * Psi, kind), 0)
    assert np.ptp(statistics(none, 0 * Psi, "score")) > 1  # a test that needs no variance


@pytest.mark.parametrize("sided", [1, 2])
def test_p_values_are_scipys_and_exact_far_out(sided):
    z = np.array([-37.0, -3.0, 0.0, 0.4, 12.0])
    np.testing.assert_allclose(p_values(z, sided=sided), sided * norm.sf(np.abs(z)), rtol=1e-10)
    assert p_values(z, sided=sided)[0] > 0
    df = np.array([3.0, 10.0, 5.0, 1.0, 1e9])
    slow = sided * student.sf(np.abs(z), df)
    np.testing.assert_allclose(p_values(z, sided=sided, df=df), slow, rtol=1e-10)
