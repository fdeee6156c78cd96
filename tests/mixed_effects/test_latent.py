"""True proportions behind measured ones: derivatives, limits in closed form, invariances."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import multivariate_normal

from bayesdecov.algebra.subspace import moments, subspace
from bayesdecov.mixed_effects import latent as module
from bayesdecov.mixed_effects.latent import (
    Latent,
    anchors,
    cohort_distribution,
    log_density,
    refine,
    uncertainty,
)

N, D, L, GENES = 15, 2, 4, 300


def draw(seed, *, n=N, error=0.1):
    """A design of two proportions and their products with a covariate, measured with errors."""
    rng = np.random.default_rng(seed)
    F, z = rng.normal([0.4, 0.3], 0.2, (n, D)), rng.normal(size=n)
    lifts = np.zeros((n, L, D))
    lifts[:, [0, 1], [0, 1]] = 1.0
    lifts[:, [2, 3], [0, 1]] = z[:, None]
    A = rng.normal(size=(n, D, D)) * 0.3 + np.eye(D)
    covariance = error**2 * A @ A.transpose(0, 2, 1)
    measured = F + np.array([rng.multivariate_normal(np.zeros(D), C) for C in covariance])
    b = rng.normal(size=(GENES, L)) + 1.0
    Y = b @ np.einsum("iad,id->ai", lifts, F) + 0.3 * rng.normal(size=(GENES, n))
    known = anchors(
        measured, covariance, lifts, np.einsum("iad,id->ia", lifts, measured), z[:, None]
    )
    return F, known, moments(Y, np.eye(n), 0.7), rng


@pytest.fixture(scope="module")
def problem():
    return draw(0)


@pytest.fixture(scope="module")
def cohort(problem):
    return cohort_distribution(problem[1])._replace(scale2=1.4)


def parts(phi, cohort, known, seen, s2=None):
    """The log-density without its volume, and the volume at a residual variance."""
    at = subspace(known.X(phi), seen)
    s2 = at.sigma2 if s2 is None else s2
    value, volume = seen.power * at.value, 0.0
    effects = at.onto @ seen.gram @ at.onto.T - seen.genes * s2 * at.V
    prior = np.linalg.inv(cohort.spread)
    for i in range(len(phi)):
        weight = np.linalg.inv(cohort.scale2 * known.covariance[i])
        off, rest = phi[i] - known.value[i], phi[i] - known.cohort[i] @ cohort.mean
        value -= 0.5 * off @ weight @ off + 0.5 * rest @ prior @ rest
        own = seen.power * (seen.whitener[:, i] @ seen.whitener[:, i]) / s2
        local = own * known.lifts[i].T @ effects @ known.lifts[i] + weight + prior
        volume -= 0.5 * np.linalg.slogdet(local)[1]
    return value, volume


def slopes(function, phi, step=1e-5):
    found = np.empty(phi.size)
    for j in range(phi.size):
        move = np.zeros(phi.size)
        move[j] = step
        move = move.reshape(phi.shape)
        found[j] = (function(phi + move) - function(phi - move)) / (2 * step)
    return found


def test_value_and_gradient_are_those_of_the_density_written_out(problem, cohort):
    _, known, seen, rng = problem
    W = np.eye(N) + 0.1 * rng.normal(size=(N, N))
    seen = seen._replace(whitener=W, gram=W @ seen.gram @ W.T, total=W @ seen.total)
    phi = known.value + 0.02
    now = module._evaluate(phi, cohort, known, seen)
    assert now.value == pytest.approx(sum(parts(phi, cohort, known, seen)), rel=1e-10)
    s2 = now.at.sigma2
    slow = slopes(lambda x: sum(parts(x, cohort, known, seen, s2)), phi)
    np.testing.assert_allclose(now.gradient, slow, rtol=1e-4, atol=1e-6 * np.abs(slow).max())


def test_curvature_is_that_of_the_density_without_its_volume(problem, cohort):
    _, known, seen, rng = problem
    phi, step = known.value + 0.02, rng.normal(size=N * D)
    H = module._curvature(
        module._evaluate(phi, cohort, known, seen), cohort, known, seen, np.eye(N)
    )
    move = 1e-4 * step.reshape(N, D)
    up, here, down = (parts(phi + t * move, cohort, known, seen)[0] for t in (1, 0, -1))
    assert step @ H @ step == pytest.approx(-(up - 2 * here + down) / 1e-8, rel=1e-4)


@pytest.mark.parametrize("total", [0.01, 3.0, 40.0, 900.0])
def test_the_scale_of_the_errors_is_a_mode(total):
    """Of a Gaussian likelihood of 40 errors and a log-normal prior of a factor of 2."""

    def loss(x):
        return 0.5 * (total * np.exp(-x) + 40 * x) + 0.5 * (x / 2 / np.log(2)) ** 2

    slow = minimize_scalar(loss, bounds=(-15, 15), method="bounded", options={"xatol": 1e-9}).x
    assert module._log_scale2(total, 40) == pytest.approx(slow, abs=1e-6)


def test_the_cohorts_distribution_is_where_the_likelihood_is_flat(problem):
    """The marginal normal of measured values, each with its own error, in every parameter."""
    _, known, _, _ = problem
    cohort = cohort_distribution(known, iterations=20_000)

    def value(x):
        mean, S = x[0, :4].reshape(2, 2), np.array([[x[0, 4], x[0, 5]], [x[0, 5], x[0, 6]]])
        return sum(
            multivariate_normal.logpdf(v, z @ mean, S + C)
            for v, z, C in zip(known.value, known.cohort, known.covariance, strict=True)
        )

    at = np.concatenate([cohort.mean.ravel(), cohort.spread[[0, 0, 1], [0, 1, 1]]])[None]
    away = at * 1.2
    assert np.abs(slopes(value, at)).max() < 0.01 * np.abs(slopes(value, away)).max()
    for i in range(N):  # expectations given the measured values
        gain = cohort.spread @ np.linalg.inv(cohort.spread + known.covariance[i])
        centre = known.cohort[i] @ cohort.mean
        np.testing.assert_allclose(
            cohort.phi[i], centre + gain @ (known.value[i] - centre), atol=1e-4
        )


def test_directions_without_error_are_left_out():
    """Proportions that add up to 1: errors that add up to 0 have one direction less."""
    rng = np.random.default_rng(3)
    F, P = rng.dirichlet(np.ones(3), 20), np.eye(3) - 1 / 3
    covariance = np.stack([P @ np.diag(rng.uniform(1, 2, 3)) @ P * 0.01 for _ in range(20)])
    lifts = rng.normal(size=(20, 4, 3))
    found = anchors(F, covariance, lifts, rng.normal(size=(20, 4)), rng.normal(size=(20, 1)))
    U = found.directions
    assert U.shape == (3, 2)
    np.testing.assert_allclose(U.sum(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(U @ found.covariance @ U.T, covariance, atol=1e-7)
    moved = np.array([0.1, -0.3, 0.2])  # of the proportions
    X = found.X(found.value + moved @ U)
    np.testing.assert_allclose(X - found.design, lifts @ moved, atol=1e-10)
    assert found.cohort.shape == (20, 2)
    few = anchors(F[:8], covariance[:8], lifts[:8], found.design[:8], rng.normal(size=(8, 1)))
    np.testing.assert_array_equal(few.cohort, 1)  # too few samples for covariates
    picked = found.rows(np.array([3, 1]))
    np.testing.assert_array_equal(picked.lifts, found.lifts[[3, 1]])
    assert picked.directions is U


def test_expression_that_says_nothing_leaves_the_cohorts_posterior(problem, cohort):
    """No column moves with the proportions: everything is normal and in closed form."""
    _, known, seen, _ = problem
    known = known._replace(lifts=0 * known.lifts)
    phi, _, climbed = module._climb(known.value, cohort, known, seen, np.eye(N))
    assert climbed
    total = 0.0
    for i in range(N):
        C, centre = cohort.scale2 * known.covariance[i], known.cohort[i] @ cohort.mean
        gain = cohort.spread @ np.linalg.inv(cohort.spread + C)
        np.testing.assert_allclose(phi[i], centre + gain @ (known.value[i] - centre), rtol=1e-8)
        total += multivariate_normal.logpdf(known.value[i], centre, cohort.spread + C)
    found = log_density(known, seen, cohort._replace(phi=phi))
    found -= seen.power * subspace(known.design, seen).value + N * D / 2 * np.log(2 * np.pi)
    assert found == pytest.approx(total, rel=1e-9)
    # the cohort's distribution says nothing along values and covariates
    Q = np.linalg.qr(np.hstack([phi, known.cohort]))[0]
    H = np.kron(np.eye(N) - Q @ Q.T, np.linalg.inv(cohort.spread))
    for i in range(N):
        H[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] += np.linalg.inv(
            cohort.scale2 * known.covariance[i]
        )
    slow = np.linalg.inv(H)
    np.testing.assert_allclose(uncertainty(known, seen, cohort._replace(phi=phi)), slow, atol=1e-10)


def test_genes_sharpen_the_proportions_and_say_by_how_much():
    F, known, seen, _ = draw(5, n=40)
    at = refine(known, seen, cohort_distribution(known))
    assert at.converged
    truth = F @ known.directions
    assert np.square(at.phi - truth).mean() < 0.35 * np.square(known.value - truth).mean()
    covariance = uncertainty(known, seen, at)
    off = (at.phi - truth).ravel()
    # chi-squared of 80 values, in 4.5 standard errors
    assert abs(off @ np.linalg.solve(covariance, off) / 80 - 1) < 4.5 * np.sqrt(2 / 80)
    widest = at.scale2 * np.linalg.eigvalsh(known.covariance).max()
    assert np.linalg.eigvalsh(covariance)[-1] < widest * (1 + 1e-9)


def test_the_law_at_the_end_is_its_own_m_step():
    """Means, spread and scale from values and what is left unknown of each, written out."""
    _, known, seen, _ = draw(1, n=40)
    at = refine(known, seen, cohort_distribution(known))
    X = known.X(at.phi)
    sub = subspace(X, seen)
    effects = sub.onto @ seen.gram @ sub.onto.T - GENES * sub.sigma2 * sub.V
    mean = np.linalg.lstsq(known.cohort, at.phi, rcond=None)[0]
    spread, total = np.zeros((D, D)), 0.0
    for i in range(40):
        W = np.linalg.inv(known.covariance[i])
        own = seen.power / sub.sigma2 * known.lifts[i].T @ effects @ known.lifts[i]
        local = np.linalg.inv(own + W / at.scale2 + np.linalg.inv(at.spread))
        rest, off = at.phi[i] - known.cohort[i] @ mean, at.phi[i] - known.value[i]
        spread += (np.outer(rest, rest) + local) / 40
        total += off @ W @ off + np.trace(W @ local)
    near = 2 * module._SETTLED
    np.testing.assert_allclose(at.spread, spread, atol=near * np.trace(spread))
    np.testing.assert_allclose(at.mean, mean, atol=1e-8)
    assert np.log(at.scale2) == pytest.approx(module._log_scale2(total, 40 * D), abs=near)


def test_order_of_samples_units_of_genes_and_turned_directions_do_not_matter():
    """Samples and units to rounding, directions as near as EM settles (0.02 errors, twice)."""
    _, known, seen, rng = draw(1, n=40)
    start = cohort_distribution(known)
    base = refine(known, seen, start)
    order = rng.permutation(40)
    moved = refine(
        known.rows(order),
        seen._replace(gram=9 * seen.gram[np.ix_(order, order)], total=3 * seen.total[order]),
        start._replace(phi=start.phi[order]),
    )
    np.testing.assert_allclose(moved.phi, base.phi[order], atol=1e-6)
    assert moved.scale2 == pytest.approx(base.scale2, rel=1e-5)
    R = np.linalg.qr(rng.normal(size=(D, D)))[0]
    turned = refine(
        known._replace(
            value=known.value @ R,
            covariance=R.T @ known.covariance @ R,
            lifts=known.lifts @ R,
            directions=known.directions @ R,
        ),
        seen,
        Latent(start.phi @ R, start.mean @ R, R.T @ start.spread @ R, start.scale2),
    )
    near = 2 * module._SETTLED * np.sqrt(np.trace(known.covariance.mean(axis=0)) / D)
    np.testing.assert_allclose(turned.phi, base.phi @ R, atol=near)
    assert turned.scale2 == pytest.approx(base.scale2, rel=1e-3)


def test_the_scale_does_not_fall_below_the_least():
    """Measured values that are exact, said to be off by 0.1."""
    F, known, seen, _ = draw(6, n=40)
    exact = F @ known.directions
    known = known._replace(value=exact, design=known.X(exact))
    free = refine(known, seen, cohort_distribution(known))
    assert free.scale2 < 0.1
    held = refine(known, seen, cohort_distribution(known), least=1.0)
    assert held.scale2 == pytest.approx(1.0, rel=1e-9)
