"""Priors that are in draws, against scipy's densities; shifts taken back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import dirichlet, multivariate_normal

from bayesdecov.algebra.priors import Dirichlet, SoftmaxNormal
from bayesdecov.algebra.simplex import log_ratio_basis, shift_log_ratios, to_cells
from bayesdecov.results.posterior_draws import (
    LEAST,
    PosteriorDraws,
    before_shift,
    no_posterior,
    no_prior,
)

NAMES = pd.Index(["a", "b", "c", "d"])


def draws_with(prior, per_cell=None):
    return PosteriorDraws(np.empty((1, 0, 4)), pd.Index(["s"]), NAMES, prior, per_cell, "fractions")


def points(seed=1):
    return np.random.default_rng(seed).dirichlet(np.full(4, 2.0), (3, 5))


@pytest.mark.parametrize("alpha", [1.0, 0.5, (2.0, 1.0, 0.3, 5.0)])
def test_a_dirichlet_is_a_density_of_log_ratios(alpha):
    p = points()
    found = draws_with(Dirichlet(alpha)).log_prior(p)
    assert found.shape == (3, 5)
    law = dirichlet(np.broadcast_to(alpha, 4))
    # the determinant of dp / d(log-ratios) is the product of all proportions
    slow = np.array([[law.logpdf(each) + np.log(each).sum() for each in row] for row in p])
    np.testing.assert_allclose(found - found[0, 0], slow - slow[0, 0], atol=1e-9)


@pytest.mark.parametrize("scale", [0.3, 1.5])
def test_a_softmax_normal_is_a_normal_of_isometric_log_ratios(scale):
    p = points(2)
    found = draws_with(SoftmaxNormal(scale)).log_prior(p)
    law = multivariate_normal(np.zeros(3), scale**2 * np.eye(3))
    slow = law.logpdf(np.log(p) @ log_ratio_basis(4))
    np.testing.assert_allclose(found - found[0, 0], slow - slow[0, 0], atol=1e-9)


@pytest.mark.parametrize("prior", [Dirichlet((2.0, 1.0, 0.3, 5.0)), SoftmaxNormal(0.7)])
def test_fractions_of_cells_have_the_prior_of_their_fractions_of_mrna(prior):
    per_cell = np.array([1.0, 2.0, 0.5, 4.0])
    p = points(3)
    cells = to_cells(p, per_cell)
    found = draws_with(prior, per_cell).log_prior(cells)
    np.testing.assert_allclose(found, draws_with(prior).log_prior(p), rtol=1e-9)
    same = draws_with(prior, np.full(4, 7.0)).log_prior(p)
    np.testing.assert_allclose(same, draws_with(prior).log_prior(p), rtol=1e-9)


def test_a_proportion_of_zero_has_the_density_of_the_smallest_one():
    p = np.array([[0.0, 0.2, 0.3, 0.5], [LEAST, 0.2, 0.3, 0.5]])
    for prior in (Dirichlet(2.0), SoftmaxNormal()):
        found = draws_with(prior).log_prior(p)
        assert np.isfinite(found).all()
        assert found[0] == found[1]


@pytest.mark.parametrize("per_cell", [None, np.array([1.0, 2.0, 0.5, 4.0])])
def test_draws_before_a_shift_are_what_was_shifted(per_cell):
    p = np.random.default_rng(4).dirichlet(np.full(4, 2.0), (2, 3, 7))
    shift = np.random.default_rng(5).normal(size=(5, 2, 4))
    shifted = shift_log_ratios(p, shift)
    reported = shifted if per_cell is None else to_cells(shifted, per_cell)
    found = before_shift(reported, shift, per_cell)
    expected = p if per_cell is None else to_cells(p, per_cell)
    np.testing.assert_allclose(found, expected.reshape(2, 21, 4), rtol=1e-9)
    assert before_shift(reported, None, per_cell) is None


def test_what_is_missing_is_named_with_what_to_do():
    assert str(no_prior("fit")) == (
        "fit: must have a prior that can be divided out; found 'decovart'. "
        "Deconvolve with prior='flat'."
    )
    assert str(no_posterior("run", "map")) == (
        "run: must have a posterior; found method='map'. "
        "Deconvolve with method 'laplace' or 'nuts'."
    )
