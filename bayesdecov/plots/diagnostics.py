"""Plots of the convergence of a posterior, and of its predictions.

They use a `bayesdecov.results.run.Run`, so that they can be drawn from a fit or from its files.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import rankdata

from bayesdecov.plots.proportions import colours, plain
from bayesdecov.results.run import Run

_BINS = 20
_MOST = 40  # samples in one plot
_BLUE, _RED = "#1b4f72", "#a04000"


def forest(run: Run, samples: Sequence[str] | None = None) -> Figure:
    """Estimates with their intervals, one panel per cell type, one row per sample."""
    table = run.tables["intervals"]
    order = list(dict.fromkeys(table["sample"])) if samples is None else list(samples)
    order = order[:_MOST]
    types = list(run.tables["proportions"].columns)
    columns = min(4, len(types))
    rows = -(-len(types) // columns)
    figure = Figure(
        figsize=(2.4 * columns + 1.2, rows * (0.16 * len(order) + 0.9)), layout="constrained"
    )
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    y = np.arange(len(order))[::-1]
    for panel in panels.ravel()[len(types) :]:
        panel.set_visible(False)
    for name, panel, colour in zip(types, panels.ravel(), colours(len(types)), strict=False):
        part = table[table["cell_type"] == name].set_index("sample").loc[order]
        panel.hlines(y, part["low"], part["high"], color=colour, lw=1.6)
        panel.plot(part["mean"], y, "o", ms=3, color=colour)
        panel.set_title(plain(name), fontsize=8, loc="left")
        panel.set_yticks(y, [plain(sample) for sample in order], fontsize=6)
        panel.tick_params(axis="x", labelsize=7)
        panel.set_xlim(left=0)
        _bare(panel)
    return figure


def maxima(run: Run) -> Figure:
    """Maxima of the likelihood and of the posterior, against the posterior mean."""
    fit = run.groups["fit"]
    table = run.tables["intervals"]
    mean = run.tables["proportions"]
    sd = table.pivot(index="sample", columns="cell_type", values="sd")
    sd = sd.reindex(index=[str(name) for name in mean.index], columns=mean.columns).to_numpy()
    names = [
        ("mle_estimate", "maximum of the likelihood"),
        ("map_estimate", "maximum a posteriori"),
    ]
    figure = Figure(figsize=(8.2, 3.4), layout="constrained")
    panels = figure.subplots(1, 2)
    for axes, (name, label) in zip(panels, names, strict=True):
        value = fit[name].to_numpy()
        shown = mean.to_numpy()
        top = float(np.nanmax([shown.max(), value.max()])) * 1.05
        axes.plot([0, top], [0, top], color="0.6", lw=0.8, zorder=0)
        axes.errorbar(
            shown.ravel(),
            value.ravel(),
            xerr=np.nan_to_num(sd).ravel(),
            fmt="none",
            lw=0.5,
            color="0.75",
            zorder=1,
        )
        for j, colour in enumerate(colours(shown.shape[1])):
            axes.plot(
                shown[:, j],
                value[:, j],
                "o",
                ms=2.6,
                color=colour,
                label=plain(mean.columns[j]) if axes is panels[0] else None,
            )
        axes.set(xlabel="posterior mean (bar: sd)", ylabel=label)
        _bare(axes)
    figure.legend(loc="outside right center", fontsize=7, frameon=False)
    return figure


def chains(draws: np.ndarray, energy: np.ndarray, title: str) -> Figure:
    """Trace, ranks of each chain, and energies, of draws (chain, draw)."""
    figure = Figure(figsize=(9.0, 2.3), layout="constrained")
    trace, ranks, energies = figure.subplots(1, 3)
    palette = colours(len(draws))
    every = max(1, draws.shape[1] // 500)
    for chain, colour in zip(draws, palette, strict=True):
        trace.plot(np.arange(len(chain))[::every], chain[::every], lw=0.5, color=colour)
    trace.set(xlabel="draw", title=plain(title))
    ranked = rankdata(draws).reshape(draws.shape)
    edges = np.linspace(0, draws.size, _BINS + 1)
    for chain, colour in zip(ranked, palette, strict=True):
        counts = np.histogram(chain, edges)[0]
        ranks.stairs(counts / counts.mean(), edges, lw=0.9, color=colour, baseline=None)
    ranks.axhline(1, color="0.6", lw=0.8)
    ranks.set(xlabel="rank among all chains", title="ranks", ylim=(0, None))
    level, change = energy - energy.mean(), np.diff(energy, axis=1)
    for values, label, shade in ((level, "energy", _BLUE), (change, "transition", _RED)):
        energies.hist(
            values.ravel(), bins=40, density=True, histtype="step", color=shade, label=label
        )
    energies.set(title="energies", yticks=[])
    energies.legend(fontsize=6.5, frameon=False)
    for axes in (trace, ranks, energies):
        axes.title.set_fontsize(8)
        axes.tick_params(labelsize=7)
        axes.xaxis.label.set_fontsize(7)
        _bare(axes)
    return figure


def quality(table: pd.DataFrame, measures: dict[str, float]) -> Figure:
    """Each sample's convergence measures with their limits."""
    figure = Figure(figsize=(2.4 * len(measures) + 0.4, 2.3), layout="constrained")
    for axes, (name, limit) in zip(
        figure.subplots(1, len(measures), squeeze=False)[0], measures.items(), strict=True
    ):
        axes.plot(np.arange(len(table)), np.sort(table[name].to_numpy()), "o", ms=2.4, color=_BLUE)
        axes.axhline(limit, color=_RED, lw=0.9, ls="--")
        axes.set(xlabel="samples, in order", xticks=[])
        axes.set_title(name, fontsize=8, loc="left")
        axes.tick_params(labelsize=7)
        axes.xaxis.label.set_fontsize(7)
        _bare(axes)
    return figure


