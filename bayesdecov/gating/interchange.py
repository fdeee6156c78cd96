"""Gates from Gating-ML 2.0 and FlowJo workspaces, through flowkit (an optional package).

Other programs store bounds in the units of their own transforms. A bound is transformed back to
linear units and then to display channels, so a box remains the same box; polygons and ellipses are
transformed point by point along their outline.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bayesdecov import checks
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import BayesdecovWarning, InputError
from bayesdecov.gating.fcs import Channel
from bayesdecov.gating.gates import Gate, Reading
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.regions import Box, Polygon, Region, Slope
from bayesdecov.gating.rules import MODES
from bayesdecov.gating.scales import FULL, fcstrans, scatter
from bayesdecov.io.xml import check_xml

RANGE = 262144.0
UNCOMPENSATED, COMPENSATED = "uncompensated", "FCS"  # Gating-ML's words
_PER_SIDE = 8  # points of a side whose transform changes


def flowkit() -> Any:
    """Import the optional package."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import flowkit
    except ImportError:
        raise InputError(
            "hierarchy",
            "Gating-ML and FlowJo workspaces need the package flowkit",
            fix="pip install 'bayesdecov[gatingml]'",
        ) from None
    return flowkit


def read(
    path: Path,
    *,
    mode: str = "events",
    sample: str | None = None,
    group: str | None = None,
    range: float = RANGE,
) -> Hierarchy:
    """Gates of a Gating-ML file or of one sample of a FlowJo workspace.

    Parameters
    ----------
    path
        ``.xml`` or ``.wsp``.
    mode
        "events" (as in these programs), or "cluster": the regions select clusters.
    sample, group
        Of a workspace; default: its first sample.
    range
        Upper end of the channels ($PnR of the files).
    """
    checks.check_choice(mode, MODES, "mode")
    top = checks.check_positive(range, "range")
    kit = flowkit()
    check_xml(path, "hierarchy")
    try:
        if path.suffix.lower() == ".wsp":
            strategy, sample = _workspace(kit, path, sample, group)
        else:
            strategy = kit.parse_gating_xml(str(path))
    except InputError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise InputError(
            "hierarchy", f"{str(path)!r} cannot be read by flowkit", found=reason.rstrip(".")
        ) from None
    found: dict[tuple[str, ...], Gate] = {}  # by path
    left_out: list[str] = []
    matrices: set[str] = set()
    for name, parents in strategy.get_gate_ids():
        path_of = (*map(str, parents), str(name))
        try:
            found[path_of] = _imported(strategy, name, parents, sample, mode, top, matrices)
        except _Inexpressible as why:
            left_out.append(f"{name} ({why})")
        except Exception as error:  # missing references, malformed numbers
            raise InputError(
                "hierarchy",
                f"{str(path)!r} cannot be read by flowkit",
                found=f"{type(error).__name__}: {error} in gate {name!r}",
            ) from error
    names = _distinct(list(found))
    gates = []
    for path_of, gate in found.items():
        above = path_of[:-1]
        while len(above) > 1 and above not in found:  # a gate that is left out keeps everything
            above = above[:-1]
        parent = names[above] if above in found else None
        if above != path_of[:-1]:
            below = parent or "all events"
            left_out.append(f"{path_of[-2]} above {path_of[-1]}, which is now below {below}")
        gates.append(replace(gate, name=names[path_of], parent=parent))
    if left_out:
        warnings.warn(
            f"gates without an equivalent are left out: {checks.some(left_out, 12)}",
            BayesdecovWarning,
            stacklevel=2,
        )
    if not gates:
        raise InputError("hierarchy", f"{str(path)!r} contains no gate on two markers")
    reading = Reading(compensate=_compensation(matrices), range=top)
    return Hierarchy(tuple(gates), path.stem, scale=FULL, reading=reading)


def _compensation(matrices: set[str]) -> str:
    """How files are compensated, from the references of the gates on fluorescence."""
    if matrices == {UNCOMPENSATED}:
        return "none"
    others = sorted(matrices - {COMPENSATED, "Acquisition-defined"})
    if others:
        warnings.warn(
            f"gates refer to several or to external compensations ({checks.some(others)}); each "
            "file's own matrix is used for all gates: set `compensate` if that is wrong",
            BayesdecovWarning,
            stacklevel=4,
        )
    return "file"


