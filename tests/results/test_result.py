"""What an analysis leaves in a folder, read back; and what it refuses to write over."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from bayesdecov.errors import InputError
from bayesdecov.io.records import checksum, read_record
from bayesdecov.results.result import Result


class Counted(Result):
    """A small analysis with a table that has row names and one that has none."""

    command = "count"
    compressed = frozenset({"long"})

    def __init__(self, **facts):
        rng = np.random.default_rng(1)
        self.settings = {"seed": 7, "level": float("inf"), "who": "asked"}
        self.facts = facts
        self.notes = ("said",)
        self.short = pd.DataFrame(rng.normal(size=(3, 2)), ["a", "007", "NA"], ["x", "y"])
        self.short.index.name = "gene"
        self.long = pd.DataFrame({"value": rng.normal(size=50)})

    def tables(self, prob=0.95):
        return {"short": self.short * 1.0, "long": self.long * prob}

    def extra_files(self, folder):
        (folder / "extra.txt").write_text("more")


def test_tables_are_read_back_to_the_last_bit(tmp_path):
    result = Counted()
    result.write(tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "short.csv", "long.csv.gz", "extra.txt", "run.json",
    }  # fmt: skip
    short = pd.read_csv(
        tmp_path / "out" / "short.csv", index_col="gene", dtype={"gene": str},
        keep_default_na=False, float_precision="round_trip",
    )  # fmt: skip
    pd.testing.assert_frame_equal(short, result.short, check_exact=True)
    long = pd.read_csv(tmp_path / "out" / "long.csv.gz", float_precision="round_trip")
    pd.testing.assert_frame_equal(long, 0.95 * result.long, check_exact=True)


def test_the_probability_reaches_the_tables(tmp_path):
    result = Counted()
    result.fill(tmp_path, prob=0.5)
    long = pd.read_csv(tmp_path / "long.csv.gz", float_precision="round_trip")
    pd.testing.assert_frame_equal(long, 0.5 * result.long, check_exact=True)


def test_the_record_holds_what_was_asked_and_found_and_every_file(tmp_path):
    source = tmp_path / "input.csv"
    source.write_text("x,y\n")
    result = Counted(seconds=1.25, who="found")
    record = result.record(inputs={"bulk": source}, arguments=["count", "input.csv"])
    assert record["command"] == "count"
    assert record["settings"] == {
        "seed": 7, "level": float("inf"), "who": "found", "seconds": 1.25,
    }  # fmt: skip
    assert record["timings"] == {"seconds": 1.25}
    assert record["inputs"] == {"bulk": {"path": str(source), "sha256": checksum(source)}}
    assert record["arguments"] == ["count", "input.csv"]
    assert record["warnings"] == ["said"]
    assert result.settings["who"] == "asked"
    assert "timings" not in Counted().record()
    result.write(tmp_path / "out")
    stored = read_record(tmp_path / "out")
    assert stored["settings"] == record["settings"] | {"level": "inf"}
    for name, digest in stored["files"].items():
        assert checksum(tmp_path / "out" / name) == digest
    assert set(stored["files"]) == {"short.csv", "long.csv.gz", "extra.txt"}
    json.loads((tmp_path / "out" / "run.json").read_text())


def test_an_earlier_run_is_replaced_only_with_force_and_nobody_elses_files_ever(tmp_path):
    out = tmp_path / "out"
    Counted().write(out)
    before = checksum(out)
    with pytest.raises(InputError, match=r"^out: the folder .* exists\. Choose another or add"):
        Counted(new=1).write(out)
    assert checksum(out) == before
    Counted(new=1).write(out, force=True)
    assert read_record(out)["settings"]["new"] == 1
    (out / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match=r"its run did not write, .*; found mine\.txt"):
        Counted().write(out, force=True)
    assert (out / "mine.txt").read_text() == "mine"


def test_what_fails_halfway_leaves_nothing(tmp_path):
    class Broken(Counted):
        def extra_files(self, folder):
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Broken().write(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    Counted().write(tmp_path / "out")
    before = checksum(tmp_path / "out")
    with pytest.raises(OSError, match="disk full"):
        Broken().write(tmp_path / "out", force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert checksum(tmp_path / "out") == before


def test_a_result_without_tables_is_none():
    class Nothing(Result):
        command = "nothing"

    with pytest.raises(TypeError, match="abstract"):
        Nothing()
    assert Counted().to_inference_data() is None
