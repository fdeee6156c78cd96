"""A cell type left out of the reference: who takes its share, and whether anybody notices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.errors import InputError


@pytest.fixture(scope="module")
def table():
    """Types 1 and 2 are nearly alike; type 3 has genes of its own."""
    rng = np.random.default_rng(1)
    mean = rng.gamma(2.0, 5.0, (30, 3))
    mean[:, 1] = mean[:, 0] * rng.uniform(0.9, 1.1, 30)
    mean[20:, 2] *= 10
    genes, types = [f"g{i}" for i in range(30)], ["alike", "twin", "apart"]
    exact = bd.Reference.from_moments(
        pd.DataFrame(mean, genes, types), np.stack([0.2 * np.eye(30)] * 3)
    )
    p = rng.dirichlet([5, 5, 5], 6)
    bulk = pd.DataFrame(mean @ p.T + 0.1 * rng.normal(size=(30, 6)), genes).clip(lower=0)
    fit = bd.deconvolve(bulk.set_axis([f"s{i}" for i in range(6)], axis=1), exact)
    return fit.leave_one_type_out(), fit


def test_what_is_missing_is_taken_over_by_the_others_as_a_whole(table):
    found, fit = table
    assert list(found["left_out"].unique()) == ["alike", "twin", "apart"]
    np.testing.assert_allclose(found.groupby("left_out")["absorbed"].sum(), 1)
    share = found.groupby("left_out", sort=False)["mean_share"].first()
    np.testing.assert_allclose(share, fit.proportions.mean(), atol=1e-6)


def test_a_twin_takes_all_and_a_type_apart_is_missed(table):
    found = table[0].set_index(["left_out", "cell_type"])
    assert found.loc[("twin", "alike"), "absorbed"] > 0.9
    assert found.loc[("alike", "twin"), "absorbed"] > 0.9
    missed = found["misfit_ratio"].groupby("left_out").first()
    assert missed["apart"] > 10 * missed["twin"] > 0


def test_two_cell_types_are_too_few(table):
    reference = table[1].reference
    two = bd.Reference.from_moments(reference.mean[["alike", "apart"]], np.stack([np.eye(30)] * 2))
    fit = bd.deconvolve(table[1].bulk, two)
    with pytest.raises(InputError, match="needs at least three cell types"):
        fit.leave_one_type_out()
