"""Hierarchies to files and from files, whatever their format."""

from __future__ import annotations

import pytest

import bayesdecov as bd
from bayesdecov.errors import InputError
from bayesdecov.gating.files import read_hierarchy, write_hierarchy
from bayesdecov.gating.gates import Gate
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.regions import Box

NUMBERED = Hierarchy((Gate("a", 1, 2, Box(30, 90, 5, 45)), Gate("b", 2, 3, Box(0, 50, 0, 50), "a")))


@pytest.mark.parametrize("name", ["gates.toml", "gates.config"])
def test_every_format_returns_the_same_gates(name, tmp_path):
    write_hierarchy(NUMBERED, tmp_path / name)
    found = read_hierarchy(tmp_path / name)
    assert found.gates == NUMBERED.gates
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_ending_decides_and_unknown_endings_write_nothing(tmp_path):
    with pytest.raises(InputError, match=r"path: must end in \.toml, \.config or \.xml"):
        write_hierarchy(NUMBERED, tmp_path / "gates.yaml")
    (tmp_path / "gates.yaml").write_text("gate: []")
    with pytest.raises(InputError, match=r"must be a \.toml, \.config, \.xml or \.wsp file"):
        read_hierarchy(tmp_path / "gates.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["gates.yaml"]


def test_an_exclusion_belongs_to_a_config_and_has_a_file_of_its_own(tmp_path):
    with pytest.raises(InputError, match=r"exclusion: only a \.config file"):
        write_hierarchy(NUMBERED, tmp_path / "g.toml", tmp_path / "e.config")
    with pytest.raises(InputError, match="exclusion: must be a different file"):
        write_hierarchy(NUMBERED, tmp_path / "g.config", tmp_path / "g.config")
    write_hierarchy(NUMBERED, tmp_path / "g.toml")
    with pytest.raises(InputError, match=r"a \.toml file contains its own settings"):
        read_hierarchy(tmp_path / "g.toml", tmp_path / "e.config")


def test_only_what_is_a_path_is_read(tmp_path):
    with pytest.raises(InputError, match="must be a Hierarchy or the path of a file; found int"):
        read_hierarchy(3)
    with pytest.raises(InputError, match="does not exist"):
        read_hierarchy(tmp_path / "none.toml")


def test_the_verb_reads_the_same_file(tmp_path):
    tree = bd.simulate.blood_hierarchy(k=10)
    write_hierarchy(tree, tmp_path / "gates.toml")
    files = bd.simulate.cytometry(1, 300, seed=1).write(tmp_path)
    gated = [bd.gate(files, given, draws=20) for given in (tree, tmp_path / "gates.toml")]
    assert (gated[0].counts == gated[1].counts).all(axis=None)
