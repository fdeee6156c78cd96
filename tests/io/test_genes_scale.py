"""Identifiers, alignment and the scale detector."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning, InputError, Notes
from bayesdecov.io.genes import align, drop_spike_ins, identifier_type, tidy_genes
from bayesdecov.io.scale import counting_unit, detect_scale, per_million, require_linear


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
        "RP11-34P13.7", "A.1",
    ]  # fmt: skip


def test_spike_ins_go():
    notes = Notes()
    kept = drop_spike_ins(_frame(["ERCC-00002", "ERCC1", "TP53"]), "bulk", notes)
    assert list(kept.index) == ["ERCC1", "TP53"]  # ERCC1 is a gene
    assert "1 ERCC" in notes.lines[0]


def test_alignment_ignores_order_and_reports():
    notes = Notes()
    with pytest.warns(BayesdecovWarning, match="1 of 3 reference genes are missing"):
        _, shared, report = align(_frame(["c", "x", "a"]), pd.Index(["a", "b", "c"]), notes,
                                  at_least=2)  # fmt: skip
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
    table, shared, _ = align(_frame(["Cd4", "Cd8a", "X"]), pd.Index(["CD4", "CD8A"]), notes,
                             at_least=2)  # fmt: skip
    assert list(shared) == ["CD4", "CD8A"]
    assert table.loc["CD4", "s1"] == 1.0
    assert "upper and lower case" in notes.lines[0]


def test_no_overlap_says_what_to_do():
    with pytest.raises(InputError) as caught:
        align(_frame(["ENSG00000139618", "ENSG00000141510"]), pd.Index(["TP53", "BRCA2", "CD4"]),
              Notes(), at_least=3)  # fmt: skip
    message = str(caught.value)
    for part in ("0 shared of 2 bulk genes (Ensembl gene ids", "3 reference genes (gene symbols",
                 "TP53", "ENSG00000139618", "onvert the bulk's"):  # fmt: skip
        assert part in message


def test_a_transposed_table_is_recognised():
    with pytest.raises(InputError, match="transpose it"):
        align(_frame(["s1", "s2"], ["TP53", "BRCA2", "CD4"]), pd.Index(["TP53", "BRCA2", "CD4"]),
              Notes(), at_least=3)  # fmt: skip


def _cohort(**options):
    return bd.simulate.convolution(n_genes=400, n_samples=6, n_types=3, seed=3, **options)


def test_scales_are_told_apart():
    counts = _cohort(depth=1e5).bulk
    tpm, _ = per_million(_cohort().bulk)
    assert detect_scale(counts).kind == "counts"
    assert detect_scale(tpm).kind == "per million"
    assert detect_scale(_cohort().bulk).kind == "linear"
    for logged in (np.log2(tpm + 1), np.log1p(tpm / 100), np.log10(tpm + 1), np.log2(counts + 1)):
        assert detect_scale(logged).kind == "log"


def test_rounded_cpm_is_not_counts_and_shallow_counts_are():
    rounded = per_million(_cohort(depth=3e3).bulk)[0].round()
    assert detect_scale(rounded).kind == "per million"
    assert detect_scale(_cohort(depth=500).bulk).kind == "counts"


def test_small_tables_are_never_called_logarithms():
    assert detect_scale(pd.DataFrame({"s": [20.5, 22.1]}, ["a", "b"])).kind == "linear"


def test_logs_are_refused_unless_insisted_upon():
    logged = detect_scale(np.log2(per_million(_cohort().bulk)[0] + 1))
    with pytest.raises(InputError, match="2\\*\\*table - 1"):
        require_linear(logged, "bulk", Notes(), assume_linear=False)
    with pytest.warns(BayesdecovWarning, match="taken as linear"):
        assert require_linear(logged, "bulk", Notes(), assume_linear=True).kind == "linear"


def test_one_count_is_found_in_normalised_counts():
    counts = _cohort(depth=5e4).bulk
    scaled, totals = per_million(counts)
    np.testing.assert_allclose(counting_unit(scaled), 1e6 / totals, rtol=1e-9)
    assert counting_unit(_cohort().bulk).isna().all()
