"""Ranks of the truth: deviation of their distribution from the uniform."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from bayesdecov.calibration.result import Calibration
from bayesdecov.plots.proportions import plain

_MOST = 12


def calibration(found: Calibration) -> Figure:
    """Empirical distribution of ranks minus the uniform distribution, with its band, and coverage.

    Examples
    --------
    >>> import bayesdecov as bd
    >>> from bayesdecov.calibration import calibrate
    >>> figure = bd.plots.calibration(calibrate(method="map", simulations=20, n_genes=20, seed=1))
    """
    figure = Figure(
        figsize=(9.0, 3.6) if found.ranks is not None else (4.5, 3.6), layout="constrained"
    )
    if found.ranks is None or found.band is None:
        axes = figure.subplots()
    else:
        from bayesdecov.calibration.bands import ecdf

        left, axes = figure.subplots(1, 2)
        band = found.band
        left.fill_between(
            band.points,
            band.low - band.points,
            band.high - band.points,
            color="0.9",
            label="99.9 % band",
            step="mid",
        )
        curves = ecdf(found.ranks.to_numpy(), len(band.points))
        for j, name in enumerate(found.ranks.columns[:_MOST]):
            left.plot(band.points, curves[:, j] - band.points, lw=1.1, label=plain(name))
        left.axhline(0, color="0.6", lw=0.8)
        left.set(xlabel="rank of the truth (share of the draws)", ylabel="ECDF − uniform")
        left.legend(fontsize=6.5, frameon=False, ncols=2)
        left.spines[["top", "right"]].set_visible(False)
    table = found.coverage.groupby("level")["coverage"].agg(["mean", "min", "max"])
    levels = table.index.to_numpy()
    axes.plot([0.4, 1], [0.4, 1], color="0.6", lw=0.8)
    reach = np.stack([table["mean"] - table["min"], table["max"] - table["mean"]])
    axes.errorbar(
        levels,
        table["mean"],
        yerr=np.maximum(reach, 0.0),  # the mean of equal terms may differ from them by rounding
        fmt="o",
        ms=4,
        capsize=2,
        color="#1b4f72",
    )
    axes.set(
        xlabel="nominal probability",
        ylabel="intervals that contain the truth",
        xlim=(0.42, 1.0),
        ylim=(0.42, 1.0),
    )
    axes.spines[["top", "right"]].set_visible(False)
    s = found.settings | found.facts
    figure.suptitle(
        f"Calibration of {s['model']} by {s['method']}, {s['simulations']} simulations", fontsize=10
    )
    return figure
