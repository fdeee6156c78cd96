"""Reading every format that is promised, and saying what is wrong with a file."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.io.tables import from_anndata, read_labels, read_table, write_table

TABLE = pd.DataFrame({"s1": [1.5, 2.0], "s2": [0.0, 1e6]}, index=["g1", "NA"])


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt", "t.csv.gz", "t.tsv.gz", "T.CSV"])
def test_text_tables(name, tmp_path):
    path = tmp_path / name
    TABLE.to_csv(path, sep="," if "csv" in name.lower() else "\t", index_label="gene")
    read = read_table(path)
    assert list(read.index) == ["g1", "NA"]  # a gene may be called NA
    np.testing.assert_array_equal(read.to_numpy(), TABLE.to_numpy())


def test_names_stay_text(tmp_path):
    (tmp_path / "t.csv").write_text("gene,s\n007,1\n1e5,2\n")
    assert list(read_table(tmp_path / "t.csv").index) == ["007", "1e5"]


def test_header_without_a_corner(tmp_path):
    """R's write.table leaves the first header cell out."""
    (tmp_path / "t.csv").write_text('"s1","s2"\n"g1",1,2\n"g2",3,4\n')
    read = read_table(tmp_path / "t.csv")
    assert list(read.index) == ["g1", "g2"]
    assert list(read.columns) == ["s1", "s2"]


def test_tabs_win_over_spaces_and_comments_are_skipped(tmp_path):
    text = "# made by hand\n\nGene symbol\tB cells naive\tNK cells resting\nCD19\t1\t2\n"
    (tmp_path / "t.txt").write_text(text)
    read = read_table(tmp_path / "t.txt")
    assert list(read.columns) == ["B cells naive", "NK cells resting"]
    assert read.loc["CD19", "NK cells resting"] == 2


def test_repeated_columns_keep_their_name_and_spaces_go(tmp_path):
    (tmp_path / "t.csv").write_text("gene, s1,s1 \n g1,1,2\n")
    read = read_table(tmp_path / "t.csv")
    assert list(read.columns) == ["s1", "s1"]
    assert list(read.index) == ["g1"]


def test_byte_order_mark_and_windows_lines(tmp_path):
    (tmp_path / "t.csv").write_bytes("\ufeffgene,s1\r\ng1,1\r\n".encode())
    read = read_table(tmp_path / "t.csv")
    assert read.index.name == "gene"
    assert read.loc["g1", "s1"] == 1


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    TABLE.to_parquet(tmp_path / "a.parquet")
    TABLE.rename_axis("gene").reset_index().to_parquet(tmp_path / "b.parquet")
    for name in "ab":
        read = read_table(tmp_path / f"{name}.parquet")
        np.testing.assert_array_equal(read.to_numpy(), TABLE.to_numpy())
        assert list(read.index) == ["g1", "NA"]


