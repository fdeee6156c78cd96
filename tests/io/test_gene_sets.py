"""Gene sets from GMT files and mappings, and what of them is measured."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.errors import InputError
from bayesdecov.io.gene_sets import gene_sets, known_genes, read_gmt


def write(sets, path):
    lines = ["\t".join([name, "about it", *genes]) for name, genes in sets.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_what_was_written_is_read_in_any_dress(tmp_path):
    rng = np.random.default_rng(0)
    sets = {
        f"SET {i} β": [f"g{k}" for k in rng.permutation(50)[: rng.integers(1, 20)]]
        for i in range(12)
    }
    path = write(sets, tmp_path / "a.gmt")
    assert read_gmt(path) == gene_sets(str(path), "sets") == gene_sets(sets, "sets") == sets
    text = path.read_text(encoding="utf-8")
    path.write_bytes(("\ufeff" + text.replace("\n", "\t\t\r\n\r\n")).encode())
    assert read_gmt(path) == sets
    assert list(read_gmt(path)) == list(sets)


def test_a_gene_twice_counts_once_and_spaces_go(tmp_path):
    sets = {"a": ["x", " y", "x ", "z", "y"]}
    assert (
        gene_sets(sets, "sets")
        == read_gmt(write(sets, tmp_path / "a.gmt"))
        == {"a": ["x", "y", "z"]}
    )
    assert gene_sets({5: (7, 7, 8)}, "sets") == {"5": ["7", "8"]}
    assert gene_sets({"a": {"x": 1, "y": 2}}, "sets") == {"a": ["x", "y"]}


@pytest.mark.parametrize(("text", "said"), [
    ("", "contains no gene sets"), ("\n \n", "contains no gene sets"),
    ("a\tb\n", "line 1 of 'a.gmt' must be a name, a description and genes; found 'a"),
    ("a\tb\tx\nname only\n", "line 2 of 'a.gmt'"), ("\tb\tx\n", "line 1 of 'a.gmt'"),
    ("a\tb\tx\na\tc\ty\n", "names of gene sets must be unique; found 'a'"),
    ("a\tb\t\t \n", "gene sets must not be empty; found 'a'"),
    ("a\x1b\tb\tx\n", "gene set names must not contain control characters"),
])  # fmt: skip
def test_files_that_are_no_gmt(text, said, tmp_path):
    (tmp_path / "a.gmt").write_text(text)
    with pytest.raises(InputError) as caught:
        read_gmt(tmp_path / "a.gmt", "sets")
    assert caught.value.argument == "sets"
    assert said in str(caught.value)


@pytest.mark.parametrize(("value", "argument", "said"), [
    ({}, "sets", "must map names to genes"), ([["a"]], "sets", "found list"),
    ({"a": "x"}, "sets['a']", "must be a list of genes; found 'x'"),
    ({"a": []}, "sets", "must not be empty; found 'a'"), (None, "sets", "found NoneType"),
])  # fmt: skip
def test_values_that_are_no_gene_sets(value, argument, said):
    with pytest.raises(InputError) as caught:
        gene_sets(value, "sets")
    assert caught.value.argument == argument
    assert said in str(caught.value)


def test_what_is_measured_of_the_sets():
    sets = {"a": ["x", "1", "y"], "b": ["z"], "c": ["y", "w"]}
    kept, lost = known_genes(sets, ["y", 1, "x", "other"], "sets")
    assert kept == {"a": ["x", "1", "y"], "c": ["y"]}
    assert lost == ["b"]
    with pytest.raises(InputError, match=r"found x, 1, y in the sets, X, Y in the expression"):
        known_genes(sets, ["Y", "X"], "sets")
