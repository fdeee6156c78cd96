"""The variance of counts against counts that are drawn, and where nothing is expected."""

from __future__ import annotations

import numpy as np

from bayesdecov.algebra.counting import RESOLUTION, counting_variance


def test_it_is_the_variance_of_counts_in_their_unit_and_of_what_a_count_resolves():
    """100,000 counts a gene, judged in 4.5 standard errors."""
    rng = np.random.default_rng(0)
    phi, mean = np.array([0.1, 2.0]), np.array([[0.5, 3.0, 40.0], [5.0, 0.4, 100.0]])
    counts = rng.poisson(mean / phi[:, None], (100_000, 2, 3)) * phi[:, None]
    squares = np.square(counts - mean)
    error = squares.std(axis=0) / np.sqrt(100_000)
    found = counting_variance(phi, mean) - RESOLUTION * np.square(phi)[:, None]
    assert (np.abs(squares.mean(axis=0) - found) < 4.5 * error).all()


def test_where_nothing_is_expected_a_constant_is_left():
    phi = np.array([0.3, 2.0])
    found = counting_variance(phi, np.zeros((2, 4)))
    np.testing.assert_allclose(found, np.tile([[0.25 * 0.09], [0.25 * 4.0]], 4), rtol=1e-12)
    # half a count to either side, as a standard deviation
    np.testing.assert_allclose(np.sqrt(found[:, 0]), phi / 2)


def test_bulks_that_were_not_counted_have_no_counting_noise():
    np.testing.assert_array_equal(counting_variance(np.zeros(2), np.ones((2, 3))), 0)


def test_units_square_and_samples_and_genes_are_on_their_own():
    rng = np.random.default_rng(1)
    phi, mean = rng.uniform(0.1, 1, 3), rng.gamma(2.0, 5.0, (3, 4))
    base = counting_variance(phi, mean)
    np.testing.assert_allclose(counting_variance(1e3 * phi, 1e3 * mean), 1e6 * base, rtol=1e-12)
    genes, samples = np.array([2, 0, 3, 1]), np.array([1, 2, 0])
    moved = counting_variance(phi[samples], mean[samples][:, genes])
    np.testing.assert_allclose(moved, base[samples][:, genes], rtol=1e-14)
