"""Hierarchies: TOML and DAFi's files both ways, and messages that name the gate and the field."""

from __future__ import annotations

from pathlib import Path

import pytest

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning, InputError
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
from bayesdecov.gating.toml_format import from_tree, to_tree

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
GATE = {"name": "a", "x": "CD3", "y": "CD4", "box": [0, 1, 0, 1]}


def test_toml_both_ways(tmp_path):
    write_hierarchy(FULL, tmp_path / "full.toml")
    assert read_hierarchy(tmp_path / "full.toml") == FULL
    with pytest.raises(InputError, match="exists"):
        write_hierarchy(FULL, tmp_path / "full.toml")
    write_hierarchy(FULL, tmp_path / "full.toml", force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["full.toml"]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_examples_are_read(path, tmp_path):
    tree = read_hierarchy(path)
    assert len(tree.gates) >= 5
    assert "placeholder" in path.read_text()
    write_hierarchy(tree, tmp_path / "again.toml")
    assert read_hierarchy(tmp_path / "again.toml") == tree


def test_a_table_of_compensation_lies_beside_the_file(tmp_path):
    (tmp_path / "t.toml").write_text(
        '[read]\ncompensate = "m.csv"\n[[gate]]\nname="a"\nx="A"\ny="B"\nbox=[0,1,0,1]\n'
    )
    assert read_hierarchy(tmp_path / "t.toml").reading.compensate == str(tmp_path / "m.csv")


def edited(**changes):
    gate = {**GATE, **changes}
    return {"gate": [{key: value for key, value in gate.items() if value is not None}]}


@pytest.mark.parametrize(("tree", "said"), [
    ({}, "at least one gate"),
    ({"gates": [GATE]}, "gates.*is no field.*Did you mean 'gate'"),
    ({"gate": GATE}, r"written as \[\[gate\]\]"),
    ({"gate": [GATE, GATE]}, "gate 'a', name: must be unique"),
    (edited(name=None), "gate 'number 1', name: is missing"),
    (edited(x=None), "gate 'a', x: is missing"),
    (edited(x=0), "gate 'a', x: columns are numbered from 1"),
    (edited(x=1.5), "gate 'a', x: must be a marker or a column number"),
    (edited(recluster=1), "one cluster holds everything"),
    (edited(exclude=[{"box": [0, 1, 0, 1], "x": 0}]), "gate 'a', exclude.x: columns are numbered"),
    (edited() | {"cluster": {"columns": [0]}}, "cluster.columns: columns are numbered from 1"),
    (edited() | {"cluster": {"columns": ["A", "A"]}}, "cluster.columns: must differ"),
    (edited() | {"read": 5}, r"read: must be a table: \[read\]"),
    (edited() | {"proportions": {"rest": 5}}, "proportions.rest: must be a name"),
    (edited(name="all"), "stands for all events"),
    (edited(boxes=[0, 1, 0, 1]), "gate 'a', boxes: is no field.*'box'"),
    (edited(box=None), "exactly one of box, slope and polygon"),
    (edited(slope=[0, 1]), "exactly one of box, slope and polygon"),
    (edited(box=[0, 1, 0]), r"gate 'a', box: must be \[x min, x max, y min, y max\]"),
    (edited(box=[0, "1", 0, 1]), "gate 'a', box: must be four numbers"),
    (edited(box=[5, 1, 0, 1]), "gate 'a', box: min must not exceed max"),
    (edited(box=[0, 4000, 0, 1]), r"within 0..200, the scale; found 4000\. Set `scale`"),
    (edited(box=[0, float("nan"), 0, 1]), "four numbers"),
    (edited(box=None, slope=[1.0, 0.5]), "gate 'a', slope: must be two numbers"),
    (edited(box=None, slope=[-1.0, 0.5]), "gate 'a', slope: must be two numbers"),
    (edited(box=None, slope=[0.1, 0.5], mode="cluster"), "a slope filters events"),
    (edited(mode="slope"), "'slope' needs the field slope"),
    (edited(mode="clusters"), "gate 'a', mode: must be one of 'cluster', 'events'"),
    (edited(box=None, polygon=[[0, 0], [1, 1]]), "gate 'a', polygon: needs at least three"),
    (edited(box=None, polygon=[0, 1, 2]), "gate 'a', polygon: must be a list of corners"),
    (edited(parent="b"), "gate 'a', parent: must be a gate that comes earlier; found 'b'"),
    (edited(recluster="yes"), "gate 'a', recluster: must be true"),
    (edited(exclude=[0, 1, 0, 1]), r"gate 'a', exclude: must be \["),
    (edited(exclude={"box": [0, 1, 0, 1]}), "exclude: must be a list of regions"),
    (edited(exclude=[{"bx": [0, 1, 0, 1]}]), "gate 'a', exclude.bx: is no field"),
    (edited() | {"scale": "percent"}, "scale: must be a positive number or 'raw'"),
    (edited() | {"scale": 0}, "scale: must be a positive number or 'raw'"),
    (edited() | {"cluster": {"K": 5}}, "cluster.K: is no field.*'k'"),
    (edited() | {"cluster": {"k": 0}}, "cluster.k: must be a whole number from 1"),
    (edited() | {"cluster": {"seed": -1}}, "cluster.seed: must be"),
    (edited() | {"cluster": {"init": "kmeans++"}}, "cluster.init: must be one of"),
    (edited() | {"cluster": {"inherit": "parent"}}, "cluster.inherit: must be one of"),
    (edited() | {"cluster": {"columns": "CD3"}}, "cluster.columns: must be 'all' or a list"),
    (edited() | {"cluster": 5}, r"cluster: must be a table: \[cluster\]"),
    (edited() | {"read": {"transform": "log"}}, "read.transform: must be one of"),
    (edited() | {"read": {"transform": "fcstrans", "W": 1}}, "read.W: is no field"),
    (edited() | {"read": {"range": -1}}, "read.range: must be a positive number"),
    (edited() | {"aliases": {"A": ""}}, "aliases.A: must be a name"),
    (edited() | {"proportions": {"of": "b"}}, "proportions.of: must be 'all' or a gate"),
    (edited() | {"proportions": {"types": ["b"]}}, "proportions.types: must be gates; found 'b'"),
    (edited() | {"proportions": {"types": ["a", "a"]}}, "proportions.types: must differ"),
    (edited() | {"proportions": {"rest": "a"}}, "must not be the name of a type"),
])  # fmt: skip
def test_messages_name_the_gate_and_the_field(tree, said):
    with pytest.raises(InputError, match=said):
        from_tree(tree)


def test_broken_files(tmp_path):
    (tmp_path / "a.toml").write_text("name = [")
    with pytest.raises(InputError, match="no valid TOML"):
        read_hierarchy(tmp_path / "a.toml")
    with pytest.raises(InputError, match="does not exist"):
        read_hierarchy(tmp_path / "b.toml")
    (tmp_path / "a.yaml").write_text("")
    with pytest.raises(InputError, match=r"must be a .toml, .config"):
        read_hierarchy(tmp_path / "a.yaml")
    with pytest.raises(InputError, match="holds its own settings"):
        read_hierarchy(EXAMPLES / "hvp01.toml", k=5)


INCLUSION = """1\t1\t2\t200\t150\t91\t200\t0\t2\t0\t1\tSinglets

2\t1\t3\t40\t170\t10\t150\t1\t0\t0\t2
3\t4\t3\t100\t200\t0\t150\t2\t1\t0\t0\tCD45
"""
EXCLUSION = "1\t1\t2\t0\t20\t0\t20\t0\t0\t0\t0\n2\t1\t4\t40\t60\t10\t25\t0\t0\t0\t0\n"


@pytest.fixture
def config(tmp_path):
    (tmp_path / "in.config").write_text(INCLUSION)
    (tmp_path / "ex.config").write_text(EXCLUSION)
    return tmp_path


def test_config_is_read(config):
    tree = read_hierarchy(config / "in.config", config / "ex.config", k=100, k_sub=30)
    assert tree.names == ["Singlets", "pop2", "CD45"]
    singlets, second, third = tree.gates
    assert singlets.region == Slope(91 / 200, 200 / 150)
    assert (singlets.recluster, second.recluster, third.recluster) == (100, 30, 0)
    assert (second.parent, second.mode, second.x, second.y) == ("Singlets", "cluster", 1, 3)
    assert second.exclude == (Exclusion(Box(40, 60, 10, 25), 1, 4),)
    assert (third.parent, third.mode, third.exclude) == ("pop2", "events", ())


def test_config_both_ways(config):
    tree = read_hierarchy(config / "in.config", config / "ex.config", k=100, k_sub=30)
    with pytest.warns(BayesdecovWarning, match="not in them: clustering"):
        write_hierarchy(tree, config / "again.config", config / "again_ex.config")
    again = read_hierarchy(config / "again.config", config / "again_ex.config", k=100, k_sub=30)
    assert again.gates == tree.gates
    assert from_tree(to_tree(tree)) == tree


def test_names_become_column_numbers(tmp_path):
    tree = Hierarchy((Gate("a", "CD4", "CD3", Box(0, 0.5, 0.25, 1)),), scale=1)
    write_hierarchy(tree, tmp_path / "a.config", columns=["CD3", "CD4"])
    assert (tmp_path / "a.config").read_text() == "1\t2\t1\t0\t100\t50\t200\t0\t0\t1\t0\ta\n"


@pytest.mark.parametrize(("tree", "said"), [
    (Hierarchy((Gate("a", "CD3", 1, Box(0, 1, 0, 1)),)), "numbers columns"),
    (Hierarchy((Gate("a", 1, 2, Polygon(((0, 0), (1, 0), (1, 1)))),)), "boxes only"),
    (Hierarchy((Gate("a", 1, 2, Box(0, 1.5, 0, 1)),)), "whole numbers"),
    (Hierarchy((Gate("a", 1, 2, Slope(0.123456, 2), mode="events"),)), "ratio of whole numbers"),
    (Hierarchy((Gate("a", 1, 2, Box(0, 1, 0, 1), recluster=7),)), "two numbers of clusters"),
    (Hierarchy((Gate("a", 1, 2, Box(0, 1, 0, 1), exclude=(Exclusion(Box(0, 1, 0, 1)),)),)),
     "second file"),
])  # fmt: skip
def test_what_config_cannot_say(tree, said, tmp_path):
    with pytest.raises(InputError, match=said):
        write_hierarchy(tree, tmp_path / "a.config")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("line", "said"), [
    ("1\t1\t2\t0\t10", "line 1 of 'x.config' must have 11 columns"),
    ("1 1 2 0 10 0 10 0 0 0 0", "separated by tabs"),
    ("1|1|2|0|10|0|10|0|0|0|0|5,7|name", "R version"),
    ("1|1|2|0|x|0|10|0|0|0|0", "whole numbers; found 'x'"),
    ("1|1|2|0|10|0|10|1|0|0|0", "Parent_ID: must be an earlier row"),
    ("1|1|2|0|10|0|10|0|2|0|0", "Min_X: of a slope gate must not be 0"),
    ("1|1|2|0|300|0|10|0|0|0|0", "within 0..200"),
    ("", "holds no gates"),
])  # fmt: skip
def test_bad_config(line, said, tmp_path):
    (tmp_path / "x.config").write_text(line.replace("|", "\t") + "\n")
    with pytest.raises(InputError, match=said):
        read_hierarchy(tmp_path / "x.config")


