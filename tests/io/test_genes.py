"""Identifiers, spelling and alignment."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesdecov.errors import BayesdecovWarning, InputError, Notes
from bayesdecov.io.genes import align, drop_spike_ins, identifier_type, tidy_genes


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["ENSG00000139618", "ENSG00000141510.17"], "Ensembl gene id"),
        (["ENSMUSG00000017167", "ensmusg00000017168"], "Ensembl gene id"),
        (["ENST00000380152.8"], "Ensembl transcript id"),
        (["NM_000546.6", "XM_011541234"], "RefSeq id"),
        (["7157", "672", "675"], "Entrez id"),
        (["201746_at", "1007_s_at"], "array probe"),
        (["TP53", "HLA-A", "MT-CO1", "C1orf112"], "gene symbol"),
        (["??", "--"], "unrecognised name"),
    ],
)
def test_identifier_types(names, kind):
    assert identifier_type(pd.Index(names)) == kind


def _frame(genes, columns=("s1",)):
    values = np.arange(len(genes) * len(columns), dtype=float).reshape(len(genes), -1) + 1
    return pd.DataFrame(values, list(genes), list(columns))


def test_versions_go_and_duplicates_merge():
    notes = Notes()
    table = _frame(["ENSG00000139618.2", "ENSG00000141510.1", "ENSG00000141510.9"])
    with pytest.warns(BayesdecovWarning, match="1 repeated genes"):
        tidy = tidy_genes(table, "bulk", notes)
    assert tidy["s1"].to_dict() == {"ENSG00000139618": 1.0, "ENSG00000141510": 5.0}
    assert "version suffix removed from 3" in notes.lines[0]


def test_symbols_with_dots_keep_them():
    assert list(tidy_genes(_frame(["RP11-34P13.7", "A.1"]), "bulk", Notes()).index) == [
        "RP11-34P13.7",
        "A.1",
    ]


def test_spike_ins_go():
    notes = Notes()
    kept = drop_spike_ins(_frame(["ERCC-00002", "ERCC1", "TP53"]), "bulk", notes)
    assert list(kept.index) == ["ERCC1", "TP53"]  # ERCC1 is a gene
    assert "1 ERCC" in notes.lines[0]


def test_alignment_ignores_order_and_reports():
    notes = Notes()
    with pytest.warns(BayesdecovWarning, match="1 of 3 reference genes are missing"):
        _, shared, report = align(
            _frame(["c", "x", "a"]), pd.Index(["a", "b", "c"]), notes, at_least=2
        )
    assert list(shared) == ["a", "c"]
    assert (report.n_bulk, report.n_reference, report.n_shared) == (3, 3, 2)
    assert report.missing == ("b",)


@settings(max_examples=40, deadline=None)
@given(st.permutations(list("abcdefgh")))
def test_any_order_of_rows_gives_the_same(order):
    table = _frame("abcdefgh")
    _, shared, _ = align(table.loc[list(order)], pd.Index(list("bdh")), Notes(), at_least=2)
    assert list(shared) == ["b", "d", "h"]


def test_case_is_ignored_only_where_it_helps():
    notes = Notes()
    table, shared, _ = align(
        _frame(["Cd4", "Cd8a", "X"]), pd.Index(["CD4", "CD8A"]), notes, at_least=2
    )
    assert list(shared) == ["CD4", "CD8A"]
    assert table.loc["CD4", "s1"] == 1.0
    assert "upper and lower case" in notes.lines[0]


def test_no_overlap_says_what_to_do():
    with pytest.raises(InputError) as caught:
        align(
            _frame(["ENSG00000139618", "ENSG00000141510"]),
            pd.Index(["TP53", "BRCA2", "CD4"]),
            Notes(),
            at_least=3,
        )
    message = str(caught.value)
    for part in ("0 shared of 2 bulk genes (Ensembl gene ids", "3 reference genes (gene symbols",
                 "TP53", "ENSG00000139618", "onvert the bulk's"):  # fmt: skip
        assert part in message


def test_a_transposed_table_is_recognised():
    with pytest.raises(InputError, match="transpose it"):
        align(
            _frame(["s1", "s2"], ["TP53", "BRCA2", "CD4"]),
            pd.Index(["TP53", "BRCA2", "CD4"]),
            Notes(),
            at_least=3,
        )


def test_repeated_genes_are_added_up_whatever_their_order():
    rng = np.random.default_rng(0)
    names = rng.choice(list("abcdef"), 40)
    table = pd.DataFrame(rng.poisson(5, (40, 3)), names, list("xyz"), dtype=float)
    with pytest.warns(BayesdecovWarning, match="6 repeated genes merged"):
        found = tidy_genes(table, "bulk", Notes())
    for name in "abcdef":
        expected = sum(row for own, row in zip(names, table.to_numpy(), strict=True) if own == name)
        np.testing.assert_array_equal(found.loc[name], expected)
    assert list(found.index) == list(dict.fromkeys(names))


def test_rows_without_a_name_go_and_dates_are_said():
    table = _frame(["TP53", " ", "1-Mar", "Sept-2", "MARCH1", "DEC1"])
    notes = Notes()
    with (
        pytest.warns(BayesdecovWarning, match="1 rows without a gene name left out"),
        pytest.warns(BayesdecovWarning, match=r"2 gene names look like dates \(1-Mar, Sept-2\)"),
    ):
        found = tidy_genes(table, "bulk", notes)
    assert list(found.index) == ["TP53", "1-Mar", "Sept-2", "MARCH1", "DEC1"]
    assert len(notes.lines) == 2


def test_a_table_of_spike_ins_only_stays():
    notes = Notes()
    assert len(drop_spike_ins(_frame(["ERCC-00002", "ERCC-00003"]), "bulk", notes)) == 2
    assert notes.lines == []


def test_names_that_two_genes_share_but_for_their_case_are_not_guessed():
    """Abc and ABC are both in the bulk, so abc of the reference is neither."""
    with pytest.warns(BayesdecovWarning, match="1 of 3 reference genes are missing"):
        bulk, shared, _ = align(
            _frame(["Abc", "ABC", "Xy", "Z1"]), pd.Index(["abc", "XY", "z1"]), Notes(), at_least=2
        )
    assert list(shared) == ["XY", "z1"]
    assert bulk.loc["XY", "s1"] == 3.0
    assert {"Abc", "ABC"} <= set(bulk.index)


def test_names_that_are_found_as_they_are_are_not_folded():
    table = _frame(["a", "b", "C"])
    with pytest.warns(BayesdecovWarning, match="1 of 3 reference genes are missing"):
        bulk, shared, _ = align(table, pd.Index(["a", "b", "c"]), Notes(), at_least=2)
    assert list(shared) == ["a", "b"]
    assert list(bulk.index) == ["a", "b", "C"]
