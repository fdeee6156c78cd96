"""DAFi's configuration files: 11 tab-separated columns and a name, and an exclusion file."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from bayesdecov.checks import some
from bayesdecov.errors import BayesdecovWarning, InputError
from bayesdecov.gating.gates import Axis, Clustering, Exclusion, Gate
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.regions import Box, Slope
from bayesdecov.gating.rules import problem
from bayesdecov.io.files import read_lines

_MOST = 2000  # gates
_WHOLE = re.compile(r"[-+]?[0-9]{1,9}")
COLUMNS = (
    "Pop_ID",
    "DimensionX",
    "DimensionY",
    "Min_X",
    "Max_X",
    "Min_Y",
    "Max_Y",
    "Parent_ID",
    "Cluster_Type",
    "Visualize_or_Not",
    "Recluster_or_Not",
)
_SCALE = 200
_CLUSTERS, _EVENTS, _SLOPE = 0, 1, 2


def read_config(
    inclusion: str | Path,
    exclusion: str | Path | None = None,
    k: int = 500,
    k_sub: int | None = None,
    seed: int = 2,
    init: str = "compat",
) -> Hierarchy:
    """Read a hierarchy from DAFi's tab-separated configuration of 11 or 12 columns.

    Parameters
    ----------
    inclusion
        Pop_ID, DimensionX, DimensionY, Min_X, Max_X, Min_Y, Max_Y (0 to 200), Parent_ID,
        Cluster_Type (0 clusters, 2 slope, otherwise events), Visualize_or_Not, Recluster_or_Not,
        and a name. The row number is the identifier.
    exclusion
        The same columns; row i belongs to row i of ``inclusion``, and only its dimensions and
        bounds are used.
    k, k_sub
        Numbers of clusters: ``k`` of the whole sample and where Recluster is 1, ``k_sub`` where
        it is 2 or more. DAFi takes both from its command line.
    seed, init
        Of k-means.
    """
    inclusion = Path(inclusion)
    rows, names = read_rows(inclusion, "hierarchy")
    removed = [] if exclusion is None else read_rows(Path(exclusion), "exclusion")[0]
    if len(removed) > len(rows):
        raise InputError(
            "exclusion",
            "must not have more rows than the hierarchy",
            found=f"{len(removed)} and {len(rows)}",
        )
    again = {0: 0, 1: k}  # column 11 describes the parent
    sub = k if k_sub is None else k_sub
    gates = tuple(
        _gate(number, row, names, removed, again.get(row[10], sub))
        for number, row in enumerate(rows)
    )
    clustering = Clustering(k=k, k_sub=k_sub, seed=seed, init=init)
    return Hierarchy(gates, inclusion.stem, _SCALE, clustering)


def _gate(
    number: int, row: list[int], names: list[str], removed: list[list[int]], recluster: int
) -> Gate:
    name = names[number]
    _, x, y, *bounds, parent, kind, _, _ = row
    if not 0 <= parent <= number:
        raise problem(
            name, "Parent_ID", "must be an earlier row, or 0 for all events", found=parent
        )
    exclude: tuple[Exclusion, ...] = ()
    if number < len(removed):
        _, other_x, other_y, *other, _, _, _, _ = removed[number]
        if any((other_x, other_y, *other)):  # a row of zeros excludes nothing
            exclude = (Exclusion(Box(*other), other_x, other_y),)
    return Gate(
        name=name,
        x=x,
        y=y,
        region=_slope(name, bounds) if kind == _SLOPE else Box(*bounds),
        parent=None if parent == 0 else names[parent - 1],
        mode="cluster" if kind == _CLUSTERS else "events",
        exclude=exclude,
        recluster=recluster,
    )


def _slope(name: str, bounds: list[int]) -> Slope:
    """A slope gate's bounds are two corners: Min_Y / Min_X and Max_Y / Max_X."""
    x_low, x_high, y_low, y_high = bounds
    if x_low == 0 or x_high == 0:
        raise problem(name, "Min_X", "of a slope gate must not be 0, nor Max_X", found=bounds)
    return Slope(y_low / x_low, y_high / x_high)


def read_rows(path: Path, argument: str) -> tuple[list[list[int]], list[str]]:
    """Whole numbers and names of every row that is not blank."""
    lines = read_lines(path, argument)
    rows: list[list[int]] = []
    names: list[str] = []
    blank = 0
    for number, line in enumerate(lines, start=1):
        cells = [cell.strip() for cell in line.rstrip("\r\n").split("\t")]
        if not any(cells):
            blank = blank or number
            continue
        if blank and argument == "exclusion":
            raise InputError(
                argument,
                f"{path.name!r} must not have blank lines between its rows",
                found=f"line {blank}",
                fix="row i belongs to row i of the hierarchy",
            )
        if not rows and cells[0].lower() == "pop_id":
            continue  # a header
        while len(cells) > len(COLUMNS) and not cells[-1]:
            cells.pop()
        if len(cells) not in (11, 12):
            raise InputError(
                argument,
                f"line {number} of {path.name!r} must have 11 columns and optionally a name",
                found=f"{len(cells)} tab-separated columns",
                fix="13 columns belong to DAFi's R version; its column 12 is `columns` of [cluster]"
                if len(cells) == 13
                else "separate columns by tabs",
            )
        bad = [cell for cell in cells[:11] if not _WHOLE.fullmatch(cell)]
        if bad:
            raise InputError(
                argument,
                f"line {number} of {path.name!r} must contain whole numbers",
                found=repr(bad[0][:40]),
            )
        rows.append([int(cell) for cell in cells[:11]])
        names.append(cells[11] if len(cells) == 12 else f"pop{len(rows)}")
        if len(rows) > _MOST:
            raise InputError(argument, f"{path.name!r} must not contain more than {_MOST} gates")
    if not rows:
        raise InputError(argument, f"{str(path)!r} contains no gates")
    return rows, _distinct(names)