def test_more_exclusions_than_gates(config):
    (config / "many.config").write_text(EXCLUSION * 3)
    with pytest.raises(InputError, match="more rows"):
        read_hierarchy(config / "in.config", config / "many.config")


def test_blank_lines_between_exclusions_are_refused(config):
    (config / "gap.config").write_text(EXCLUSION.replace("\n2", "\n\n2"))
    with pytest.raises(InputError, match="blank lines between its rows; found line 2"):
        read_hierarchy(config / "in.config", config / "gap.config")
    (config / "zeros.config").write_text("\t".join("0" * 11) + "\n")
    tree = read_hierarchy(config / "in.config", config / "zeros.config")
    assert not any(gate.exclude for gate in tree)


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
    assert "events in a polygon of 3 corners, then clustered anew (k = 120)" in text
    assert text.endswith("proportions: T of Cells")
    assert FULL.path("T") == "root/Singlets/Cells/T"


HUGE = "1" + "0" * 400
GATE = '[[gate]]\nname = "L"\nx = 1\ny = 2\n'


@pytest.mark.parametrize(
    "text",
    [GATE + f"box = [0, {HUGE}, 0, 100]", 'scale = "raw"\n' + GATE + f"box = [0, {HUGE}, 0, 100]",
     GATE + f"polygon = [[0, 0], [{HUGE}, 1], [1, 1]]", GATE + f"slope = [0, {HUGE}]",
     f"scale = {HUGE}\n" + GATE + "box = [0, 1, 0, 1]", f"scale = {'1' * 5000}\n" + GATE,
     f"[cluster]\nk = {HUGE}\n" + GATE + "box = [0, 1, 0, 1]",
     '[read]\ncompensate = "a\\u0000b"\n' + GATE + "box = [0, 1, 0, 1]",
     '"a\\n\\u001b[2J" = 1\n' + GATE + "box = [0, 1, 0, 1]", "name = " + "[" * 10**5,
     '[[gate]]\nname = " L"\nx = 1\ny = 2\nbox = [0, 1, 0, 1]',
     '[[gate]]\nname = "L\\u0007"\nx = 1\ny = 2\nbox = [0, 1, 0, 1]'],
)  # fmt: skip
def test_hostile_toml(text, tmp_path):
    (tmp_path / "g.toml").write_text(text)
    with pytest.raises(InputError, match="hierarchy") as caught:
        read_hierarchy(tmp_path / "g.toml")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("cell", ["1" * 5000, "\u00b2", "--5", HUGE, "", "\x1b[2J", "1.5", "0x1"])
