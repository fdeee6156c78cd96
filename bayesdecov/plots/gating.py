"""Dot plots of gated events: a strip per sample, or a strip per gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Polygon as Patch

from bayesdecov.errors import InputError
from bayesdecov.gating.regions import Box, Polygon, Region, Slope
from bayesdecov.gating.result import Gating
from bayesdecov.plots.proportions import colours, plain

_GROUND = "#D3D3D3"
_PARENT = "0.3"
_WIDE = 6  # panels in a row
_LONG = 40  # letters of a title in one line
_OUTSIDE = 0.02  # of the scale, around it


def gates(gating: Gating, sample: str) -> Figure:
    """All gates of one sample, in order.

    White: all events. Dark grey: the parent's events that are not in the population. Colour: the
    population. Lines: the region; dotted: excluded regions. Red crosses: centroids of the clusters
    that were kept, which may lie outside a child's axes but always inside its region. Consecutive
    gates with the same axes and parent share a panel. Only a subsample of the events is drawn.
    """
    _known(sample, list(gating.pictures), "sample")
    groups = _groups(gating)
    figure, panels = _strip(len(groups))
    for panel, group in zip(panels, groups, strict=True):
        _dots(panel, gating, sample, group, "\n".join(_title(gating, sample, g) for g in group))
    figure.suptitle(plain(sample), fontsize=10, x=0.01, ha="left")
    return figure


def gate(gating: Gating, name: str, samples: Sequence[str] | None = None) -> Figure:
    """One gate in all samples, or in some, drawn as in `gates`."""
    _known(name, gating.hierarchy.names, "gate")
    index = gating.hierarchy.names.index(name)
    samples = list(gating.pictures) if samples is None else list(samples)
    for sample in samples:
        _known(sample, list(gating.pictures), "samples")
    figure, panels = _strip(len(samples))
    for panel, sample in zip(panels, samples, strict=True):
        title = f"{plain(str(sample))}\n{_title(gating, sample, index)}"
        _dots(panel, gating, sample, [index], title)
    figure.suptitle(plain(gating.hierarchy.path(name)), fontsize=10, x=0.01, ha="left")
    return figure


def _known(name: str, names: Sequence[str], argument: str) -> None:
    if name not in names:
        raise InputError(
            argument, f"must be one of {', '.join(map(repr, names[:12]))}", found=repr(name)
        )


def _groups(gating: Gating) -> list[list[int]]:
    """Groups of consecutive gates on the same axes of the same parent."""
    groups: list[list[int]] = []
    for i, one in enumerate(gating.hierarchy.gates):
        last = gating.hierarchy.gates[groups[-1][-1]] if groups else None
        if last is not None and (last.x, last.y, last.parent) == (one.x, one.y, one.parent):
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _strip(count: int) -> tuple[Figure, list[Any]]:
    columns = min(count, _WIDE)
    rows = -(-count // columns)
    figure = Figure(figsize=(2.6 * columns, 2.9 * rows + 0.3), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels[count:]:
        panel.set_visible(False)
    return figure, list(panels[:count])


def _title(gating: Gating, sample: str, index: int) -> str:
    hierarchy = gating.hierarchy
    one = hierarchy.gates[index]
    count = gating.counts.loc[sample, one.name]
    whole = (
        gating.diagnostics.loc[sample, "used"]
        if one.parent is None
        else gating.counts.loc[sample, one.parent]
    )
    share = 100 * count / whole if whole else 0.0
    text = f"{plain(one.name)}: {share:.1f} % of {plain(one.parent or 'all')}"
    return text if len(text) < _LONG else text.replace(": ", ":\n", 1)


def _dots(panel: Any, gating: Gating, sample: str, group: list[int], title: str) -> None:
    hierarchy, picture = gating.hierarchy, gating.pictures[sample]
    first = hierarchy.gates[group[0]]
    points = picture.points(group[0])
    parent = (
        np.ones(len(points), dtype=bool)
        if first.parent is None
        else picture.inside[hierarchy.names.index(first.parent)]
    )
    members = picture.inside[group]
    dots: dict[str, Any] = {"s": 1.6, "linewidths": 0, "rasterized": True}
    panel.set_facecolor(_GROUND)
    panel.scatter(*points[~parent].T, color="white", **dots)
    panel.scatter(*points[parent & ~members.any(axis=0)].T, color=_PARENT, **dots)
    for inside, colour in zip(members, colours(len(group)), strict=True):
        panel.scatter(*points[inside].T, color=colour, **dots)
    low, high = _limits(hierarchy.scale, hierarchy.unit, points)
    for i in group:
        one = hierarchy.gates[i]
        _outline(panel, one.region, low, high, "-")
        for part in one.exclude:
            if part.x in (None, one.x) and part.y in (None, one.y):
                _outline(panel, part.region, low, high, ":")
        kept = picture.kept[i]
        if kept is not None and len(kept):
            panel.plot(*kept.T, "+", color="red", ms=4, mew=0.8)
    x, y = (picture.labels[column] for column in picture.axes[group[0]])
    panel.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    panel.set_xlabel(plain(x), fontsize=8)
    panel.set_ylabel(plain(y), fontsize=8)
    panel.set_title(title, fontsize=7.5, loc="left")
    panel.tick_params(labelsize=7)


def _limits(scale: float | str, unit: float, points: np.ndarray) -> tuple[Any, Any]:
    """The scale; for raw units, or events beyond the upper end, the range of the events."""
    margin = _OUTSIDE * unit
    low, high = np.full(2, -margin), np.full(2, unit + margin)
    if scale == "raw" and len(points):
        low, high = np.percentile(points, [0.5, 99.5], axis=0)
        reach = 0.1 * (high - low) + 1e-9
        return low - reach, high + reach
    if len(points):
        high = np.maximum(high, np.percentile(points, 99.5, axis=0) + margin)
    return low, high


def _outline(panel: Any, region: Region, low: Any, high: Any, style: str) -> None:
    if isinstance(region, Slope):
        x = np.array([max(low[0], 0.0), high[0]])
        for slope in (region.low, region.high):
            if np.isfinite(slope):
                panel.plot(x, slope * x, color="black", lw=0.9, ls=style)
        return
    if isinstance(region, Box):
        (x0, x1), (y0, y1) = (
            np.clip(pair, low[axis], high[axis])
            for axis, pair in enumerate(
                [(region.x_min, region.x_max), (region.y_min, region.y_max)]
            )
        )
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    else:
        assert isinstance(region, Polygon)
        corners = list(region.vertices)
    panel.add_patch(Patch(corners, closed=True, fill=False, ec="black", lw=0.9, ls=style))
