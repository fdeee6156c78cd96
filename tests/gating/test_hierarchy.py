"""Hierarchies as objects: reading by the ending, printing, replacing files."""

from __future__ import annotations

from pathlib import Path

import pytest

import bayesdecov as bd
from bayesdecov.errors import InputError
from bayesdecov.gating import (
    Box,
    Clustering,
    Composition,
    Exclusion,
    Gate,
    Hierarchy,
    Polygon,
    Reading,
    Slope,
)
from bayesdecov.gating.files import read_hierarchy, write_hierarchy

EXAMPLES = Path(bd.__file__).parents[1] / "examples" / "hierarchies"
FULL = Hierarchy(
    gates=(
        Gate("Singlets", "FSC-A", "FSC-H", Slope(0.5, 1.0), mode="events", recluster=True),
        Gate("Cells", "FSC-A", "SSC-A", Box(30, 180, 5, 150), "Singlets",
             exclude=(Exclusion(Box(0, 20, 0, 20)), Exclusion(Box(0, 9, 0, 9), "CD3", "CD4"))),
        Gate("T", "CD3", "SSC-A", Polygon(((0, 0), (100, 0), (50, 90.5))), "Cells", "events",
             recluster=120),
    ),
    name="all of it", scale=200, aliases={"V450-A": "CD3"},
    clustering=Clustering(300, 50, ("CD3", "CD4"), "k-means++", 7, "nearest"),
    reading=Reading("none", "logicle", 262144.0, {"W": 1.0, "A": 0.5}),
    composition=Composition("Cells", ("T",), None),
)  # fmt: skip
GATE = '[[gate]]\nname = "L"\nx = 1\ny = 2\n'


def test_broken_files(tmp_path):
    (tmp_path / "a.toml").write_text("name = [")
    with pytest.raises(InputError, match="no valid TOML"):
        read_hierarchy(tmp_path / "a.toml")
    with pytest.raises(InputError, match="does not exist"):
        read_hierarchy(tmp_path / "b.toml")
    (tmp_path / "a.yaml").write_text("")
    with pytest.raises(InputError, match=r"must be a .toml, .config"):
        read_hierarchy(tmp_path / "a.yaml")
    with pytest.raises(InputError, match="contains its own settings"):
        read_hierarchy(EXAMPLES / "hvp01.toml", k=5)


def test_children_are_printed_below_their_parent():
    box = Box(0, 1, 0, 1)
    tree = Hierarchy((Gate("a", 1, 2, box), Gate("b", 1, 2, box), Gate("a1", 1, 2, box, "a")))
    names = [line.split()[0] for line in str(tree).splitlines()[1:4]]
    assert names == ["a", "a1", "b"]
    assert "b" in tree
    assert [gate.name for gate in tree] == ["a", "b", "a1"]
    assert len(tree) == 3
    with pytest.raises(KeyError):
        tree["c"]


def test_printing():
    text = str(FULL)
    assert "    Cells  [FSC-A, SSC-A]  clusters in the box 30..180, 5..150, without 2" in text
    assert "events in a polygon of 3 corners, then reclustered (k = 120)" in text
    assert text.endswith("proportions: T of Cells")
    assert FULL.path("T") == "root/Singlets/Cells/T"


def test_force_replaces_files_of_gates_only(tmp_path):
    hierarchy = bd.simulate.blood_hierarchy(k=20)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "thesis").write_text("years of work")
    with pytest.raises(InputError, match="contains no gates, so it is not overwritten"):
        write_hierarchy(hierarchy, tmp_path / "pyproject.toml", force=True)
    simple = read_hierarchy(_config(tmp_path / "in.config"))
    with pytest.raises(InputError, match="contains no gates, so it is not overwritten"):
        write_hierarchy(simple, tmp_path / "o.config", tmp_path / "thesis", force=True)
    with pytest.raises(InputError, match="exclusion: must be a different file"):
        write_hierarchy(simple, tmp_path / "o.config", tmp_path / "o.config")
    assert (tmp_path / "thesis").read_text() == "years of work"
    assert not (tmp_path / "o.config").exists()
    write_hierarchy(hierarchy, tmp_path / "g.toml")
    write_hierarchy(hierarchy, tmp_path / "g.toml", force=True)


def _config(path):
    path.write_text("1\t1\t3\t38\t200\t5\t200\t0\t0\t1\t1\tCells\n")
    return path


@pytest.mark.parametrize("name", ["secret.csv", "secret.txt"])
def test_a_compensation_table_shows_nothing_of_another_file(name, tmp_path):
    (tmp_path / name).write_text("account,pw\nalice,hunter2\n")
    (tmp_path / "g.toml").write_text(
        f'[read]\ncompensate = "{name}"\n' + GATE + "box = [0, 100, 0, 100]"
    )
    bd.simulate.cytometry(1, 300, seed=1).write(tmp_path)
    with pytest.raises(InputError, match="table of numbers") as caught:
        bd.gate([tmp_path / "donor01.fcs"], tmp_path / "g.toml")
    assert not any(word in str(caught.value) for word in ("hunter2", "alice", "pw'", "account"))
