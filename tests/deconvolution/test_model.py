"""The model against the multivariate normal written out, and data in its units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import multivariate_normal, multivariate_t

from bayesdecov.algebra.density import evaluate
from bayesdecov.deconvolution.model import EQ8, likelihood_covariance, model_of
from tests.deconvolution.problems import covariance, problem, reference_of


def log_density(model, data, q):
    pieces = evaluate(model.density, q, model.density.project(data.y), data.phi, order=0)
    return model.target(pieces).value


@pytest.mark.parametrize("noise", ["none", "counting"])
def test_the_target_is_the_normal_density(noise):
    model, data, p = problem(1, noise=noise)
    normal = [multivariate_normal(model.mu @ q, covariance(model, q, data.phi[0])) for q in p]
    expected = [law.logpdf(y) for law, y in zip(normal, data.y, strict=True)]
    np.testing.assert_allclose(log_density(model, data, p), expected, rtol=1e-10)


def test_equation_8_takes_the_log_determinant_off_once_more_and_a_power_scales():
    model, data, p = problem(2)
    plain = log_density(model, data, p)
    logdet = [np.linalg.slogdet(covariance(model, q, data.phi[0]))[1] for q in p]
    paper = replace(model, logdet_weight=EQ8)
    assert paper.of_paper
    assert not model.of_paper
    np.testing.assert_allclose(log_density(paper, data, p), plain - np.multiply(0.5, logdet))
    np.testing.assert_allclose(log_density(replace(model, power=0.3), data, p), 0.3 * plain)


def test_degrees_of_freedom_make_it_a_multivariate_t():
    model, data, p = problem(3, df=5.0)
    expected = [
        multivariate_t(model.mu @ q, covariance(model, q, data.phi[0]), df=5.0).logpdf(y)
        for q, y in zip(p, data.y, strict=True)
    ]
    np.testing.assert_allclose(log_density(model, data, p), expected, rtol=1e-10)


def test_replicates_add_the_uncertainty_of_the_means():
    few, many = reference_of(4, replicates=2), reference_of(4, replicates=0)  # 0: means are exact
    Sigma = many.covariance.matrix(1)
    np.testing.assert_allclose(likelihood_covariance(few, "none").matrix(1), 1.5 * Sigma)
    np.testing.assert_allclose(likelihood_covariance(many, "none").matrix(1), Sigma)


def test_a_free_size_factor_takes_the_unit_out_of_a_bulk():
    model = model_of(reference_of(5), "counting", free_size=True)
    y = np.random.default_rng(0).gamma(3.0, 3.0, (3, len(model.mu)))
    phi = np.array([0.1, 0.2, np.nan])
    data, scaled = model.data(y, phi), model.data(7 * y, 7 * phi)
    np.testing.assert_allclose(scaled.unit, 7 * data.unit)
    np.testing.assert_allclose(scaled.y, data.y)
    np.testing.assert_allclose(scaled.phi, data.phi)
    np.testing.assert_allclose(data.y * data.unit[:, None], y)
    fixed = replace(model, free_size=False).data(y, phi)
    np.testing.assert_array_equal(fixed.y, y)
    assert (fixed.unit == 1).all()


def test_rows_are_the_samples_with_all_that_is_known_of_them():
    _, data, _ = problem(6)
    shift = np.arange(24.0).reshape(2, 4, 3)
    part = data._replace(shared_shift=shift).rows(1, 3)
    np.testing.assert_array_equal(part.y, data.y[1:3])
    np.testing.assert_array_equal(part.shared_shift, shift[:, 1:3])
    assert data.rows(0, 1).shared_shift is None


def test_the_density_of_single_genes_has_the_same_value():
    model, data, p = problem(7, noise="none")
    pieces = evaluate(model.genewise, p, model.genewise.project(data.y), data.phi, order=0)
    np.testing.assert_allclose(model.target(pieces).value, log_density(model, data, p))
