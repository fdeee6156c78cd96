"""Maxima against a generic optimiser, derivatives against differences, and what must not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from bayesdecov.algebra.density import evaluate
from bayesdecov.algebra.priors import Dirichlet, SoftmaxNormal
from bayesdecov.deconvolution.fit import find_modes, log_posterior, maximum_a_posteriori, unpack
from tests.deconvolution.problems import problem

OPTIONS = [{}, {"free_size": True}, {"df": 4.0}, {"prior": Dirichlet((2.0, 3.0, 1.5))},
           {"prior": SoftmaxNormal(), "free_size": True}]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("jacobian", [False, True])
def test_derivatives_are_those_of_differences(options, jacobian):
    model, data, _ = problem(1, **options)
    density = log_posterior(model, model.density.project(data.y), data.phi, jacobian=jacobian)
    rows, step = np.arange(len(data.y)), 1e-5
    x = np.random.default_rng(0).normal(0, 0.5, (len(rows), 2 + model.free_size))
    term = density(x, rows)
    for k in range(x.shape[1]):
        up, down = x.copy(), x.copy()
        up[:, k] += step
        down[:, k] -= step
        high, low = density(up, rows), density(down, rows)
        slope = (high.value - low.value) / (2 * step)
        np.testing.assert_allclose(term.gradient[:, k], slope, rtol=1e-5, atol=1e-4)
        bend = (high.gradient - low.gradient) / (2 * step)
        np.testing.assert_allclose(term.hessian[:, k], bend, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("options", OPTIONS)
def test_modes_are_the_highest_that_a_generic_optimiser_finds(options):
    model, data, _ = problem(2, **options)
    projected = model.density.project(data.y)
    found = find_modes(model, data)
    density = log_posterior(model, projected, data.phi, jacobian=False, order=0)
    rng = np.random.default_rng(1)
    for i in range(len(data.y)):
        starts = rng.normal(0, 1, (8, found.x.shape[1]))
        best = min(
            (
                minimize(
                    lambda x, i=i: -density(x[None], np.array([i])).value[0],
                    start,
                    method="Nelder-Mead",
                    options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000},
                )
                for start in starts
            ),
            key=lambda one: one.fun,
        )
        assert found.maximum.value[i] >= -best.fun - 1e-7
        p, p_best = (unpack(model, x[None])[0][0] for x in (found.x[i], best.x))
        np.testing.assert_allclose(p, p_best, atol=2e-3)
    assert found.maximum.converged.all()


def test_wald_covariances_are_those_of_the_constrained_information():
    """``F^-1 - F^-1 1 1' F^-1 / 1' F^-1 1``: the inverse information given that shares sum to 1."""
    model, data, _ = problem(3, n=3)
    found = maximum_a_posteriori(model, data)
    pieces = evaluate(model.density, found.p, model.density.project(data.y), data.phi)
    for F, covariance in zip(model.information(pieces), found.covariance, strict=True):
        inverse = np.linalg.inv(F)
        of_sum = inverse.sum(axis=1)
        expected = inverse - np.outer(of_sum, of_sum) / of_sum.sum()
        np.testing.assert_allclose(covariance, expected, atol=1e-10)
        np.testing.assert_allclose(covariance.sum(axis=1), 0, atol=1e-10)


def test_a_power_of_the_likelihood_widens_wald_intervals_only():
    model, data, _ = problem(4)
    plain = maximum_a_posteriori(model, data)
    wide = maximum_a_posteriori(replace(model, power=0.25), data)
    np.testing.assert_allclose(wide.p, plain.p, atol=1e-6)
    np.testing.assert_allclose(wide.covariance, 4 * plain.covariance, rtol=1e-3, atol=1e-9)


def test_samples_do_not_know_each_other():
    model, data, _ = problem(5, n=5)
    whole = maximum_a_posteriori(model, data)
    order = np.array([3, 0, 4])
    some = maximum_a_posteriori(
        model, data._replace(y=data.y[order], phi=data.phi[order], unit=data.unit[order])
    )
    np.testing.assert_allclose(some.p, whole.p[order], atol=1e-9)
    np.testing.assert_allclose(some.log_likelihood, whole.log_likelihood[order], rtol=1e-10)


def test_units_of_a_bulk_do_not_matter_where_its_size_is_free():
    model, data, _ = problem(6, free_size=True)
    y, phi = data.y * data.unit[:, None], data.phi * data.unit
    plain = maximum_a_posteriori(model, model.data(y, phi))
    scaled = maximum_a_posteriori(model, model.data(100 * y, 100 * phi))
    np.testing.assert_allclose(scaled.p, plain.p, atol=1e-6)
    np.testing.assert_allclose(scaled.size, 100 * plain.size, rtol=1e-6)
    shift = y.shape[1] * np.log(100)  # the density of a bulk in another unit
    np.testing.assert_allclose(scaled.log_likelihood, plain.log_likelihood - shift, rtol=1e-7)


def test_an_unknown_noise_is_the_most_likely_one():
    model, data, _ = problem(7, n=3, phi=3.0)
    found = maximum_a_posteriori(model, data._replace(phi=np.full(3, np.nan)))
    for factor in (0.7, 1.4):
        other = maximum_a_posteriori(model, data._replace(phi=factor * found.phi))
        assert (other.log_likelihood < found.log_likelihood).all()
