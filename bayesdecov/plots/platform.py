"""Plots of what a cohort tells of the platforms of bulks and reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bayesdecov.plots.proportions import plain

_NAMED = 8  # genes with the largest factors
_OUTLIER = 0.25  # weight below which a gene is one


def gene_shifts(table: pd.DataFrame, expression: pd.Series | None = None) -> Figure:
    """Factors of the genes (log2), with their errors, and against expression where it is given.

    ``table`` is `Deconvolution.gene_shifts`; ``expression`` the mean of the reference by gene.

    Examples
    --------
    >>> import bayesdecov as bd
    >>> cohort = bd.simulate.convolution(n_samples=6, n_genes=40, n_types=3, seed=1)
    >>> reference = bd.Reference.from_samples(cohort.purified, cohort.labels)
    >>> figure = bd.plots.gene_shifts(bd.deconvolve(cohort.bulk, reference).gene_shifts)
    """
    ordered = table.sort_values("shift")
    place = np.arange(len(ordered))
    if expression is not None:
        place = np.log2(expression.reindex(ordered.index).to_numpy(dtype=float) + 1)
    outlier = (ordered["weight"] < _OUTLIER).to_numpy()
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.axhline(0, color="0.7", linewidth=0.8)
    shift, sd = ordered["shift"].to_numpy(), ordered["sd"].to_numpy()
    for rows, colour, label in (
        (~outlier, "tab:blue", "genes"),
        (outlier, "tab:red", "outliers (small weight)"),
    ):
        if rows.any():
            axes.errorbar(
                place[rows], shift[rows], 2 * sd[rows], fmt=".", color=colour, label=label,
                markersize=4, elinewidth=0.6,
            )  # fmt: skip
    for i in np.argsort(-np.abs(shift), kind="stable")[:_NAMED]:
        axes.annotate(plain(ordered.index[i]), (place[i], shift[i]), fontsize=7)
    axes.set_ylabel("bulk / reference (log2)")
    axes.set_xlabel("genes, by their factor" if expression is None else "expression (log2)")
    axes.legend(fontsize=8, frameon=False)
    return figure
