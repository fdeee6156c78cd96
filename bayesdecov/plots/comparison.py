"""Runs compared with the most exact one."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from bayesdecov.comparison import Comparison
from bayesdecov.plots.proportions import plain

_EXACT = 0.1  # standard deviations: negligible differences


def comparison(found: Comparison) -> Figure:
    """Estimates with intervals against the yardstick, and differences in units of its posterior sd.

    Examples
    --------
    >>> import bayesdecov as bd
    >>> cohort = bd.simulate.convolution(n_samples=4, n_genes=60, n_types=3, seed=1)
    >>> reference = bd.Reference.from_samples(cohort.purified, cohort.labels)
    >>> fits = [bd.deconvolve(cohort.bulk, reference, m, seed=1) for m in ("map", "nnls")]
    >>> figure = bd.plots.comparison(bd.compare(*fits))
    """
    names = [name for name in found.summary.index if name != found.yardstick]
    tables = dict(iter(found.table.groupby("run", sort=False)))
    base = tables[found.yardstick]
    columns = len(names)
    figure = Figure(figsize=(max(3.0 * columns, 4.0), 5.6), layout="constrained")
    top, bottom = figure.subplots(2, columns, squeeze=False, height_ratios=[1.5, 1])
    for name, upper, lower in zip(names, top, bottom, strict=True):
        part = tables[name]
        ends = [
            min(base["mean"].min(), part["mean"].min()),
            max(base["mean"].max(), part["mean"].max()),
        ]
        upper.plot(ends, ends, color="0.6", lw=0.8, zorder=0)
        for table, axis in ((base, "xerr"), (part, "yerr")):
            reach = np.stack([table["mean"] - table["low"], table["high"] - table["mean"]])
            if np.isfinite(reach).any():
                bars = {axis: np.clip(np.nan_to_num(reach), 0, None)}
                upper.errorbar(
                    base["mean"], part["mean"], fmt="none", lw=0.5, color="0.75", zorder=1, **bars
                )
        upper.plot(base["mean"], part["mean"], "o", ms=2.5, color="#1b4f72", zorder=2)
        upper.set(xlabel=plain(found.yardstick), ylabel=plain(name))
        lower.axhspan(-_EXACT, _EXACT, color="0.92", zorder=0)
        lower.axhline(0, color="0.6", lw=0.8, zorder=0)
        lower.plot(base["mean"], part["difference_in_sd"], "o", ms=2.5, color="#a04000")
        lower.set(xlabel=plain(found.yardstick), ylabel="difference (posterior sd)")
        for axes in (upper, lower):
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=8)
    what = "proportions" if found.kind == "deconvolve" else "effects"
    figure.suptitle(f"{what}: runs against {plain(found.yardstick)}", fontsize=10)
    return figure
