"""A reference with one more type, and what resampled cohorts do to draws."""

from __future__ import annotations

import numpy as np
import pytest

import bayesdecov as bd
from bayesdecov.algebra.simplex import shift_log_odds
from bayesdecov.io.scale import per_million
from bayesdecov.unknown_content.cohort import observed
from bayesdecov.unknown_content.extended import wider, with_profile
from bayesdecov.unknown_content.profile import Profile


@pytest.mark.parametrize("covariance", ["factor", "shrinkage"])
def test_markers_of_foreign_cells_are_added(covariance):
    data = bd.simulate.tissue(6, 400, seed=1)
    reference = bd.Reference.from_samples(data.purified, data.labels, covariance, genes=80)
    whole, _ = per_million(data.bulk)
    cohort = observed(whole, np.ones(6), reference)
    outside = np.flatnonzero(~cohort.genes.isin(reference.genes))
    h, one = cohort.level.copy(), np.ones(len(cohort.level))
    h[outside[:7]] = 20 * cohort.mu[outside[:7]].max(axis=1)
    shift = 0.1 * cohort.level
    found = with_profile(reference, cohort, Profile(h, 4 * one, 5 * one, shift, one))
    assert list(found.cell_types) == [*reference.cell_types, "other"]
    assert set(found.genes[len(reference.genes) :]) == set(cohort.genes[outside[:7]])
    old = reference.genes
    expected = reference.mean.to_numpy() + shift[cohort.genes.get_indexer(old)][:, None]
    np.testing.assert_allclose(found.mean.loc[old, reference.cell_types], expected)
    for j, name in enumerate(reference.cell_types):
        full = found.covariance_of(name)
        np.testing.assert_allclose(full.loc[old, old], reference.covariance.matrix(j))
        new = found.genes[len(old) :]
        np.testing.assert_array_equal(full.loc[new, old], 0.0)
        assert (np.diag(full.loc[new, new]) > 0).all()
    np.testing.assert_allclose(found.covariance_of("other"), 9 * np.eye(len(found.genes)))


def test_shifted_log_odds_keep_the_simplex_and_the_ratios_of_known_types():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), (3, 2, 10))
    shift = rng.normal(0, 0.2, (5, 3))
    found = shift_log_odds(p, shift)
    np.testing.assert_allclose(found.sum(axis=-1), 1)
    assert (found >= 0).all()
    np.testing.assert_allclose(found[..., 0] / found[..., 1], p[..., 0] / p[..., 1])
    odds = found[..., -1] / (1 - found[..., -1]) / (p[..., -1] / (1 - p[..., -1]))
    np.testing.assert_allclose(np.log(odds[1, 0, 7]), shift[2, 1])
    np.testing.assert_allclose(shift_log_odds(found, -shift), p)


def test_wider_is_the_covariance_of_shift_log_odds():
    rng = np.random.default_rng(0)
    p = np.array([[0.3, 0.3, 0.4]])
    shift = rng.normal(0, 0.02, (4000, 1))
    draws = shift_log_odds(np.broadcast_to(p[:, None], (1, 4000, 3)), shift)
    expected = np.cov(draws[0].T)
    found = wider(np.zeros((1, 3, 3)), p, shift)[0]
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=1e-7)
