"""Plots of proportions: stacked bars, and estimates with intervals."""

from __future__ import annotations

import unicodedata

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure

from bayesdecov import checks
from bayesdecov.results.proportions import Proportions

_LONGEST = 50  # letters of a name
_FEW_SAMPLES = 20
_MANY_SAMPLES = 60  # with more samples, names would not be readable


def colours(count: int) -> list[tuple[float, ...]]:
    """Distinct colours: a qualitative map for up to 20 types, a continuous one beyond."""
    if count <= 10:
        return [colormaps["tab10"](i) for i in range(count)]
    if count <= 20:
        return [colormaps["tab20"](i) for i in range(count)]
    return [colormaps["turbo"](x) for x in np.linspace(0.02, 0.98, count)]


def plain(name: object) -> str:
    """A name that matplotlib does not parse as mathematics, shortened if very long."""
    text, width = str(name), 0
    for number, letter in enumerate(text):
        width += 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if width > _LONGEST:
            text = f"{text[: max(1, number - 3)]}..."
            break
    return text.replace("$", r"\$")


def stacked_bars(fit: Proportions, *, title: str | None = None) -> Figure:
    """One bar per sample, one colour per cell type, sorted by the most abundant type.

    Examples
    --------
    >>> import bayesdecov as bd
    >>> cohort = bd.simulate.convolution(n_samples=6, n_genes=40, n_types=3, seed=1)
    >>> reference = bd.Reference.from_samples(cohort.purified, cohort.labels)
    >>> figure = bd.plots.stacked_bars(bd.deconvolve(cohort.bulk, reference))
    """
    table = fit.proportions.fillna(0.0)
    palette = dict(zip(table.columns, colours(table.shape[1]), strict=True))
    table = table[table.mean().sort_values(ascending=False).index]
    table = table.sort_values(table.columns[0], ascending=False)
    n = len(table)
    types, samples = ([plain(name) for name in names] for names in (table.columns, table.index))
    few = n <= _MANY_SAMPLES
    wider = 0.07 * max(0, max(map(len, types)) - 20)  # inches needed by long names
    higher = 0.05 * max(0, max(map(len, samples)) - 16) if few else 0.0
    figure = Figure(
        figsize=(float(np.clip(0.16 * n + 2.6, 5, 14)) + wider, 3.6 + higher), layout="constrained"
    )
    axes = figure.subplots()
    bottom = np.zeros(n)
    for label, (name, column) in zip(types, table.items(), strict=True):
        axes.bar(np.arange(n), column, bottom=bottom, width=0.92, color=palette[name], label=label)
        bottom += column.to_numpy()
    axes.set(xlim=(-0.6, n - 0.4), ylim=(0, 1), ylabel=plain(fit.quantity), xlabel=f"{n} samples")
    if few:
        axes.set_xticks(np.arange(n), samples, rotation=90, fontsize=6)
    else:
        axes.set_xticks([])
    axes.spines[["top", "right"]].set_visible(False)
    handles, names = axes.get_legend_handles_labels()
    axes.legend(
        handles[::-1],
        names[::-1],
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        frameon=False,
        fontsize=8,
    )
    axes.set_title(title or f"Cell-type proportions ({fit.method})", fontsize=10, loc="left")
    return figure


def intervals(fit: Proportions, *, prob: float = 0.95, truth: pd.DataFrame | None = None) -> Figure:
    """Estimates with their intervals, one panel per cell type.

    With ``truth`` (samples x cell types), estimates are drawn against it, and each title gives the
    share of intervals that contain it. Otherwise samples are named or, if there are more than
    twenty, ordered by their estimates.
    """
    checks.check_probability(prob, "prob")
    table = fit.intervals(prob)
    names = list(fit.proportions.columns)
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    samples = [plain(name) for name in fit.proportions.index]
    few = truth is None and len(samples) <= _FEW_SAMPLES
    higher = 0.05 * max(0, max(map(len, samples)) - 16) if few else 0.0  # inches of long names
    figure = Figure(figsize=(3.1 * columns, (2.7 + higher) * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for panel in panels.ravel()[len(names) :]:
        panel.set_visible(False)
    for name, panel, colour in zip(names, panels.ravel(), colours(len(names)), strict=False):
        part = table[table["cell_type"] == name].set_index("sample")
        if truth is None:
            part = part if few else part.sort_values("mean")
            x = np.arange(len(part), dtype=float)
            if few:
                panel.set_xticks(x, [plain(label) for label in part.index], rotation=90, fontsize=6)
            else:
                panel.set_xlabel("samples, in order of the estimate")
            panel.set_title(plain(name), fontsize=9 if len(name) <= 36 else 6, loc="left")
        else:
            x = truth[name].reindex(part.index).to_numpy(dtype=float)
            top = float(np.nanmax([x.max(), part["mean"].max()])) * 1.08 + 1e-3
            panel.plot([0, top], [0, top], color="0.6", linewidth=0.8, zorder=0)
            panel.set(xlabel="truth", xlim=(0, top))
            inside = ((part["low"] <= x) & (part["high"] >= x)).mean()
            said = (
                f": {inside:.0%} of intervals contain the truth"
                if part["low"].notna().any()
                else ""
            )
            panel.set_title(f"{plain(name)}{said}", fontsize=8, loc="left")
        reach = np.stack([part["mean"] - part["low"], part["high"] - part["mean"]])
        if np.isfinite(reach).all():
            panel.errorbar(
                x, part["mean"], np.maximum(reach, 0), fmt="o", ms=2.5, lw=0.8, color=colour
            )
        else:
            panel.plot(x, part["mean"], "o", ms=2.5, color=colour)
        panel.set_ylim(bottom=0)
        panel.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{plain(fit.quantity)} with {prob:.0%} intervals ({fit.method})", fontsize=10)
    return figure
