"""Reading and writing hierarchies as TOML."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bayesdecov.errors import InputError
from bayesdecov.gating.gates import Clustering, Composition, Exclusion, Gate, Reading
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.regions import Box, Polygon, Region, Slope
from bayesdecov.gating.rules import nearest, problem
from bayesdecov.gating.scales import PARAMETERS
from bayesdecov.io import limits

_DEEPEST = 60  # parts of a key: parsing deeply nested tables is disproportionately slow
_TOP = ("name", "scale", "cluster", "read", "aliases", "gate", "proportions")
_CLUSTER = ("k", "k_sub", "columns", "init", "seed", "inherit")
_READ = ("compensate", "transform", "range")
_PROPORTIONS = ("of", "types", "rest")
_GATE = ("name", "x", "y", "parent", "mode", "box", "slope", "polygon", "exclude", "recluster")
_EXCLUDE = ("x", "y", "box", "slope", "polygon")
_REGIONS = ("box", "slope", "polygon")


def read_toml(path: Path) -> Hierarchy:
    """A hierarchy from a TOML file; a compensation table is searched for next to it."""
    limits.require_file(path, "hierarchy")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if any(line.partition("=")[0].count(".") > _DEEPEST for line in text.split("\n")):
            raise problem(
                None,
                "",
                f"{str(path)!r} is no valid TOML",
                found=f"a key of more than {_DEEPEST} parts",
            )
        tree = tomllib.loads(text)
    except InputError:
        raise
    except ValueError as error:  # TOML, UTF-8, or numbers with thousands of digits
        raise problem(None, "", f"{str(path)!r} is no valid TOML", found=str(error)) from None
    except RecursionError:
        raise problem(
            None, "", f"{str(path)!r} is no valid TOML", found="too many nested brackets"
        ) from None
    return from_tree(tree, path.parent)


def from_tree(tree: Mapping[str, Any], folder: Path = Path()) -> Hierarchy:
    """A hierarchy from nested dictionaries as TOML (or YAML, JSON) gives them."""
    _known(None, "", tree, _TOP)
    cluster = _table(tree, "cluster", _CLUSTER)
    columns = cluster.pop("columns", "all")
    if columns != "all":
        if not isinstance(columns, list) or not columns:
            raise problem(
                None, "cluster.columns", "must be 'all' or a list of markers", found=columns
            )
        cluster["columns"] = tuple(columns)
    transform = _table(tree, "read", None).get("transform", Reading.transform)
    parameters = tuple(PARAMETERS.get(transform, ())) if isinstance(transform, str) else ()
    read = _table(tree, "read", (*_READ, *parameters))
    read["parameters"] = {name: read.pop(name) for name in parameters if name in read}
    compensate = read.get("compensate", "file")
    if isinstance(compensate, str) and compensate not in ("file", "none"):
        if "\0" in compensate:
            raise problem(None, "read.compensate", "must be the path of a table", found=compensate)
        read["compensate"] = str((folder / compensate).resolve())
    proportions = _table(tree, "proportions", _PROPORTIONS)
    if "types" in proportions:
        if not isinstance(proportions["types"], list):
            raise problem(
                None, "proportions.types", "must be a list of gates", found=proportions["types"]
            )
        proportions["types"] = tuple(proportions["types"])
    if proportions.get("rest") == "":
        proportions["rest"] = None
    gates = tree.get("gate", [])
    if not isinstance(gates, list):
        raise problem(None, "gate", "must be written as [[gate]], once for every gate")
    return Hierarchy(
        gates=tuple(_gate(entry, number) for number, entry in enumerate(gates, start=1)),
        name=str(tree.get("name", "")),
        scale=tree.get("scale", 200),
        clustering=Clustering(**cluster),
        reading=Reading(**read),
        composition=Composition(**proportions),
        aliases=dict(_table(tree, "aliases", None)),
    )


def _table(tree: Mapping[str, Any], name: str, keys: Iterable[str] | None) -> dict[str, Any]:
    table = tree.get(name, {})
    if not isinstance(table, Mapping):
        raise problem(None, name, f"must be a table: [{name}]", found=table)
    if keys is not None:
        _known(None, f"{name}.", table, keys)
    return dict(table)


def _known(gate: str | None, prefix: str, table: Mapping[str, Any], keys: Iterable[str]) -> None:
    for key in table:
        if key not in keys:
            raise problem(
                gate,
                f"{prefix}{key}",
                "is not a known field",
                fix=nearest(key, keys) or f"fields are {', '.join(keys)}",
            )


def _gate(entry: Any, number: int) -> Gate:
    if not isinstance(entry, Mapping):
        raise problem(None, f"gate number {number}", "must be a table", found=entry)
    name = entry.get("name")
    called = name if isinstance(name, str) and name else f"number {number}"
    _known(called, "", entry, _GATE)
    for key in ("name", "x", "y"):
        if key not in entry:
            raise problem(called, key, "is missing")
    given = [key for key in _REGIONS if key in entry]
    if len(given) != 1:
        raise problem(called, "box", "must be exactly one of box, slope and polygon", found=given)
    region = _region(called, given[0], entry[given[0]])
    mode = entry.get("mode", "events" if isinstance(region, Slope) else "cluster")
    if mode == "slope":
        if not isinstance(region, Slope):
            raise problem(called, "mode", "'slope' needs the field slope = [low, high]")
        mode = "events"
    excluded = entry.get("exclude", [])
    if not isinstance(excluded, list):
        raise problem(called, "exclude", "must be a list of regions", found=excluded)
    return Gate(
        name=entry["name"],
        x=entry["x"],
        y=entry["y"],
        region=region,
        parent=entry.get("parent"),
        mode=mode,
        exclude=tuple(_exclusion(called, part) for part in excluded),
        recluster=entry.get("recluster", False),
    )


def _exclusion(gate: str, part: Any) -> Exclusion:
    """[x min, x max, y min, y max], or a table with a box or polygon and axes of its own."""
    if not isinstance(part, Mapping):
        return Exclusion(_region(gate, "box", part, "exclude"))
    _known(gate, "exclude.", part, _EXCLUDE)
    given = [key for key in _REGIONS if key in part]
    if len(given) != 1:
        raise problem(
            gate, "exclude", "must have exactly one of box, slope and polygon", found=given
        )
    return Exclusion(
        _region(gate, given[0], part[given[0]], "exclude"), part.get("x"), part.get("y")
    )


def _region(gate: str, kind: str, value: Any, field: str = "") -> Region:
    field = field or kind
    if kind == "polygon":
        pairs = isinstance(value, list) and all(isinstance(p, list) and len(p) == 2 for p in value)
        if not pairs:
            raise problem(gate, field, "must be a list of corners [x, y]", found=value)
        return Polygon(tuple((x, y) for x, y in value))
    length, said = (2, "low, high") if kind == "slope" else (4, "x min, x max, y min, y max")
    if not isinstance(value, list) or len(value) != length:
        raise problem(gate, field, f"must be [{said}]", found=value)
    return Slope(*value) if kind == "slope" else Box(*value)


def to_tree(hierarchy: Hierarchy) -> dict[str, Any]:
    """Nested dictionaries that `from_tree` turns into the same hierarchy."""
    c, r, p = hierarchy.clustering, hierarchy.reading, hierarchy.composition
    cluster = {
        "k": c.k,
        "columns": "all" if c.columns is None else list(c.columns),
        "init": c.init,
        "seed": c.seed,
        "inherit": c.inherit,
    }
    if c.k_sub is not None:
        cluster["k_sub"] = c.k_sub
    read: dict[str, Any] = {"compensate": r.compensate, "transform": r.transform, **r.parameters}
    if r.range is not None:
        read["range"] = r.range
    tree: dict[str, Any] = {
        "name": hierarchy.name,
        "scale": hierarchy.scale,
        "cluster": cluster,
        "read": read,
    }
    if hierarchy.aliases:
        tree["aliases"] = dict(hierarchy.aliases)
    tree["gate"] = [_gate_tree(gate) for gate in hierarchy.gates]
    tree["proportions"] = {"of": p.of, "rest": p.rest or ""}
    if p.types:
        tree["proportions"]["types"] = list(p.types)
    return tree


def _gate_tree(gate: Gate) -> dict[str, Any]:
    tree: dict[str, Any] = {"name": gate.name}
    if gate.parent is not None:
        tree["parent"] = gate.parent
    tree |= {"x": gate.x, "y": gate.y, "mode": gate.mode, **_region_tree(gate.region)}
    if gate.exclude:
        tree["exclude"] = [
            {key: axis for key, axis in (("x", e.x), ("y", e.y)) if axis is not None}
            | _region_tree(e.region)
            for e in gate.exclude
        ]
    if gate.recluster:
        tree["recluster"] = gate.recluster
    return tree


def _region_tree(region: Region) -> dict[str, Any]:
    if isinstance(region, Box):
        return {"box": [region.x_min, region.x_max, region.y_min, region.y_max]}
    if isinstance(region, Slope):
        return {"slope": [region.low, region.high]}
    return {"polygon": [list(corner) for corner in region.vertices]}


def write_toml(hierarchy: Hierarchy, path: Path) -> None:
    """Write a hierarchy so that `read_toml` reads the same back."""
    import tomli_w

    path.write_text(tomli_w.dumps(to_tree(hierarchy)), encoding="utf-8")
