"""Scores of gene sets against plain loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.baselines import SCORES, score
from bayesdecov.errors import InputError


@pytest.fixture
def table():
    values = np.random.default_rng(1).gamma(1.0, 20.0, (60, 5)).round(3)
    return pd.DataFrame(values, [f"g{i}" for i in range(60)], list("abcde"))


SETS = {"first": ["g0", "g7", "g33"], "second": [f"g{i}" for i in range(20, 40)]}


def test_mcpcounter(table):
    found = score(table, SETS, "mcpcounter")
    expected = np.mean([np.log2(1 + table.loc[gene, "c"]) for gene in SETS["first"]])
    assert found.loc["c", "first"] == pytest.approx(expected)


def test_ssgsea_is_the_walk_down_the_list(table):
    found = score(table, SETS, "ssgsea")
    for sample in table:
        genes = table[sample].sort_values(ascending=False).index
        for name, members in SETS.items():
            rank = {gene: len(genes) - i for i, gene in enumerate(genes)}
            total = sum(rank[gene] ** 0.25 for gene in members)
            inside = outside = walk = 0.0
            for gene in genes:
                if gene in members:
                    inside += rank[gene] ** 0.25 / total
                else:
                    outside += 1 / (len(genes) - len(members))
                walk += inside - outside
            assert found.loc[sample, name] == pytest.approx(walk / len(genes))


def test_scores_follow_the_proportions():
    cohort = bd.simulate.convolution(n_samples=30, n_genes=300, n_types=3, seed=4)
    profile = cohort.mean.div(cohort.mean.sum(axis=1), axis=0)
    markers = {name: list(profile[name].nlargest(15).index) for name in profile}
    for method in SCORES:
        found = score(cohort.bulk, markers, method)
        for name in markers:
            r = found[name].corr(cohort.proportions[name].loc[found.index])
            assert r > 0.7


def test_gene_sets_of_a_file(table, tmp_path):
    path = tmp_path / "sets.gmt"
    path.write_text("first\tsaid\tg0\tg7\tg33\tg0\nnone\tsaid\tx\ty\n")
    with pytest.warns(bd.BayesdecovWarning, match="1 gene sets have no gene .*: none"):
        found = score(table, path)
    assert np.allclose(found["first"], score(table, SETS)["first"])


@pytest.mark.parametrize(("sets", "said"), [
    ({"a": ["x"]}, "must share genes"), ({}, "must map names"), ({"a": "g0"}, "a list of genes"),
    ({"a": []}, "must not be empty"), ("nowhere.gmt", "does not exist"), (5, "must map names"),
])  # fmt: skip
def test_bad_sets(table, sets, said):
    with pytest.raises(InputError, match=said):
        score(table, sets)


@pytest.mark.parametrize(("text", "said"), [
    ("first g0 g7\n", "line 1 of 'x.gmt' must be a name, a description and genes"),
    ("a\tb\tg0\na\tb\tg1\n", "names of gene sets must be unique; found 'a'"),
    ("\n", "contains no gene sets"),
])  # fmt: skip
def test_bad_files(table, tmp_path, text, said):
    (tmp_path / "x.gmt").write_text(text)
    with pytest.raises(InputError, match=said):
        score(table, tmp_path / "x.gmt")


def test_bad_method(table):
    with pytest.raises(InputError, match="method: must be one of 'mcpcounter', 'ssgsea'"):
        score(table, SETS, "xcell")
