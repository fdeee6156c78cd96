"""No file takes more memory than is allowed."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bayesdecov.cli import app
from bayesdecov.errors import InputError
from bayesdecov.io import limits
from bayesdecov.io.tables import read_table


@pytest.fixture
def table():
    values = np.random.default_rng(0).poisson(9, size=(400, 50))
    names = [f"g{i}" for i in range(400)]
    return pd.DataFrame(values, names, [f"s{i}" for i in range(50)])


def test_sizes():
    assert limits.size_of("8GB") == limits.size_of("8g") == 8e9
    assert limits.size_of("2GiB") == 2 * 1024**3
    assert limits.size_of("500") == 500
    assert limits.size_of("none") == float("inf")
    for text in ("", "much", "-1GB", "0", "1XB", "1 2", "I"):
        with pytest.raises(InputError, match="max-memory: must be a size"):
            limits.size_of(text)
    assert 0 < limits.limit() == limits.machine_memory() / 2


def test_the_limit_holds_for_a_while(monkeypatch):
    monkeypatch.delenv(limits.VARIABLE, raising=False)
    usual = limits.limit()
    with limits.at_most("1MB"):
        assert limits.limit() == 1e6
        with limits.at_most(None):
            assert limits.limit() == 1e6
    assert limits.limit() == usual
    with pytest.raises(InputError), limits.at_most("lots"):
        pass
    monkeypatch.setenv(limits.VARIABLE, "nonsense")
    with pytest.raises(InputError, match="BAYESDECOV_MAX_MEMORY: must be a size"):
        limits.limit()


def test_tables_of_all_kinds(table, tmp_path):
    import anndata

    table.to_csv(tmp_path / "t.csv", index_label="gene")
    table.to_csv(tmp_path / "t.tsv.gz", sep="\t", index_label="gene")
    table.to_parquet(tmp_path / "t.parquet")
    anndata.AnnData(table.T.astype(float)).write_h5ad(tmp_path / "t.h5ad")
    for name in ("t.csv", "t.tsv.gz", "t.parquet", "t.h5ad"):
        expected = read_table(tmp_path / name)
        assert np.array_equal(expected.loc[table.index, table.columns], table)
        with limits.at_most("50K"), pytest.raises(InputError, match=r"memory.*--max-memory"):
            read_table(tmp_path / name)


def test_a_bomb_is_never_unpacked(tmp_path):
    with gzip.open(tmp_path / "bomb.csv.gz", "wb") as file:
        file.write(b"gene,s1\n" + b"g,1\n" * 1000)
        for _ in range(100):
            file.write(b"0" * 1_000_000)
    assert (tmp_path / "bomb.csv.gz").stat().st_size < 200_000
    with limits.at_most("10MB"), pytest.raises(InputError, match="more memory than is allowed"):
        read_table(tmp_path / "bomb.csv.gz", "bulk")


def test_on_the_command_line(table, tmp_path):
    table.to_csv(tmp_path / "t.csv", index_label="gene")
    given = ["deconvolve", str(tmp_path / "t.csv"), "--reference", str(tmp_path / "t.csv"),
             "--out", str(tmp_path / "out")]  # fmt: skip
    result = CliRunner().invoke(app, [*given, "--max-memory", "10K"])
    assert result.exit_code == 2
    assert "more memory than is allowed" in result.stderr
    result = CliRunner().invoke(app, [*given, "--max-memory", "lots"])
    assert result.exit_code == 2
    assert "max-memory: must be a size" in result.stderr
