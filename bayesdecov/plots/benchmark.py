"""Plots of benchmarks: heat maps of methods x problems, spill-over, accuracy against time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bayesdecov import checks
from bayesdecov.benchmarking.result import Benchmark
from bayesdecov.errors import InputError
from bayesdecov.plots.proportions import plain


class _Style(NamedTuple):
    title: str
    cmap: str
    digits: int = 2


_LOOKS = {
    "rmse": _Style(
        "Root mean squared error (colour: ratio to the best of the column)", "viridis_r", 3
    ),
    "mae": _Style("Mean absolute error (colour: ratio to the best of the column)", "viridis_r", 3),
    "bias": _Style("Mean absolute bias of the cell types", "viridis_r", 3),
    "r_types": _Style("Correlation with the truth, mean over cell types", "viridis"),
    "r": _Style("Correlation with the truth, samples and cell types pooled", "viridis"),
    "ccc": _Style("Lin's concordance", "viridis"),
    "coverage": _Style("Coverage of the intervals (colour: difference from nominal)", "RdBu"),
    "width": _Style("Mean width of the intervals", "viridis_r", 3),
    "interval_score": _Style("Interval score (smaller is better)", "viridis_r"),
    "seconds": _Style("Seconds, one thread (colour: logarithm)", "viridis_r"),
    "memory_mb": _Style("Memory, MB (colour: logarithm)", "viridis_r", 0),
    "failed": _Style("Share of samples without an estimate", "viridis_r"),
}
_OF_TYPES = ("r", "ccc", "rmse", "mae", "bias", "coverage", "width", "interval_score")
_DARK = 0.45  # luminance below which text is white
_WORST = 4.0  # times the best: the darkest colour


def heat_map(found: Benchmark, metric: str = "rmse") -> Figure:
    """One metric, with a row per method (the best first) and a column per scenario and level.

    Hatched cells: the method failed or does not have this metric.

    Examples
    --------
    >>> import bayesdecov as bd
    >>> from bayesdecov.benchmarking import benchmark
    >>> found = benchmark("noise", ["nnls", "ols"], quick=True, memory=False)
    >>> figure = bd.plots.heat_map(found)
    """
    look = _LOOKS[checks.check_choice(metric, tuple(_LOOKS), "metric")]
    levels = found.levels()
    grid = _grid(levels, metric, list(found.summary().index))
    if metric in ("coverage", "width", "interval_score"):
        grid = grid.dropna(how="all")
    if not len(grid):
        raise InputError("metric", f"no method has {metric}")
    return _drawn(grid, _colours(grid, metric, float(found.settings["prob"])), look)


def by_type(found: Benchmark, scenario: str, metric: str = "r") -> Figure:
    """One metric for every method and cell type of a scenario, averaged over levels and repeats."""
    look = _LOOKS[checks.check_choice(metric, _OF_TYPES, "metric")]
    part = found.scores[found.scores["scenario"] == scenario]
    if not len(part):
        raise InputError("scenario", "must be one of the benchmark's", found=repr(scenario))
    part = part[~part["cell_type"].isin(("all", "other"))]
    if metric == "bias":
        part = part.assign(bias=part["bias"].abs())
    grid = part.pivot_table(index="method", columns="cell_type", values=metric, sort=False)
    grid = grid.reindex(index=[name for name in found.summary().index if name in grid.index])
    if not grid.notna().to_numpy().any():
        raise InputError("metric", f"no method has {metric} in {scenario!r}")
    said = _Style(f"{scenario}: {look.title.split(' (')[0].split(',')[0]}", look.cmap, look.digits)
    return _drawn(grid, _colours(grid, metric, float(found.settings["prob"])), said)


def spill_over(found: Benchmark, level: str | None = None) -> Figure:
    """Mean estimates (columns) in samples of one cell type (rows), a panel per method.

    ``level``: a level of the scenario; default: the last one, with the most similar types.
    """
    part = found.estimates
    part = part[part["scenario"] == "spill-over"] if len(part) else part
    if not len(part):
        raise InputError("benchmark", "has no scenario 'spill-over'")
    level = str(part["level"].iloc[-1]) if level is None else level
    part = part[part["level"] == checks.check_choice(level, tuple(part["level"].unique()), "level")]
    methods = [name for name in found.summary().index if name in set(part["method"])]
    types = list(dict.fromkeys(part["cell_type"]))
    columns = min(5, len(methods))
    rows = -(-len(methods) // columns)
    figure = Figure(figsize=(0.8 + 2.1 * columns, 0.9 + 2.0 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    pure = part[part["truth"] > 0.5].set_index(["repeat", "method", "sample"])["cell_type"]
    image = None
    for axes, name in zip(panels.ravel(), methods, strict=False):
        mine = part[part["method"] == name].set_index(["repeat", "method", "sample"])
        mine = mine.assign(of=pure.reindex(mine.index))
        grid = mine.groupby(["of", "cell_type"])["estimate"].mean().unstack()
        image = axes.imshow(
            grid.reindex(index=types, columns=types), vmin=0, vmax=1, cmap="magma_r"
        )
        axes.set_title(plain(name), fontsize=8)
    for axes in panels.ravel()[len(methods) :]:
        axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_yticks(range(len(types)), [plain(name) for name in types], fontsize=7)
    for axes in panels.ravel()[max(0, len(methods) - columns) : len(methods)]:
        axes.xaxis.set_tick_params(labelbottom=True)
        axes.set_xticks(range(len(types)), [plain(name) for name in types], rotation=90, fontsize=7)
    if image is not None:
        figure.colorbar(image, ax=panels, shrink=0.6, label="mean estimate")
    figure.suptitle(f"Samples of one cell type (rows), {level}", fontsize=10)
    return figure


def cost(found: Benchmark) -> Figure:
    """Error relative to the best method, against time, one point per method."""
    table = found.summary().dropna(subset=["rmse_to_best"])
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.scatter(
        table["seconds"].astype(float), table["rmse_to_best"].astype(float), color="#1b4f72", s=22
    )
    for name, row in table.iterrows():
        axes.annotate(
            plain(name),
            (row["seconds"], row["rmse_to_best"]),
            fontsize=7,
            xytext=(4, 3),
            textcoords="offset points",
        )
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.set(
        xlabel="seconds per cohort, one thread (mean)",
        ylabel="RMSE relative to the best method (geometric mean)",
    )
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _grid(levels: pd.DataFrame, metric: str, methods: list[str]) -> pd.DataFrame:
    """Methods x problems in the order of the run."""
    place = levels["scenario"] + "\n" + levels["level"]
    grid = levels.assign(place=place).pivot(index="method", columns="place", values=metric)
    return grid.reindex(index=methods, columns=list(dict.fromkeys(place)))


def _colours(grid: pd.DataFrame, metric: str, prob: float) -> tuple[np.ndarray, Normalize]:
    """Values shown by the colour, and their range."""
    values = grid.to_numpy(dtype=float)
    if metric in ("rmse", "mae"):
        ratio = values / np.maximum(grid.min().to_numpy(), 1e-12)
        return np.log(ratio), Normalize(0, np.log(_WORST))
    if metric in ("seconds", "memory_mb"):
        shown = np.log(np.maximum(values, 1e-4))
        return shown, Normalize(float(np.nanmin(shown)), float(np.nanmax(shown)) + 1e-9)
    if metric == "coverage":
        return values, TwoSlopeNorm(prob, 0.0, 1.0)
    if metric in ("r", "r_types", "ccc"):
        return values, Normalize(0, 1)
    return values, Normalize(0, max(float(np.nanmax(values)), 1e-9))


def _drawn(grid: pd.DataFrame, shown: tuple[np.ndarray, Normalize], look: _Style) -> Figure:
    colour, norm = shown
    rows, columns = grid.shape
    longest = max(len(plain(name)) for name in grid.index)
    places = [plain(name) for name in grid.columns]
    beyond = max(0, max(map(len, places)) - 28)  # letters below and left of the plot
    figure = Figure(
        figsize=(
            1.0 + 0.07 * longest + 0.62 * columns + 0.03 * beyond,
            1.9 + 0.3 * rows + 0.06 * beyond,
        ),
        layout="constrained",
    )
    axes: Axes = figure.subplots()
    image = axes.imshow(colour, cmap=look.cmap, norm=norm, aspect="auto")
    for (i, j), value in np.ndenumerate(grid.to_numpy(dtype=float)):
        if np.isnan(value):
            axes.add_patch(_missing(j, i))
            continue
        red, green, blue, _ = image.cmap(image.norm(colour[i, j]))
        dark = 0.3 * red + 0.59 * green + 0.11 * blue < _DARK
        axes.text(
            j,
            i,
            f"{value:.{look.digits}f}",
            ha="center",
            va="center",
            fontsize=7,
            color="white" if dark else "black",
        )
    axes.set_yticks(range(rows), [plain(name) for name in grid.index], fontsize=8)
    axes.set_xticks(
        range(columns), places, rotation=60, ha="right", rotation_mode="anchor", fontsize=7
    )
    axes.set_title(look.title, fontsize=9, loc="left")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def _missing(x: int, y: int) -> Rectangle:
    return Rectangle((x - 0.5, y - 0.5), 1, 1, fc="0.94", ec="0.75", hatch="///", lw=0)