def _distinct(names: list[str]) -> list[str]:
    """Names are free text in DAFi's files, so a name may occur twice."""
    distinct: list[str] = []
    for number, name in enumerate(names, start=1):
        own = f"{name}_{number}" if names.count(name) > 1 else name
        while own in distinct or (own != name and own in names):
            own += "_"
        distinct.append(own)
    return distinct


def write_config(
    hierarchy: Hierarchy, path: Path, exclusion: Path | None, columns: Sequence[str] | None
) -> None:
    """DAFi's files of a hierarchy, or an `InputError` that names what they cannot express."""
    k, k_sub = hierarchy.clustering.k, hierarchy.clustering.k_sub or hierarchy.clustering.k
    lines, removed = [], []
    for number, gate in enumerate(hierarchy.gates, start=1):
        x, y = (_number(axis, columns, gate.name) for axis in (gate.x, gate.y))
        if isinstance(gate.region, Slope):
            kind, bounds = _SLOPE, _slope_bounds(gate)
        else:
            kind = _CLUSTERS if gate.mode == "cluster" else _EVENTS
            bounds = _bounds(gate.region, hierarchy, gate.name, "box")
        parent = 0 if gate.parent is None else hierarchy.names.index(gate.parent) + 1
        clusters = hierarchy.clusters_of(gate)
        if clusters not in (0, k, k_sub):
            raise problem(
                gate.name,
                "recluster",
                f"DAFi supports only two numbers of clusters, here {k} and {k_sub}",
                found=clusters,
            )
        again = 0 if not clusters else (1 if clusters == k else 2)
        lines.append([number, x, y, *bounds, parent, kind, 1, again, gate.name])
        if len(gate.exclude) > 1:
            raise problem(
                gate.name,
                "exclude",
                "DAFi supports only one excluded box per gate",
                found=len(gate.exclude),
            )
        box = [0, 0, 0, 0, 0, 0]
        for part in gate.exclude:
            axes = [
                _number(own if own is not None else axis, columns, gate.name)
                for own, axis in ((part.x, gate.x), (part.y, gate.y))
            ]
            box = [*axes, *_bounds(part.region, hierarchy, gate.name, "exclude")]
        removed.append([number, *box, 0, 0, 0, 0])
    default = Hierarchy(hierarchy.gates, scale=hierarchy.scale)
    lost = [
        name
        for name in ("clustering", "reading", "composition", "aliases")
        if getattr(hierarchy, name) != getattr(default, name)
    ]
    if lost:
        warnings.warn(
            f"DAFi's files contain only gates, so these settings are left out: {', '.join(lost)}",
            BayesdecovWarning,
            stacklevel=4,
        )
    if any(gate.exclude for gate in hierarchy.gates) and exclusion is None:
        raise InputError(
            "exclusion",
            "gates exclude regions, which DAFi keeps in a second file",
            fix="give its path",
        )
    _write(path, lines)
    if exclusion is not None:
        while removed and not any(removed[-1][3:]):  # gates without an excluded region
            removed.pop()
        _write(exclusion, removed)


def _write(path: Path, lines: list[list[object]] | list[list[int]]) -> None:
    text = "".join("\t".join(map(str, line)) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8")


def _number(axis: Axis, columns: Sequence[str] | None, gate: str) -> int:
    if isinstance(axis, int):
        return axis
    if columns is None:
        raise InputError(
            "columns",
            "DAFi numbers columns, so the column names of the event table are needed",
            found=f"gate {gate!r} on {axis!r}",
            fix="give the names in order, without Time",
        )
    if axis not in list(columns):
        raise InputError(
            "columns",
            "must name every axis of the gates",
            found=f"no {axis!r} in {some(columns, 12)}",
        )
    return list(columns).index(axis) + 1


def _bounds(region: object, hierarchy: Hierarchy, gate: str, field: str) -> list[int]:
    if not isinstance(region, Box):
        raise problem(gate, field, "DAFi supports only boxes", found=region)
    numbers = [
        min(max(bound * _SCALE / hierarchy.unit, 0.0), float(_SCALE))
        for bound in (region.x_min, region.x_max, region.y_min, region.y_max)
    ]
    if any(abs(value - round(value)) > 1e-9 for value in numbers):
        raise problem(
            gate,
            field,
            f"must be whole multiples of 1/{_SCALE} of the scale for DAFi",
            found=numbers,
        )
    return [round(value) for value in numbers]


def _slope_bounds(gate: Gate) -> list[int]:
    """Two corners within 0..200 whose ratios are the slopes exactly."""
    assert isinstance(gate.region, Slope)
    corners = []
    for value in (gate.region.low, gate.region.high):
        pairs = [(x, round(value * x)) for x in range(_SCALE, 0, -1) if value * x <= _SCALE]
        exact = [(x, y) for x, y in pairs if abs(y / x - value) < 1e-12]
        if not exact:
            raise problem(
                gate.name, "slope", f"must be a ratio of whole numbers up to {_SCALE}", found=value
            )
        corners.append(exact[0])
    (x_low, y_low), (x_high, y_high) = corners
    return [x_low, x_high, y_low, y_high]