def test_h5ad_holds_samples_in_obs(tmp_path):
    anndata = pytest.importorskip("anndata")
    from scipy.sparse import csr_matrix

    adata = anndata.AnnData(csr_matrix(TABLE.T.to_numpy()))
    adata.obs_names, adata.var_names = TABLE.columns, TABLE.index
    adata.write_h5ad(tmp_path / "t.h5ad")
    for read in (read_table(tmp_path / "t.h5ad"), from_anndata(adata)):
        np.testing.assert_array_equal(read.to_numpy(), TABLE.to_numpy())
        assert list(read.columns) == ["s1", "s2"]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.lists(st.floats(0, 1e12, allow_nan=False), min_size=3, max_size=3),
        min_size=1, max_size=5,
    )
)  # fmt: skip
def test_written_numbers_are_read_back_exactly(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    frame = pd.DataFrame(rows, [f"g{i}" for i in range(len(rows))], list("abc"))
    write_table(frame, path, index_label="gene")
    np.testing.assert_array_equal(read_table(path).to_numpy(dtype=float), frame.to_numpy())


def test_labels(tmp_path):
    (tmp_path / "l.csv").write_text("sample,cell_type\na,B cell\nb,T cell\n")
    assert read_labels(tmp_path / "l.csv").to_dict() == {"a": "B cell", "b": "T cell"}
    (tmp_path / "m.csv").write_text("sample,batch,cell_type\na,1,B\nb,2,T\n")
    assert read_labels(tmp_path / "m.csv").to_dict() == {"a": "B", "b": "T"}
    (tmp_path / "n.csv").write_text("sample,batch,kind\na,1,B\nb,2,T\n")
    with pytest.raises(InputError, match="column named cell_type"):
        read_labels(tmp_path / "n.csv")


def _broken_gzip(path):
    whole = gzip.compress(b"gene,s1\n" + b"g1,1\n" * 5000)
    path.write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("absent.csv", None, "does not exist"),
        ("t.xlsx", lambda p: p.write_text("x"), "tables are read from"),
        ("t.csv", lambda p: p.write_text(""), "is empty"),
        ("t.csv", lambda p: p.write_text("gene;s1\ng1;1\n"), "separated by ';'"),
        ("t.csv", lambda p: p.write_text("gene\ng1\n"), "several columns"),
        ("t.csv", lambda p: p.write_text("gene,a\ng1,1\ng2,1,2,3\n"), "cannot be read as a csv"),
        ("t.csv.gz", _broken_gzip, "cannot be read as a csv"),
        ("t.csv", lambda p: p.write_bytes(b"\x80\x81\x82,\xff\n1,2\n"), "cannot be read as a csv"),
        ("t.parquet", lambda p: p.write_text("no"), "cannot be read as a parquet"),
        ("t.h5ad", lambda p: p.write_text("no"), "cannot be read as an .h5ad"),
    ],
)
def test_bad_files(name, make, message, tmp_path):
    path = tmp_path / name
    if make:
        make(path)
    with pytest.raises(InputError, match=message):
        read_table(path)


def test_a_folder_is_not_a_table(tmp_path):
    with pytest.raises(InputError, match="is not a file"):
        read_table(tmp_path)


@pytest.mark.parametrize("name", ["=1+1", "+A1", "-x", "@SUM(A1)", "plain", "a=b"])
def test_names_that_spreadsheets_take_for_formulas_are_quoted_and_unchanged(name, tmp_path):
    table = pd.DataFrame({name: [0.25, -1.0], "other": [1.0, 2.0]}, [name, "second"])
    write_table(table, tmp_path / "t.csv", index_label="sample")
    text = (tmp_path / "t.csv").read_text()
    risky = name[0] in "=+-@"
    assert (f'"{name}"' in text) == risky
    assert "-1.0" in text
    assert '"-1.0"' not in text
    for read in (read_table(tmp_path / "t.csv"), pd.read_csv(tmp_path / "t.csv", index_col=0)):
        assert list(read.index) == list(table.index)
        assert list(read.columns) == list(table.columns)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"gene,s1\ng\0a,1\n", "NUL character in line 2, after 'gene,s1"),
     (b"gene,s\0,s2\ng,1,2\n", "NUL character in line 1"),
     (b"gene,s1\na,1\nb\x07c,2\n", "control characters; found '.x07' in the name of row 2"),
     (b"gene,s\x1b[31m,s2\ng,1,2\n", "control characters.*name of column 1"),
     (b'gene,"s\n1"\ng,1\n', "line breaks"),
     (b'gene,s1\n"g\n1",1\n', "control characters.*name of row 1")],
)  # fmt: skip
def test_control_characters_in_names_are_refused_with_the_cell(content, said, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(InputError, match=f"bulk: .*{said}"):
        read_table(tmp_path / "t.csv", "bulk")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_nested_and_object_columns_are_refused(ending, tmp_path):
    table = pd.DataFrame({"gene": ["a", "b"], "s1": [[1, 2], [3]]})
    if ending == "csv":
        table.to_csv(tmp_path / "t.csv", index=False)
        said = "numbers only"
    else:
        table.to_parquet(tmp_path / "t.parquet")
        said = "must contain only numbers and text; found list"
    with pytest.raises(InputError, match=said):
        checks.check_numeric(read_table(tmp_path / f"t.{ending}", "bulk"), "bulk")
