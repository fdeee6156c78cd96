"""Sums of cell types: means add, intervals come from joint draws, groups are checked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.algebra.priors import Dirichlet
from bayesdecov.errors import InputError
from bayesdecov.results.sums import membership

GROUPS = {"A": ["type1", "type2"], "B": ["type3"]}


@pytest.fixture(scope="module")
def cohort():
    return bd.simulate.convolution(n_samples=8, n_genes=60, n_types=3, seed=1)


@pytest.fixture(scope="module")
def fit(cohort):
    reference = bd.Reference.from_samples(cohort.purified, cohort.labels)
    return bd.deconvolve(cohort.bulk, reference, "laplace", seed=1)


def test_means_and_draws_add(fit):
    found = fit.sum(GROUPS)
    expected = fit.proportions[["type1", "type2"]].sum(axis=1)
    np.testing.assert_allclose(found.proportions["A"], expected)
    joint = fit.draws.pooled[..., :2].sum(axis=2)
    np.testing.assert_allclose(found.draws.pooled[..., 0], joint)
    table = found.intervals().query("cell_type == 'A'")
    np.testing.assert_allclose(table["sd"], joint.std(axis=1, ddof=1))
    apart = fit.intervals().groupby("cell_type")["sd"].mean()
    assert table["sd"].mean() < apart["type1"] + apart["type2"]


def test_sums_of_map_and_of_baselines(cohort, fit):
    wald = bd.deconvolve(cohort.bulk, fit.reference).sum(GROUPS)
    M = np.array([1.0, 1.0, 0.0])
    variance = np.einsum("j,njk,k->n", M, wald.whole.covariance, M)
    np.testing.assert_allclose(wald.intervals().query("cell_type == 'A'")["sd"], np.sqrt(variance))
    none = bd.deconvolve(cohort.bulk, fit.reference, "nnls").sum(GROUPS)
    assert none.intervals()["sd"].isna().all()


def test_a_partition_keeps_a_prior_that_a_contrast_divides_out(fit):
    draws = fit.sum(GROUPS).posterior_draws()
    assert draws.prior == Dirichlet((1.0, 0.5))
    assert draws.shared.shape == (len(fit.shared_shift), 8, 2)
    assert fit.sum({"A": ["type1"]}).posterior_draws().prior is None
    groups = pd.DataFrame({"group": list("aabbaabb")}, index=fit.proportions.index)
    assert set(bd.contrast(fit.sum(GROUPS), groups, seed=1).table["cell_type"]) == {"A", "B"}


def test_groups_come_as_a_mapping_or_as_a_table():
    types = pd.Index(["type1", "type2", "type3"])
    expected = membership(GROUPS, types)
    table = pd.DataFrame({"cell_type": types, "group": ["A", "A", "B"]})
    pd.testing.assert_frame_equal(membership(table, types), expected)
    pd.testing.assert_frame_equal(membership(table.set_index("cell_type"), types), expected)
    series = table.set_index("cell_type")["group"]
    pd.testing.assert_frame_equal(membership(series, types), expected)
    some = membership(table.assign(group=["A", "A", None]), types)
    assert list(some.columns) == ["A"]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({}, "must name at least one group"),
        ({"A": ["type9"]}, "must consist of cell types of the result; found type9.*type1"),
        ({"A": []}, "must consist of cell types of the result; found no cell type"),
        ({"A": "type1"}, "must give a list of cell types for every group"),
        (7, "must be a mapping from groups to lists"),
        (pd.DataFrame(np.ones((2, 3))), "must have two columns"),
    ],
)
def test_wrong_groups_are_refused(groups, message):
    with pytest.raises(InputError, match=message):
        membership(groups, pd.Index(["type1", "type2"]))
