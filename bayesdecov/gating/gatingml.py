"""A hierarchy as Gating-ML 2.0, through flowkit (an optional package).

``fcstrans`` is written as Gating-ML's logicle with T = 262255.878, M = 4.5, W = 0.505687, A = 0,
which equals it above zero. A cluster gate is written as the region that directs it, because
Gating-ML has no gates on clusters.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from bayesdecov import checks
from bayesdecov.errors import BayesdecovWarning, InputError
from bayesdecov.gating.fcs import Channel
from bayesdecov.gating.gates import Gate
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.interchange import COMPENSATED, RANGE, UNCOMPENSATED, flowkit
from bayesdecov.gating.regions import Box, Slope
from bayesdecov.gating.scales import CHANNELS, FULL, PARAMETERS

_LOGICLE = (262255.878, 0.505687, 4.5, 0.0)  # T, W, M, A at the usual range


def write_gatingml(hierarchy: Hierarchy, path: Path) -> None:
    """Write what Gating-ML can express, with a warning about the rest."""
    kit = flowkit()
    strategy = kit.GatingStrategy()
    ids = _identifiers(hierarchy.names)
    top = hierarchy.reading.range or RANGE
    _add_transforms(kit, strategy, hierarchy, top)
    for gate in hierarchy.gates:
        for axis in (gate.x, gate.y):
            if isinstance(axis, int):
                raise InputError(
                    "hierarchy",
                    "must be a channel name, as Gating-ML requires",
                    found=f"column {axis} in gate {gate.name!r}",
                )
        parents = ("root", *(ids[name] for name in reversed(list(hierarchy.ancestors(gate.name)))))
        exported = _exported(kit, strategy, hierarchy, gate, ids[gate.name])
        strategy.add_gate(exported, gate_path=parents)
    directing = [g.name for g in hierarchy.gates if g.mode == "cluster"]
    if directing:
        warnings.warn(
            "Gating-ML has no gates on clusters, so only their directing regions are written: "
            f"{checks.some(directing)}; give members='csv' or 'fcs' to export the populations",
            BayesdecovWarning,
            stacklevel=4,
        )
    default = Hierarchy(hierarchy.gates, scale=hierarchy.scale, reading=hierarchy.reading)
    lost = [
        name
        for name in ("clustering", "composition", "aliases")
        if getattr(hierarchy, name) != getattr(default, name)
    ]
    if lost:
        warnings.warn(
            f"Gating-ML contains only gates, so these settings are left out: {', '.join(lost)}",
            BayesdecovWarning,
            stacklevel=4,
        )
    excluding = [g.name for g in hierarchy.gates if g.exclude]
    if excluding:
        warnings.warn(
            f"excluded regions are not written: {checks.some(excluding)}",
            BayesdecovWarning,
            stacklevel=4,
        )
    with path.open("wb") as handle:
        kit.export_gatingml(strategy, handle)


def _identifiers(names: list[str]) -> dict[str, str]:
    """XML identifiers: letters, digits, - . _ after an initial letter."""
    ids: dict[str, str] = {}
    for name in names:
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "-._") else "_" for c in name)
        plain = plain if plain[0].isalpha() or plain[0] == "_" else f"_{plain}"
        while plain in ids.values():
            plain += "_"
        ids[name] = plain
    return ids


def _add_transforms(kit: Any, strategy: Any, hierarchy: Hierarchy, top: float) -> None:
    how, given = hierarchy.reading.transform, hierarchy.reading.parameters
    if how == "none":
        return
    strategy.add_transform("scatter", kit.transforms.LinearTransform(param_t=top, param_a=0))
    if how == "fcstrans":
        t, w, m, a = _LOGICLE
        t *= top / RANGE
    else:
        p = {n: top if v is None else v for n, v in {**PARAMETERS[how], **given}.items()}
        t, w, m, a = p["T"], p.get("W", 0.0), p["M"], p["A"]
    strategy.add_transform(
        "fluorescence",
        kit.transforms.AsinhTransform(param_t=t, param_m=m, param_a=a)
        if how == "asinh"
        else kit.transforms.LogicleTransform(param_t=t, param_w=w, param_m=m, param_a=a),
    )


def _exported(kit: Any, strategy: Any, hierarchy: Hierarchy, gate: Gate, name: str) -> Any:
    raw = hierarchy.reading.transform == "none"
    kinds = [Channel(str(axis), "", 0.0).kind for axis in (gate.x, gate.y)]

    def dimension(axis: Any, kind: str, low: float | None, high: float | None) -> Any:
        return kit.Dimension(
            str(axis),
            UNCOMPENSATED if raw or kind == "scatter" else COMPENSATED,
            None if raw else kind,
            range_min=low,
            range_max=high,
        )

    def value(bound: float, kind: str) -> float:
        share = bound / hierarchy.unit
        if raw:
            return share * hierarchy.full_scale
        return share if kind == "scatter" else share * FULL / CHANNELS

    def edge(bound: float, kind: str, *, upper: bool) -> float | None:
        floored = not raw
        off = (
            bound >= hierarchy.unit and kind == "scatter" and not raw
            if upper
            else (bound <= 0 and floored)
        )
        return None if off or not np.isfinite(bound) else value(bound, kind)

    region = gate.region
    if isinstance(region, Slope):
        ref = _identifiers([f"ratio_{gate.y}_{gate.x}"]).popitem()[1]
        if ref not in strategy.transformations:
            ratio = kit.transforms.RatioTransform([str(gate.y), str(gate.x)], 1.0, 0.0, 0.0)
            strategy.add_transform(ref, ratio)
        band = kit.RatioDimension(ref, UNCOMPENSATED, range_min=region.low, range_max=region.high)
        return kit.gates.RectangleGate(name, [band])
    if isinstance(region, Box):
        dimensions = [
            dimension(axis, kind, edge(low, kind, upper=False), edge(high, kind, upper=True))
            for axis, kind, low, high in (
                (gate.x, kinds[0], region.x_min, region.x_max),
                (gate.y, kinds[1], region.y_min, region.y_max),
            )
        ]
        if gate.x == gate.y:
            dimensions = dimensions[:1]
        return kit.gates.RectangleGate(name, dimensions)
    corners = [[value(x, kinds[0]), value(y, kinds[1])] for x, y in region.vertices]
    dimensions = [
        dimension(axis, kind, None, None)
        for axis, kind in zip((gate.x, gate.y), kinds, strict=True)
    ]
    return kit.gates.PolygonGate(name, dimensions, corners)
