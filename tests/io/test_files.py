"""Names of files are short enough for every file system, and no two alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesdecov.errors import InputError
from bayesdecov.io.files import check_file, cut, file_names, hidden, whole_files


@given(st.lists(st.text(), unique=True, max_size=30))
def test_any_names_become_file_names(names):
    given_ = file_names(names)
    assert len({own.casefold() for own in given_.values()}) == len(names)
    for own in given_.values():
        assert 0 < len(own.encode()) <= 120
        assert not set(own) & set('/\\:*?"<>|\0\n')
        assert not own.endswith(".")


def test_reserved_and_long_names():
    long = ["x" * 300, "x" * 299 + "y", "名" * 100, "名" * 101]
    made = file_names([*long, "CON", "nul.txt", "..", "a/b", "a\\b", "A/B"])
    assert made["CON"] == "_CON"
    assert made["nul.txt"] == "_nul.txt"
    assert [made[name] for name in ("a/b", "a\\b", "A/B")] == ["a_b", "a_b~2", "A_B~3"]
    assert all(len(made[name].encode()) <= 100 for name in long)
    assert cut("short") == "short"


def test_files_appear_together_or_not_at_all(tmp_path):
    first, second = tmp_path / "a.txt", tmp_path / "sub" / ("b" * 255)
    with whole_files(first, second) as parts:
        for part in parts:
            part.write_text("new")
        assert not first.exists()
    assert first.read_text() == second.read_text() == "new"
    with pytest.raises(FileNotFoundError), whole_files(first, second) as parts:
        parts[0].write_text("half")
    assert first.read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_link_is_replaced_and_not_followed(tmp_path):
    (tmp_path / "thesis").write_text("years of work")
    (tmp_path / "link").symlink_to("thesis")
    with whole_files(tmp_path / "link") as (part,):
        part.write_text("new")
    assert (tmp_path / "thesis").read_text() == "years of work"
    assert (tmp_path / "link").read_text() == "new"
    assert hidden(tmp_path / "x", "lock").name == ".x.lock"


def test_what_is_no_file(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name, said in (("absent", "does not exist"), ("pipe", "is not a file"),
                       ("", "is not a file"), ("loop", "cannot be used"),
                       ("x" * 300, "cannot be used"), ("a\0b", "NUL")):  # fmt: skip
        with pytest.raises(InputError, match=said):
            check_file(tmp_path / name, "bulk")