def test_hostile_configurations(cell, tmp_path):
    row = ["1", "1", "2", "0", cell, "0", "100", "0", "0", "1", "0", "n"]
    (tmp_path / "g.config").write_text("\t".join(row) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="must hold whole numbers") as caught:
        read_hierarchy(tmp_path / "g.config")
    assert str(caught.value).isprintable()


def test_a_key_of_countless_parts(tmp_path):
    (tmp_path / "g.toml").write_text("a" + ".a" * 30000 + " = 1")
    with pytest.raises(InputError, match="more than 60 parts"):
        read_hierarchy(tmp_path / "g.toml")


def test_control_characters_in_axes(tmp_path):
    (tmp_path / "g.toml").write_text(
        '[[gate]]\nname = "L"\nx = "a\\u001b[2J"\ny = 2\nbox = [0, 1, 0, 1]'
    )
    with pytest.raises(InputError, match="control characters"):
        read_hierarchy(tmp_path / "g.toml")


def test_force_replaces_files_of_gates_only(tmp_path):
    hierarchy = bd.simulate.blood_hierarchy(k=20)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "thesis").write_text("years of work")
    with pytest.raises(InputError, match="holds no gates, so it is not overwritten"):
        write_hierarchy(hierarchy, tmp_path / "pyproject.toml", force=True)
    simple = read_hierarchy(_config(tmp_path / "in.config"))
    with pytest.raises(InputError, match="holds no gates, so it is not overwritten"):
        write_hierarchy(simple, tmp_path / "o.config", tmp_path / "thesis", force=True)
    with pytest.raises(InputError, match="a file of its own"):
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
    (tmp_path / "g.toml").write_text(f'[read]\ncompensate = "{name}"\n' + GATE
                                     + "box = [0, 100, 0, 100]")  # fmt: skip
    bd.simulate.cytometry(1, 300, seed=1).write(tmp_path)
    with pytest.raises(InputError, match="table of numbers") as caught:
        bd.gate([tmp_path / "donor01.fcs"], tmp_path / "g.toml")
    assert not any(word in str(caught.value) for word in ("hunter2", "alice", "pw'", "account"))
