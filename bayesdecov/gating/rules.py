"""Rules for a hierarchy; every message names the gate and the field."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.gating.gates import Clustering, Composition, Gate, Reading, types_of
from bayesdecov.gating.initial_centers import STARTS
from bayesdecov.gating.regions import Box, Polygon, Region, Slope
from bayesdecov.gating.scales import PARAMETERS, TRANSFORMS

MODES = ("cluster", "events")
_LARGEST = 2**53  # larger whole numbers are mistakes
INHERIT = ("root", "nearest")


def problem(
    gate: str | None, field: str, rule: str, *, found: object = None, fix: str = ""
) -> InputError:
    """An error that names the gate and the field."""
    where = f"hierarchy, gate {gate!r}" if gate else "hierarchy"
    argument = f"{where}, {field}" if field else where
    return InputError(argument, rule, found="" if found is None else repr(found), fix=fix)


def nearest(name: str, names: Iterable[str]) -> str:
    """Advice with the name that was probably meant; empty if none is close."""
    folded = {str(n).casefold(): str(n) for n in names}
    close = difflib.get_close_matches(str(name).casefold(), list(folded), n=1, cutoff=0.5)
    return f"did you mean {folded[close[0]]!r}?" if close else ""


def check_hierarchy(
    gates: Sequence[Gate],
    name: str,
    scale: float | str,
    clustering: Clustering,
    reading: Reading,
    composition: Composition,
    aliases: Mapping[str, str],
) -> None:
    """Refuse a hierarchy that breaks a rule."""
    if not gates:
        raise problem(None, "gate", "must contain at least one gate")
    if isinstance(scale, str):
        if scale != "raw":
            raise problem(None, "scale", "must be a positive number or 'raw'", found=scale)
    elif not _number(scale) or not 0 < scale < math.inf:
        raise problem(None, "scale", "must be a positive number or 'raw'", found=scale)
    _settings(clustering, reading, aliases)
    seen: list[str] = []
    for gate in gates:
        _gate(gate, seen)
        for region in (gate.region, *(e.region for e in gate.exclude)):
            _region(gate.name, region, None if isinstance(scale, str) else float(scale))
        seen.append(gate.name)
    for names in (seen, [name, str(composition.rest or "")], [*aliases, *aliases.values()]):
        checks.check_plain_names(names, "hierarchy", "population")
    _composition(composition, seen, gates)


def _composition(composition: Composition, seen: list[str], gates: Sequence[Gate]) -> None:
    if composition.of != "all" and composition.of not in seen:
        raise problem(
            None,
            "proportions.of",
            "must be 'all' or a gate",
            found=composition.of,
            fix=nearest(composition.of, seen),
        )
    for name in composition.types:
        if name not in seen:
            raise problem(
                None, "proportions.types", "must be gates", found=name, fix=nearest(name, seen)
            )
    if len(set(composition.types)) < len(composition.types):
        raise problem(
            None, "proportions.types", "must differ from each other", found=composition.types
        )
    if composition.rest is not None and not isinstance(composition.rest, str):
        raise problem(
            None, "proportions.rest", 'must be a name, or "" for none', found=composition.rest
        )
    if composition.rest in types_of(gates, composition):
        raise problem(
            None, "proportions.rest", "must not be the name of a type", found=composition.rest
        )


def _settings(c: Clustering, r: Reading, aliases: Mapping[str, str]) -> None:
    for field, count in (("cluster.k", c.k), ("cluster.k_sub", c.k_sub)):
        if count is not None and (not _whole(count) or count < 1):
            raise problem(None, field, "must be a whole number from 1", found=count)
    if not _whole(c.seed) or not 0 <= c.seed < 2**31:
        raise problem(
            None, "cluster.seed", "must be a whole number from 0 to 2^31 - 1", found=c.seed
        )
    for axis in c.columns or ():
        _axis(None, "cluster.columns", axis)
    if c.columns is not None and len(set(c.columns)) < len(c.columns):
        raise problem(
            None,
            "cluster.columns",
            "must differ from each other: a column given twice would have double weight",
            found=list(c.columns),
        )
    words = (
        ("cluster.init", c.init, STARTS),
        ("cluster.inherit", c.inherit, INHERIT),
        ("read.transform", r.transform, TRANSFORMS),
    )
    for field, word, options in words:
        if word not in options:
            raise problem(
                None, field, f"must be one of {', '.join(map(repr, options))}", found=word
            )
    if not isinstance(r.compensate, str):
        raise problem(
            None,
            "read.compensate",
            "must be 'file', 'none' or the path of a table",
            found=r.compensate,
        )
    if r.range is not None and (not _number(r.range) or not 0 < r.range < math.inf):
        raise problem(None, "read.range", "must be a positive number", found=r.range)
    allowed = PARAMETERS.get(r.transform, {})
    for name, value in r.parameters.items():
        if name not in allowed:
            raise problem(
                None,
                f"read.{name}",
                f"must be a parameter of {r.transform!r}",
                found=value,
                fix=f"it takes {', '.join(allowed) or 'none'}",
            )
        if not _number(value) or value < 0 or (name in "TM" and value == 0):
            raise problem(None, f"read.{name}", "must be a positive number", found=value)
    for name, alias in aliases.items():
        if not isinstance(alias, str) or not alias.strip():
            raise problem(None, f"aliases.{name}", "must be a name", found=alias)


def _gate(gate: Gate, seen: list[str]) -> None:
    if not isinstance(gate.name, str) or not gate.name.strip():
        raise problem(None, f"gate number {len(seen) + 1}, name", "must be a name", found=gate.name)
    if gate.name != gate.name.strip():
        raise problem(gate.name, "name", "must not begin or end with spaces")
    if gate.name in seen:
        raise problem(gate.name, "name", "must be unique")
    if gate.name == "all":
        raise problem(gate.name, "name", "'all' stands for all events", fix="choose another name")
    if gate.parent is not None and gate.parent not in seen:
        raise problem(
            gate.name,
            "parent",
            "must be a gate that comes earlier",
            found=gate.parent,
            fix=nearest(gate.parent, seen),
        )
    _axis(gate.name, "x", gate.x)
    _axis(gate.name, "y", gate.y)
    for part in gate.exclude:
        for field, axis in (("exclude.x", part.x), ("exclude.y", part.y)):
            if axis is not None:
                _axis(gate.name, field, axis)
    if gate.mode not in MODES:
        raise problem(
            gate.name, "mode", f"must be one of {', '.join(map(repr, MODES))}", found=gate.mode
        )
    if isinstance(gate.region, Slope) and gate.mode != "events":
        raise problem(gate.name, "mode", "must be 'events' with a slope", found=gate.mode)
    if not isinstance(gate.recluster, bool) and (not _whole(gate.recluster) or gate.recluster < 0):
        raise problem(
            gate.name,
            "recluster",
            "must be true, false or a number of clusters",
            found=gate.recluster,
        )
    if not isinstance(gate.recluster, bool) and gate.recluster == 1:
        raise problem(
            gate.name,
            "recluster",
            "must not be one cluster, which would contain all events",
            found=1,
            fix="write true, or a number from 2",
        )


def _axis(gate: str | None, field: str, axis: object) -> None:
    if not _whole(axis) and not (isinstance(axis, str) and axis.strip()):
        raise problem(gate, field, "must be a marker or a column number", found=axis)
    if isinstance(axis, str):
        checks.check_plain_names([axis], "hierarchy", "axis")
    if _whole(axis) and int(axis) < 1:  # type: ignore[call-overload]
        raise problem(gate, field, "must be at least 1 as a column number", found=axis)


def _region(gate: str, region: Region, scale: float | None) -> None:
    if isinstance(region, Slope):
        if not (_number(region.low) and _number(region.high) and 0 <= region.low < region.high):
            raise problem(
                gate,
                "slope",
                "must be two numbers, 0 <= low < high",
                found=[region.low, region.high],
            )
        return
    if isinstance(region, Box):
        bounds = [region.x_min, region.x_max, region.y_min, region.y_max]
        field = "box"
        if not all(map(_number, bounds)):
            raise problem(
                gate, field, "must be four numbers: x min, x max, y min, y max", found=bounds
            )
        if region.x_min > region.x_max or region.y_min > region.y_max:
            raise problem(
                gate,
                field,
                "must not have a minimum above its maximum",
                found=bounds,
                fix="the order is x min, x max, y min, y max",
            )
    elif isinstance(region, Polygon):
        bounds = [value for corner in region.vertices for value in corner]
        field = "polygon"
        if len(region.vertices) < 3 or not all(map(_number, bounds)):
            raise problem(
                gate,
                field,
                "must have at least three corners [x, y]",
                found=[list(corner) for corner in region.vertices],
            )
        if not all(map(math.isfinite, bounds)):
            raise problem(gate, field, "must have finite corners", found=bounds)
    else:
        raise problem(gate, "region", "must be a Box, Slope or Polygon", found=region)
    if scale is None:
        return
    beyond = [v for v in bounds if math.isfinite(v) and not 0 <= v <= scale]
    if beyond:
        raise problem(
            gate,
            field,
            f"must have bounds within 0..{scale:g}, the scale",
            found=beyond[0],
            fix="set `scale` to the units of the bounds; inf means no bound",
        )


def _number(value: object) -> bool:
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return False
    try:
        return not math.isnan(float(value))
    except OverflowError:  # whole numbers can be arbitrarily large
        return False


def _whole(value: object) -> bool:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        return False
    return abs(int(value)) < _LARGEST