def predictive(run: Run) -> Figure:
    """Predictive check: probabilities of a larger misfit, and predictions for the worst sample."""
    table = run.tables["diagnostics"]
    figure = Figure(figsize=(9.0, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.5])
    left.hist(table["predictive_p"], bins=np.linspace(0, 1, 21), color="0.75")
    left.axhline(len(table) / 20, color=_RED, lw=0.9, ls="--", label="expected")
    left.set(xlabel="probability of a larger Mahalanobis distance", ylabel="samples")
    left.legend(fontsize=7, frameon=False)
    worst = str(table["predictive_p"].astype(float).idxmin())
    samples = run.groups["observed_data"]["sample"].to_numpy().astype(str)
    i = int(np.flatnonzero(samples == worst)[0])
    observed = run.groups["observed_data"]["bulk"].to_numpy()[i]
    drawn = run.groups["posterior_predictive"]["bulk"].to_numpy()[:, :, i]
    drawn = drawn.reshape(-1, drawn.shape[-1])
    order = np.argsort(drawn.mean(axis=0))
    x = np.arange(len(order))
    if len(drawn) > 1:
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)[:, order]
        right.fill_between(x, low, high, color="0.85", step="mid", label="95 % predicted")
    right.plot(x, observed[order], ".", ms=3, color=_BLUE, label="observed")
    right.set(xlabel="genes, in order of their expectation", title=f"worst sample: {plain(worst)}")
    right.set_yscale("symlog", linthresh=max(float(np.abs(observed).mean()) / 10, 1e-6))
    right.title.set_fontsize(8)
    right.legend(fontsize=7, frameon=False)
    for axes in (left, right):
        axes.tick_params(labelsize=7)
        _bare(axes)
    return figure


def prior_and_posterior(run: Run) -> Figure:
    """Prior and posterior draws of every cell type, all samples together."""
    prior = run.groups["prior"]["proportions"].to_numpy()
    posterior = run.groups["posterior"]["proportions"].to_numpy()
    types = list(run.tables["proportions"].columns)
    columns = min(4, len(types))
    rows = -(-len(types) // columns)
    figure = Figure(figsize=(2.3 * columns + 0.4, 1.7 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    edges = np.linspace(0, 1, 41)
    for panel in panels.ravel()[len(types) :]:
        panel.set_visible(False)
    for j, (name, panel) in enumerate(zip(types, panels.ravel(), strict=False)):
        values = posterior[..., j].ravel()
        panel.hist(values[np.isfinite(values)], edges, density=True, color="0.8", label="posterior")
        panel.hist(
            prior[..., j].ravel(), edges, density=True, histtype="step", color=_RED, label="prior"
        )
        panel.set_title(plain(name), fontsize=8, loc="left")
        panel.set(yticks=[], xlim=(0, 1))
        panel.tick_params(labelsize=7)
        _bare(panel)
    panels[0, 0].legend(fontsize=6.5, frameon=False)
    return figure


def residuals(residual: pd.DataFrame, count: int = 25) -> Figure:
    """Worst-fitting genes: standardised residuals given all other genes, over the samples."""
    size = np.sqrt((residual**2).mean()).sort_values(ascending=False)
    names = list(size.index[:count])
    figure = Figure(figsize=(7.5, 0.19 * len(names) + 0.9), layout="constrained")
    axes = figure.subplots()
    y = np.arange(len(names))[::-1]
    axes.axvspan(-2, 2, color="0.94", zorder=0)
    for row, name in zip(y, names, strict=True):
        axes.plot(residual[name], np.full(len(residual), row), "|", ms=6, color=_BLUE, alpha=0.6)
        axes.plot(residual[name].mean(), row, "o", ms=3.5, color=_RED)
    axes.set_yticks(y, [plain(name) for name in names], fontsize=7)
    axes.set_xlabel(
        "standardised residual given all other genes (dot: mean of the samples)", fontsize=8
    )
    axes.tick_params(axis="x", labelsize=7)
    _bare(axes)
    return figure


def _bare(axes: object) -> None:
    axes.spines[["top", "right"]].set_visible(False)  # type: ignore[attr-defined]
