"""Hierarchies as TOML: both ways, defaults, and messages that name the gate and the field."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
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
from bayesdecov.gating.toml_format import from_tree, to_tree
from tests.gating.test_hierarchy import FULL

EXAMPLES = Path(bd.__file__).parents[1] / "examples" / "hierarchies"
GATE = {"name": "a", "x": "CD3", "y": "CD4", "box": [0, 1, 0, 1]}


def number(rng):
    """Whole numbers, and numbers with all their digits."""
    return int(rng.integers(200)) if rng.random() < 0.5 else float(rng.uniform(0, 200))


def region(rng):
    kind = rng.integers(3)
    if kind == 0:
        low, high = sorted(number(rng) for _ in range(2))
        return Box(low, high, -math.inf, math.inf if rng.random() < 0.5 else number(rng))
    if kind == 1:
        low = number(rng)
        return Slope(low, low + 0.1 + rng.random())
    return Polygon(tuple((number(rng), number(rng)) for _ in range(rng.integers(3, 7))))


def drawn(seed):
    """Any hierarchy: axes by name and by number, all regions, settings of all tables."""
    rng = np.random.default_rng(seed)

    def one(*options):
        return options[rng.integers(len(options))]

    gates = []
    for i in range(rng.integers(1, 7)):
        shape = region(rng)
        exclude = tuple(
            Exclusion(region(rng), one(None, "CD4", 3), one(None, "e'", 1))
            for _ in range(rng.integers(3))
        )
        gates.append(
            Gate(
                one(f"g{i}", f'"quoted" {i}', f"ä/\\{i}"),
                one("CD3", 1),
                one("SSC-A", 12),
                shape,
                one(None, *(gate.name for gate in gates)),
                "events" if isinstance(shape, Slope) else one("events", "cluster"),
                exclude,
                one(False, True, 0, 5),
            )
        )
    names = [gate.name for gate in gates]
    transform, parameters = one(
        ("fcstrans", {}),
        ("logicle", {"W": number(rng)}),
        ("none", {}),
        ("asinh", {"T": 1 + number(rng), "A": 0}),
    )
    return Hierarchy(
        tuple(gates),
        one("", "a name"),
        one(200, 200.0, 512.5),
        Clustering(
            one(1, 500),
            one(None, 7),
            one(None, ("CD3", 4)),
            one("compat", "k-means++"),
            one(0, 5),
            one("root", "nearest"),
        ),
        Reading(one("file", "none"), transform, one(None, 1024, 0.1), parameters),
        Composition(one("all", *names), one((), tuple(names)), one("rest", None, "others")),
        one({}, {"V450-A": "CD3", "a.b": "c d"}),
    )


@pytest.mark.parametrize("seed", range(30))
def test_any_hierarchy_comes_back(seed, tmp_path):
    tree = drawn(seed)
    assert from_tree(to_tree(tree)) == tree
    write_hierarchy(tree, tmp_path / "t.toml")
    again = read_hierarchy(tmp_path / "t.toml")
    assert again == tree
    assert str(again) == str(tree)


def test_what_is_not_said_is_as_in_python():
    assert from_tree({"gate": [GATE]}) == Hierarchy((Gate("a", "CD3", "CD4", Box(0, 1, 0, 1)),))
    slope = {"name": "a", "x": 1, "y": 2, "slope": [0.5, 1]}
    for entry in (slope, {**slope, "mode": "slope"}, {**slope, "mode": "events"}):
        assert from_tree({"gate": [entry]}).gates[0].mode == "events"
    boxed = {**GATE, "exclude": [[0, 1, 0, 1], {"box": [0, 1, 0, 1]}]}
    (gate,) = from_tree({"gate": [boxed]}).gates
    assert gate.exclude == (Exclusion(Box(0, 1, 0, 1)),) * 2


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
    ({"gates": [GATE]}, "gates.*is not a known field.*Did you mean 'gate'"),
    ({"gate": GATE}, r"written as \[\[gate\]\]"),
    ({"gate": [GATE, GATE]}, "gate 'a', name: must be unique"),
    (edited(name=None), "gate 'number 1', name: is missing"),
    (edited(x=None), "gate 'a', x: is missing"),
    (edited(x=0), "gate 'a', x: must be at least 1"),
    (edited(x=1.5), "gate 'a', x: must be a marker or a column number"),
    (edited(recluster=1), "must not be one cluster"),
    (edited(exclude=[{"box": [0, 1, 0, 1], "x": 0}]), "gate 'a', exclude.x: must be at least 1"),
    (edited() | {"cluster": {"columns": [0]}}, "cluster.columns: must be at least 1"),
    (edited() | {"cluster": {"columns": ["A", "A"]}}, "cluster.columns: must differ"),
    (edited() | {"read": 5}, r"read: must be a table: \[read\]"),
    (edited() | {"proportions": {"rest": 5}}, "proportions.rest: must be a name"),
    (edited(name="all"), "stands for all events"),
    (edited(boxes=[0, 1, 0, 1]), "gate 'a', boxes: is not a known field.*'box'"),
    (edited(box=None), "exactly one of box, slope and polygon"),
    (edited(slope=[0, 1]), "exactly one of box, slope and polygon"),
    (edited(box=[0, 1, 0]), r"gate 'a', box: must be \[x min, x max, y min, y max\]"),
    (edited(box=[0, "1", 0, 1]), "gate 'a', box: must be four numbers"),
    (edited(box=[5, 1, 0, 1]), "gate 'a', box: must not have a minimum above"),
    (edited(box=[0, 4000, 0, 1]), r"within 0..200, the scale; found 4000\. Set `scale`"),
    (edited(box=[0, float("nan"), 0, 1]), "four numbers"),
    (edited(box=None, slope=[1.0, 0.5]), "gate 'a', slope: must be two numbers"),
    (edited(box=None, slope=[-1.0, 0.5]), "gate 'a', slope: must be two numbers"),
    (edited(box=None, slope=[0.1, 0.5], mode="cluster"), "must be 'events' with a slope"),
    (edited(mode="slope"), "'slope' needs the field slope"),
    (edited(mode="clusters"), "gate 'a', mode: must be one of 'cluster', 'events'"),
    (edited(box=None, polygon=[[0, 0], [1, 1]]), "gate 'a', polygon: must have at least three"),
    (edited(box=None, polygon=[0, 1, 2]), "gate 'a', polygon: must be a list of corners"),
    (edited(parent="b"), "gate 'a', parent: must be a gate that comes earlier; found 'b'"),
    (edited(recluster="yes"), "gate 'a', recluster: must be true"),
    (edited(exclude=[0, 1, 0, 1]), r"gate 'a', exclude: must be \["),
    (edited(exclude={"box": [0, 1, 0, 1]}), "exclude: must be a list of regions"),
    (edited(exclude=[{"bx": [0, 1, 0, 1]}]), "gate 'a', exclude.bx: is not a known field"),
    (edited() | {"scale": "percent"}, "scale: must be a positive number or 'raw'"),
    (edited() | {"scale": 0}, "scale: must be a positive number or 'raw'"),
    (edited() | {"cluster": {"K": 5}}, "cluster.K: is not a known field.*'k'"),
    (edited() | {"cluster": {"k": 0}}, "cluster.k: must be a whole number from 1"),
    (edited() | {"cluster": {"seed": -1}}, "cluster.seed: must be"),
    (edited() | {"cluster": {"init": "kmeans++"}}, "cluster.init: must be one of"),
    (edited() | {"cluster": {"inherit": "parent"}}, "cluster.inherit: must be one of"),
    (edited() | {"cluster": {"columns": "CD3"}}, "cluster.columns: must be 'all' or a list"),
    (edited() | {"cluster": 5}, r"cluster: must be a table: \[cluster\]"),
    (edited() | {"read": {"transform": "log"}}, "read.transform: must be one of"),
    (edited() | {"read": {"transform": "fcstrans", "W": 1}}, "read.W: is not a known field"),
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


HUGE = "1" + "0" * 400
TEXT = '[[gate]]\nname = "L"\nx = 1\ny = 2\n'


@pytest.mark.parametrize(
    "text",
    [TEXT + f"box = [0, {HUGE}, 0, 100]", 'scale = "raw"\n' + TEXT + f"box = [0, {HUGE}, 0, 100]",
     TEXT + f"polygon = [[0, 0], [{HUGE}, 1], [1, 1]]", TEXT + f"slope = [0, {HUGE}]",
     f"scale = {HUGE}\n" + TEXT + "box = [0, 1, 0, 1]", f"scale = {'1' * 5000}\n" + TEXT,
     f"[cluster]\nk = {HUGE}\n" + TEXT + "box = [0, 1, 0, 1]",
     '[read]\ncompensate = "a\\u0000b"\n' + TEXT + "box = [0, 1, 0, 1]",
     '"a\\n\\u001b[2J" = 1\n' + TEXT + "box = [0, 1, 0, 1]", "name = " + "[" * 10**5,
     '[[gate]]\nname = " L"\nx = 1\ny = 2\nbox = [0, 1, 0, 1]',
     '[[gate]]\nname = "L\\u0007"\nx = 1\ny = 2\nbox = [0, 1, 0, 1]'],
)  # fmt: skip
def test_hostile_toml(text, tmp_path):
    (tmp_path / "g.toml").write_text(text)
    with pytest.raises(InputError, match="hierarchy") as caught:
        read_hierarchy(tmp_path / "g.toml")
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