def _distinct(paths: list[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """Names of gates by path: the last part, or as many parts as make it unique."""
    reserved = ("all", "rest")
    names = {}
    for path in paths:
        for parts in range(1, len(path) + 1):
            own = "/".join(path[-parts:])
            twins = [other for other in paths if "/".join(other[-parts:]) == own]
            if len(twins) == 1 and own not in reserved:
                break
        names[path] = own
    return names


class _Inexpressible(Exception):
    """The reason why a gate has no equivalent."""


def _workspace(kit: Any, path: Path, sample: str | None, group: str | None) -> tuple[Any, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about FCS files that are not found
        workspace = kit.Workspace(str(path), load_missing_file_data=True)
    known = workspace.get_sample_ids(group_name=group, loaded_only=False)
    if not known:
        raise InputError("hierarchy", f"{str(path)!r} contains no samples")
    if sample is not None and sample not in known:
        raise InputError(
            "sample",
            "must be a sample of the workspace",
            found=repr(sample),
            fix=f"samples are {checks.some(known)}",
        )
    chosen = str(sample or known[0])
    return workspace.get_gating_strategy(chosen), chosen


def _imported(
    strategy: Any,
    name: str,
    parents: Any,
    sample: str | None,
    mode: str,
    top: float,
    matrices: set[str],
) -> Gate:
    try:
        gate = strategy.get_gate(name, parents, sample_id=sample)
    except Exception:  # flowkit lists the parts of a quadrant gate but does not return them
        raise _Inexpressible("a quadrant") from None
    kind = type(gate).__name__
    if getattr(gate, "use_complement", False):
        raise _Inexpressible("a complement")
    if kind in ("BooleanGate", "QuadrantGate"):
        raise _Inexpressible("a Boolean gate" if kind == "BooleanGate" else "quadrants")
    dimensions = list(gate.dimensions)
    if any(not hasattr(d, "id") for d in dimensions):
        y, x, slope = _ratio(strategy, dimensions)
        return Gate(str(name), x, y, slope, mode="events")
    if len(dimensions) > 2 or (kind != "RectangleGate" and len(dimensions) != 2):
        raise _Inexpressible(f"{len(dimensions)} dimensions")
    axes = [str(d.id) for d in dimensions]
    if any(Channel(axis, "", top).kind == "time" for axis in axes):
        raise _Inexpressible("on time")
    matrices |= {
        str(d.compensation_ref or UNCOMPENSATED)
        for d in dimensions
        if Channel(str(d.id), "", top).kind == "fluorescence"
    }
    maps = [_to_channels(strategy, d, top) for d in dimensions]
    if kind == "RectangleGate":
        bounds: list[float] = []
        for d, to in zip(dimensions, maps, strict=True):
            ends = [
                (-np.inf if d.min is None else float(to(np.array([d.min]))[0])),
                (np.inf if d.max is None else float(to(np.array([d.max]))[0])),
            ]
            bounds += _inside(ends)
        if len(axes) == 1:
            axes, bounds = axes * 2, [*bounds, -np.inf, np.inf]
        region: Region = Box(*bounds)
    else:
        outline = (
            _ellipse(gate) if kind == "EllipsoidGate" else _fine(np.array(gate.vertices, float))
        )
        corners = np.column_stack([to(column) for to, column in zip(maps, outline.T, strict=True)])
        region = Polygon(tuple((float(x), float(y)) for x, y in np.clip(corners, 0.0, FULL)))
    return Gate(str(name), axes[0], axes[1], region, mode=mode)


def _ratio(strategy: Any, dimensions: list[Any]) -> tuple[str, str, Slope]:
    """A gate on A y / x alone is a band of slopes."""
    if len(dimensions) > 1 or dimensions[0].transformation_ref is not None:
        raise _Inexpressible("a ratio with other dimensions")
    band = dimensions[0]
    ratio = strategy.get_transform(band.ratio_ref)
    if ratio.param_b or ratio.param_c or ratio.param_a <= 0:
        raise _Inexpressible("a ratio of shifted channels")
    low = 0.0 if band.min is None else max(0.0, band.min / ratio.param_a)
    high = np.inf if band.max is None else band.max / ratio.param_a
    y, x = (str(name) for name in ratio.dimensions)
    return y, x, Slope(float(low), float(high))


def _inside(ends: list[float]) -> list[float]:
    """Bounds at or beyond the ends of the scale are no bounds."""
    low, high = ends
    return [low if low > 0 else -np.inf, high if high < FULL else np.inf]


def _to_channels(strategy: Any, dimension: Any, top: float) -> Callable[[Array], Array]:
    """From the units of a gate's bounds to display channels, through linear units."""
    ref = dimension.transformation_ref
    transform = None if ref is None else strategy.get_transform(ref)
    if transform is not None and not hasattr(transform, "inverse"):
        raise _Inexpressible("a transform that cannot be undone")
    linear = Channel(str(dimension.id), "", top).kind == "scatter"

    def to(values: Array) -> Array:
        x = values if transform is None else np.asarray(transform.inverse(values), dtype=float)
        return scatter(x, top) if linear else fcstrans(x, top)

    return to


def _fine(corners: Array) -> Array:
    """Corners with points between them, so that a side may bend under another transform."""
    share = np.arange(_PER_SIDE)[:, None] / _PER_SIDE
    sides = zip(corners, np.roll(corners, -1, axis=0), strict=True)
    return np.concatenate([a + share * (b - a) for a, b in sides])


def _ellipse(gate: Any) -> Array:
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    root = np.linalg.cholesky(np.array(gate.covariance_matrix, dtype=float))
    circle = np.sqrt(float(gate.distance_square)) * np.stack([np.cos(angle), np.sin(angle)])
    return np.asarray(gate.coordinates, dtype=float) + (root @ circle).T
