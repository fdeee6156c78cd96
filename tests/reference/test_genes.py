"""Which genes a reference keeps: by name, by number, by level."""

from __future__ import annotations

import pytest

from bayesdecov.errors import BayesdecovWarning, InputError
from bayesdecov.reference.build import from_samples
from tests.reference.test_build import purified


def test_genes_by_name_keep_their_order_and_silent_ones_go():
    table, labels = purified()
    table.loc["g5"] = 0
    wanted = ["g9", "g1", "g5", "g20", "g3"]
    with pytest.warns(BayesdecovWarning, match=r"1 genes are zero in every cell type .*: g5"):
        made = from_samples(table, labels, "diagonal", wanted, None, False)
    assert list(made["mean"].index) == ["g9", "g1", "g20", "g3"]
    assert made["settings"]["markers"] == "4 given by name"
    everything = from_samples(table, labels, "diagonal", 1000, None, False)
    assert list(everything["mean"].index) == [g for g in table.index if g != "g5"]


@pytest.mark.parametrize(("genes", "said"), [
    ("g1", "must be a number, a list of gene names or None; found 'g1'"),
    (True, "must be a number, a list of gene names or None; found True"),
    (2, "must be a whole number >= 3; found 2"),
    (7.0, "must be a whole number >= 3; found 7.0"),
    (["g1", "g2", "g1", "g3"], "gene names must be unique; found 1 repeated: g1"),
    (["g1", "x", "g2", "y"], "must all be in the table; found missing x, y"),
    (["g1", "g2"], "found 2 genes and 3 cell types"),
])  # fmt: skip
def test_genes_that_cannot_be_meant(genes, said):
    table, labels = purified()
    with pytest.raises(InputError) as caught:
        from_samples(table, labels, "diagonal", genes, None, False)
    assert caught.value.argument == "genes"
    assert said in str(caught.value)


def test_every_level_has_an_equal_share_of_the_markers():
    table, labels = purified(n_genes=60)
    parents = {"T": "lymphocyte", "B": "lymphocyte"}
    made = from_samples(table, labels, "diagonal", 20, None, False, parents)
    plain = from_samples(table, labels, "diagonal", 10, None, False)
    assert plain["mean"].index.isin(made["mean"].index).all()
    assert 10 < len(made["mean"]) <= 20
    root = from_samples(
        table, labels, "diagonal", 20, None, False, {**parents, "M": "all", "lymphocyte": "all"}
    )
    assert root["mean"].index.equals(made["mean"].index)  # a level of one group has no markers
    assert "of 2 levels" in made["settings"]["markers"]
    assert made["hierarchy"] == parents
