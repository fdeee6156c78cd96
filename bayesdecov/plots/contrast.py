"""Differences of proportions with their intervals."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from bayesdecov.cohort.result import Contrast
from bayesdecov.plots.proportions import plain

_COLUMNS = 3
_SURE = 0.025


def contrast(found: Contrast) -> Figure:
    """A panel per contrast: mean and interval, dark if the sign is credible; the rope in grey."""
    names = list(dict.fromkeys(found.table["contrast"]))
    types = list(found.cell_types)
    columns = min(_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    longest = max(len(plain(name)) for name in types)
    figure = Figure(
        figsize=(0.9 + 0.07 * longest + 3.4 * columns, rows * (1.1 + 0.28 * len(types))),
        layout="constrained",
    )
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    rope = float(found.settings["rope"])
    for axes, name in zip(panels.ravel(), names, strict=False):
        part = found.table[found.table["contrast"] == name]
        y = np.arange(len(part))[::-1]
        if rope > 0:
            axes.axvspan(-rope, rope, color="0.92", lw=0)
        axes.axvline(0, color="0.6", lw=0.8)
        for sure, colour in ((True, "#1b4f72"), (False, "0.6")):
            chosen = ((part["lfsr"] < _SURE) == sure).to_numpy()
            if chosen.any():
                own = part[chosen]
                axes.hlines(y[chosen], own["low"], own["high"], color=colour, lw=1.8)
                axes.plot(own["difference"], y[chosen], "o", ms=4, color=colour)
        axes.set_title(plain(name), fontsize=9, loc="left")
        axes.set_xlabel("percentage points", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_yticks(y, [plain(label) for label in part["cell_type"]], fontsize=8)
    for axes in panels.ravel()[len(names) :]:
        axes.set_visible(False)
    return figure
