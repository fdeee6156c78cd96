"""Bulk and reference on one scale: counts, totals, and what is pointed out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.deconvolution.align import align_bulk
from bayesdecov.errors import BayesdecovWarning, InputError, Notes


@pytest.fixture(scope="module")
def counted():
    data = bd.simulate.tissue(6, 120, replicates=4, seed=1)
    return data.bulk, bd.Reference.from_samples(data.purified, data.labels, "diagonal", genes=40)


def aligned(bulk, reference):
    return align_bulk(bulk, reference, assume_linear=False, notes=Notes())


def test_counts_become_counts_per_million_of_shared_genes(counted):
    bulk, reference = counted
    found = aligned(bulk, reference)
    expected = bulk / bulk.sum() * 1e6
    pd.testing.assert_frame_equal(
        found.whole, expected.loc[found.whole.index], check_dtype=False, check_names=False
    )
    np.testing.assert_allclose(found.phi, 1e6 / bulk.sum())  # a count in this unit
    assert found.same_scale
    assert set(found.shared) == set(reference.genes)


def test_order_of_genes_does_not_matter_and_depth_changes_the_noise_only(counted):
    bulk, reference = counted
    plain = aligned(bulk, reference)
    shuffled = aligned(bulk.sample(frac=1, random_state=0), reference)
    pd.testing.assert_frame_equal(
        shuffled.whole.loc[plain.whole.index], plain.whole, check_exact=False
    )
    deeper = aligned(3 * bulk, reference)
    pd.testing.assert_frame_equal(deeper.whole, plain.whole, check_exact=False)
    np.testing.assert_allclose(deeper.phi, plain.phi / 3)


def test_moments_that_are_exact_leave_the_bulk_as_it_is(counted):
    bulk, reference = counted
    exact = bd.Reference.from_moments(
        reference.mean,
        np.stack([np.eye(40)] * 4)
        if reference.mean.shape[1] == 4
        else np.stack([np.eye(40)] * reference.mean.shape[1]),
    )
    found = aligned(bulk, exact)
    pd.testing.assert_frame_equal(
        found.whole.loc[found.shared], bulk.loc[found.shared], check_dtype=False, check_names=False
    )
    assert np.isnan(found.phi).all()


def test_a_reference_as_bulk_and_silent_samples_are_pointed_out(counted):
    bulk, reference = counted
    with pytest.warns(BayesdecovWarning, match="bulk samples and cell types share names"):
        aligned(bulk.set_axis([*reference.cell_types[:2], *bulk.columns[2:]], axis=1), reference)
    silent = bulk.copy()
    silent.loc[reference.genes, bulk.columns[1]] = 0
    with pytest.raises(InputError, match=f"only zeros in {bulk.columns[1]}"):
        aligned(silent, reference)


def test_counts_on_one_side_only_have_no_common_scale(counted):
    bulk, reference = counted
    with pytest.warns(BayesdecovWarning, match="the bulk is not counts"):
        found = aligned(bulk / bulk.sum() * 1e6 + 1e-3, reference)
    assert not found.same_scale
    assert "counts on one side only" in found.said
