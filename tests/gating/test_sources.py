"""Names of samples from what users name as files."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pandas as pd
import pytest

from bayesdecov.errors import InputError
from bayesdecov.gating.sources import sources_of

TABLE = pd.DataFrame({"CD3": [1.0]})


def test_a_mapping_keeps_names_and_order():
    given = {"b": "x.fcs", 7: Path("y.csv"), "a": TABLE}
    found = sources_of(given)
    assert list(found) == ["b", "7", "a"]
    assert all(one is other for one, other in zip(found.values(), given.values(), strict=True))


def test_one_path_several_paths_and_anything_that_gives_paths():
    for given in ("d/a.fcs", Path("d/a.fcs"), ["d/a.fcs"], ("d/a.fcs",), {"a": Path("d/a.fcs")},
                  (name for name in ["d/a.fcs"]), pd.Index(["d/a.fcs"])):  # fmt: skip
        assert sources_of(given) == {"a": Path("d/a.fcs")}
    assert list(sources_of(["b.fcs", "a.txt.gz", "C.LMD"])) == ["b", "a", "C"]


def test_a_folder_stands_for_its_fcs_files_in_order(tmp_path):
    for name in ("b.fcs", "A.FCS", "c.lmd", "notes.txt", "d.csv"):
        (tmp_path / name).write_text("")
    assert list(sources_of(tmp_path)) == ["A", "b", "c"]
    assert list(sources_of([tmp_path / "d.csv", tmp_path])) == ["d", "A", "b", "c"]
    (tmp_path / "plate").mkdir()
    names = [f"W{(7 * i) % 41:02d}" for i in range(41)]
    for name in names:
        (tmp_path / "plate" / f"{name}.fcs").write_text("")
    assert list(sources_of(tmp_path / "plate")) == sorted(names)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"files: the folder .*empty' contains no \.fcs files"):
        sources_of([tmp_path / "b.fcs", tmp_path / "empty"])


def test_files_of_one_name_are_told_apart_by_their_folders_in_any_order():
    paths = ["p1/A01.fcs", "p2/A01.fcs", "p2/B01.fcs"]
    for order in permutations(paths):
        found = sources_of(order)
        assert {str(path): name for name, path in found.items()} == {
            "p1/A01.fcs": "p1_A01",
            "p2/A01.fcs": "p2_A01",
            "p2/B01.fcs": "B01",
        }
        assert [str(path) for path in found.values()] == list(order)
    with pytest.raises(InputError, match=r"must be unique; found x_A01\. Give a mapping"):
        sources_of(["1/x/A01.fcs", "2/x/A01.fcs"])
    with pytest.raises(InputError, match="must be unique; found p1_A01"):
        sources_of([*paths, "p3/p1_A01.fcs"])


def test_one_file_by_two_paths_is_one_file(tmp_path):
    (tmp_path / "a.fcs").write_text("")
    (tmp_path / "link.fcs").symlink_to(tmp_path / "a.fcs")
    for again in (tmp_path / "x" / ".." / "a.fcs", tmp_path / "link.fcs", tmp_path):
        with pytest.raises(InputError, match=r"must each be given once; found a\.fcs twice"):
            sources_of([tmp_path / "a.fcs", again])


@pytest.mark.parametrize(("files", "argument", "said"), [
    ([], "files", "must name at least one file"),
    ({}, "files", "must name at least one file"),
    (None, "files", "found NoneType"),
    (5, "files", "found int"),
    (["a.fcs", TABLE], "files", "found DataFrame"),
    (TABLE, "files", "must give a sample name for a table"),
    ({"a": [1]}, "files['a']", "must be a path or a table of events; found list"),
    ({1: "a", "1": "b"}, "files", "unique as text"),
    ({"a\nb": "x.fcs"}, "files", "sample names must not contain control characters"),
    (["a\x1b.fcs"], "files", "sample names must not contain control characters"),
])  # fmt: skip
def test_what_names_no_files_is_refused(files, argument, said):
    with pytest.raises(InputError) as caught:
        sources_of(files)
    assert caught.value.argument == argument
    assert said in str(caught.value)
