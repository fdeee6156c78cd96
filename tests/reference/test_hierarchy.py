"""Hierarchies of cell types: levels, groups, markers of every level, and what is no hierarchy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning, InputError, Notes
from bayesdecov.reference.hierarchy import as_hierarchy, groups_at, levels

TYPES = pd.Index(["naive", "memory", "CD8", "B", "mono"])
PARENTS = {"naive": "CD4", "memory": "CD4", "CD4": "T", "CD8": "T", "T": "lymphocyte",
           "B": "lymphocyte"}  # fmt: skip


def test_levels_from_the_coarsest_to_the_finest():
    assert levels(TYPES, PARENTS) == [
        ["lymphocyte"] * 4 + ["mono"],
        ["T", "T", "T", "B", "mono"],
        ["CD4", "CD4", "CD8", "B", "mono"],
    ]
    assert levels(TYPES, {"naive": "CD4", "memory": "CD4"}) == [["CD4", "CD4", *TYPES[2:]]]


def test_groups_by_number_and_by_name():
    assert groups_at(1, TYPES, PARENTS) == {"T": [*TYPES[:3]], "B": ["B"], "mono": ["mono"]}
    assert groups_at(3, TYPES, PARENTS) == {name: [name] for name in TYPES}
    assert groups_at("CD4", TYPES, PARENTS) == {
        "CD4": ["naive", "memory"], "CD8": ["CD8"], "B": ["B"], "mono": ["mono"],
    }  # fmt: skip
    for wrong, found in ((4, "at most 3"), ("NK", "one of"), (-1, "level")):
        with pytest.raises(InputError, match=found):
            groups_at(wrong, TYPES, PARENTS)


def test_tables_and_series_are_taken_and_gaps_left_out():
    table = pd.DataFrame({"parent": [" CD4", "CD4 ", None, ""]}, ["naive", "memory ", "CD8", "B"])
    assert as_hierarchy(table, TYPES) == {"naive": "CD4", "memory": "CD4"}
    assert as_hierarchy(table["parent"], TYPES) == {"naive": "CD4", "memory": "CD4"}


def test_branches_without_cells_are_left_out_where_that_can_be_said():
    with pytest.warns(BayesdecovWarning, match="no cells of NK"):
        found = as_hierarchy(PARENTS | {"NK": "innate", "innate": "all"}, TYPES, Notes())
    assert found == PARENTS
    table = pd.DataFrame({"type": ["naive", "memory"], "parent": ["CD4", "CD4"]})
    assert as_hierarchy(table, TYPES) == {"naive": "CD4", "memory": "CD4"}


@pytest.mark.parametrize(("wrong", "message"), [
    ({"naive": "CD4", "CD4": "naive"}, "in circles; found CD4 -> naive -> CD4|naive -> CD4"),
    ({"NK": "lymphocyte"}, "must end in cell types; found NK"),
    ({}, "must end in cell types; found no names"),
    ({"naive": "B"}, "must not have a cell type as a parent; found B"),
    (["naive", "CD4"], "must map names"),
    (pd.DataFrame({"a": ["x"], "b": ["y"]}, ["naive"]), "two columns"),
    (pd.Series(["x", "y"], ["naive", "naive"]), "unique"),
])  # fmt: skip
def test_what_is_no_hierarchy(wrong, message):
    with pytest.raises(InputError, match=rf"^hierarchy: .*({message})"):
        as_hierarchy(wrong, TYPES)


def test_every_level_gets_markers_and_sums_are_better():
    """A gene of a lineage is a marker of none of its cell types, which all have it."""
    off = {True: [], False: []}
    for seed in range(3):
        data = bd.simulate.tissue(12, 1500, replicates=3, sibling_fold=2.0, seed=seed)
        truth = data.proportions.T.groupby(data.lineages).sum().T
        for hierarchy in (None, data.lineages):
            reference = bd.Reference.from_samples(
                data.purified, data.labels, "diagonal", genes=120, hierarchy=hierarchy
            )
            fit = bd.deconvolve(data.bulk, reference)
            groups = truth.columns
            found = fit.sum(
                {g: [t for t, own in data.lineages.items() if own == g] for g in groups}
            )
            off[hierarchy is None].append(np.square(found.proportions - truth).to_numpy().mean())
            if hierarchy is not None:
                assert "2 levels" in reference.settings["markers"]
                same = fit.at_level(0).proportions[found.proportions.columns]
                np.testing.assert_allclose(same, found.proportions)
    assert np.mean(off[False]) < 0.7 * np.mean(off[True])


def test_a_hierarchy_is_saved_and_asked_for(tmp_path):
    data = bd.simulate.tissue(3, 200, replicates=3, seed=0)
    options = {"covariance": "diagonal", "genes": 80}
    made = bd.Reference.from_samples(data.purified, data.labels, hierarchy=data.lineages, **options)
    made.save(tmp_path / "r.nc")
    again = bd.Reference.load(tmp_path / "r.nc")
    assert again.hierarchy == data.lineages
    fit = bd.deconvolve(data.bulk, again)
    assert fit.at_level("T cell").proportions.shape == (3, 7)
    plain = bd.deconvolve(
        data.bulk, bd.Reference.from_samples(data.purified, data.labels, **options)
    )
    with pytest.raises(InputError, match="needs a reference with a hierarchy"):
        plain.at_level(0)
