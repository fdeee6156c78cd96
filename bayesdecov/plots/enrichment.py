"""Dot plots of enriched gene sets."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from bayesdecov import checks
from bayesdecov.enrichment import Enrichment
from bayesdecov.errors import InputError
from bayesdecov.plots.proportions import plain


def enrichment(found: Enrichment, top: int = 8) -> Figure:
    """The best sets of every effect: the size of a dot is the overlap, its colour -log10 q."""
    top = checks.check_whole(top, "top")
    table = found.table
    if not len(table):
        raise InputError("enrichment", "contains no gene set to draw")
    names = list(dict.fromkeys(table.groupby("covariate", sort=False).head(top)["gene_set"]))
    effects = list(dict.fromkeys(table["covariate"]))
    part = table[table["gene_set"].isin(names)]
    x = [effects.index(name) for name in part["covariate"]]
    y = [len(names) - 1 - names.index(name) for name in part["gene_set"]]
    strength = -np.log10(np.maximum(part["q_value"].to_numpy(), 1e-300))
    longest = max(len(plain(name)) for name in names)
    figure = Figure(
        figsize=(2.2 + 0.07 * longest + 0.6 * len(effects), 1.8 + 0.28 * len(names)),
        layout="constrained",
    )
    axes = figure.subplots()
    size = 12 + 160 * part["overlap"].to_numpy() / max(int(part["overlap"].max()), 1)
    dots = axes.scatter(x, y, s=size, c=strength, cmap="viridis", vmin=0)
    axes.set_xticks(
        range(len(effects)), [plain(name) for name in effects], rotation=60, ha="right", fontsize=8
    )
    axes.set_yticks(range(len(names)), [plain(name) for name in reversed(names)], fontsize=8)
    axes.set_xlim(-0.6, len(effects) - 0.4)
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    figure.colorbar(dots, ax=axes, label="-log10 q", shrink=0.7)
    axes.set_title("Enriched gene sets (size: overlap)", fontsize=9, loc="left")
    return figure
