"""A reference with one more type, and what resampled cohorts do to draws."""

from __future__ import annotations

import numpy as np
import pytest

import bayesdecov as bd
from bayesdecov.io.scale import per_million
from bayesdecov.unknown_content.cohort import observed
from bayesdecov.unknown_content.extended import log_odds_shifts, with_profile
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


def test_shifts_are_those_of_the_log_odds_of_other_cells_alone():
    share = np.array([0.2, 0.0])
    replicates = np.array([[0.3, 0.1], [0.1, 0.0], [0.2, 0.5]])
    found = log_odds_shifts(share, replicates, 4)
    assert found.shape == (3, 2, 4)
    assert (found[..., :-1] == 0).all()
    assert found[0, 0, -1] == pytest.approx(np.log(0.3 / 0.7) - np.log(0.2 / 0.8))
    assert found[1, 1, -1] == 0  # nothing is seen in either
