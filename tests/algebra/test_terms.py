"""Log-densities from their pieces: derivatives of every form, orders, and the information."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import invgamma, multivariate_normal

from bayesdecov.algebra.dense import Dense
from bayesdecov.algebra.terms import (
    Pieces,
    Term,
    information,
    log_density,
    scale_weight,
    values_only,
)
from tests.algebra.problems import EVALUATIONS, evaluate, random_problem


@pytest.mark.parametrize(("weight", "df"), EVALUATIONS)
@pytest.mark.parametrize("n_types", [2, 4, 5, 8])
@pytest.mark.parametrize("form", ["dense", "lowrank", "compressed"])
def test_derivatives_equal_finite_differences(form, n_types, weight, df):
    shared = form == "compressed"
    problem = random_problem(
        n_types, n_types=n_types, n_genes=30, shared=shared, counting=not shared
    )
    term = evaluate(problem, form, weight=weight, df=df)[0]
    step = 1e-5
    for j in range(n_types):
        shift = np.zeros(n_types)
        shift[j] = step
        up = evaluate(problem, form, problem.q + shift, weight=weight, df=df)[0]
        down = evaluate(problem, form, problem.q - shift, weight=weight, df=df)[0]
        slope = (up.value - down.value) / (2 * step)
        bend = (up.gradient - down.gradient) / (2 * step)
        np.testing.assert_allclose(term.gradient[:, j], slope, rtol=2e-6, atol=1e-4)
        scale = np.abs(term.hessian).max()
        np.testing.assert_allclose(term.hessian[:, j], bend, rtol=1e-6, atol=1e-7 * scale)


@pytest.mark.parametrize(("weight", "df"), EVALUATIONS)
@pytest.mark.parametrize("n_genes", [20, 40])
@pytest.mark.parametrize("form", ["dense", "lowrank", "compressed"])
def test_first_order_is_the_same_gradient(form, n_genes, weight, df):
    shared = form == "compressed"
    problem = random_problem(7, n_genes=n_genes, shared=shared, counting=not shared)
    whole = evaluate(problem, form, weight=weight, df=df)[0]
    first = evaluate(problem, form, weight=weight, df=df, order=1)[0]
    np.testing.assert_allclose(first.value, whole.value, rtol=1e-12)
    np.testing.assert_allclose(first.gradient, whole.gradient, rtol=1e-10)
    assert first.hessian.size == 0


def test_information_is_minus_the_expected_hessian():
    """Monte Carlo over bulks drawn from the model, judged in standard errors."""
    problem = random_problem(8, n=1, n_genes=6, n_types=3, rank=1)
    model: Dense = problem.forms["dense"]
    draws = 40_000
    rng = np.random.default_rng(11)
    q, phi = np.repeat(problem.q, draws, 0), np.repeat(problem.phi, draws)
    V = model.covariance(problem.q, problem.phi)[0]
    y = rng.multivariate_normal(model.mu @ problem.q[0], V, draws)
    pieces = model.pieces(q, y, phi)
    minus_hessian = -log_density(pieces, 6).hessian
    expected = information(pieces, 6)[0]
    error = minus_hessian.std(0) / np.sqrt(draws)
    assert np.all(np.abs(minus_hessian.mean(0) - expected) < 4.5 * error)


def test_the_t_is_the_normal_with_a_scale_integrated_out():
    """The density, and the posterior mean of 1 / kappa, by quadrature over kappa."""
    problem = random_problem(4, n=1, n_genes=6, n_types=3)
    model: Dense = problem.forms["dense"]
    V, mean = model.covariance(problem.q, problem.phi)[0], (problem.q @ model.mu.T)[0]
    ours, pieces = evaluate(problem, "dense", df=3.0)
    prior = invgamma(1.5, scale=1.5)

    def joint(kappa, power):
        density = multivariate_normal.pdf(problem.y[0], mean, kappa * V)
        return density * prior.pdf(kappa) * kappa**power * 1e6

    total, moment = (quad(joint, 0, np.inf, args=(power,), epsabs=0)[0] for power in (0, -1))
    assert ours.value[0] == pytest.approx(np.log(total / 1e6), rel=1e-7)
    assert scale_weight(pieces.quad.value, 6, 3.0)[0] == pytest.approx(moment / total, rel=1e-6)
    weighed = information(pieces, 6, df=3.0) - pieces.information_covariance
    np.testing.assert_allclose(weighed, moment / total * pieces.information_mean, rtol=1e-6)


def test_many_degrees_of_freedom_are_the_normal():
    problem = random_problem(5)
    normal, pieces = evaluate(problem, "dense")
    t = evaluate(problem, "dense", df=1e9)[0]
    for one, other in zip(t, normal, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(scale_weight(pieces.quad.value, 12, None), 1)


@pytest.mark.parametrize("df", [None, 4.0])
def test_equation_8_is_the_likelihood_over_the_root_of_the_determinant(df):
    problem = random_problem(6)
    model: Dense = problem.forms["dense"]
    plain, twice = (evaluate(problem, "dense", weight=w, df=df)[0].value for w in (0.5, 1.0))
    logdet = np.linalg.slogdet(model.covariance(problem.q, problem.phi))[1]
    np.testing.assert_allclose(twice, plain - 0.5 * logdet, rtol=1e-12)


def test_without_derivatives_there_are_none():
    values = values_only(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    found = log_density(values, 5)
    assert found.gradient.size == found.hessian.size == 0
    slow = -0.5 * (5 * np.log(2 * np.pi) + np.array([1.0, 2.0]) + np.array([3.0, 4.0]))
    np.testing.assert_allclose(found.value, slow)


def test_information_is_positive_semi_definite_and_linear_in_its_halves():
    pieces = evaluate(random_problem(9, n_types=5), "dense")[1]
    assert np.linalg.eigvalsh(information(pieces, 12)).min() > 0
    zero = Term(0 * pieces.quad.value, np.empty(0), np.empty(0))
    half = Pieces(zero, zero, 0 * pieces.information_mean, pieces.information_covariance)
    rest = information(pieces, 12) - information(half, 12)
    np.testing.assert_allclose(rest, pieces.information_mean, rtol=1e-10, atol=1e-12)
