"""Cell-type-specific effects: on the whole transcriptome, and gene by gene."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import t as student

from bayesdecov import checks
from bayesdecov.mixed_effects.fitted import FittedEffects
from bayesdecov.plots.proportions import plain

_GREY, _UP, _DOWN = "0.7", "#c0392b", "#2471a3"


def volcano(fit: FittedEffects, covariate: str, *, fdr: float = 0.05, labels: int = 10) -> Figure:
    """Effect on every gene against its quasi-p-value, for one design column.

    Genes with a q-value below ``fdr`` are coloured by the sign of their deviation from the
    transcriptome-wide effect (the dashed line); the most significant ``labels`` are named.

    Examples
    --------
    >>> import bayesdecov as bd
    >>> cohort = bd.simulate.fastmix("III", n_genes=300, n_samples=30, seed=1)
    >>> de = bd.fastmix(cohort.expression, cohort.proportions, cohort.covariates, "mixture")
    >>> figure = bd.plots.volcano(de, "Cell1.Group")
    """
    checks.check_choice(covariate, fit.random, "covariate")
    checks.check_probability(fdr, "fdr")
    table = fit.genes[fit.genes["covariate"] == covariate]
    height = -np.log10(np.maximum(table["p_value"].to_numpy(), 1e-300))
    x, called = table["effect"].to_numpy(), table["q_value"].to_numpy() < fdr
    up = table["random_effect"].to_numpy() > 0
    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for mask, colour, name in (
        (~called, _GREY, f"q ≥ {fdr:g}"),
        (called & up, _UP, f"above the rest ({int((called & up).sum())})"),
        (called & ~up, _DOWN, f"below the rest ({int((called & ~up).sum())})"),
    ):
        axes.plot(
            x[mask],
            height[mask],
            "o",
            ms=2.5 if colour == _GREY else 4,
            color=colour,
            label=name,
            alpha=0.5 if colour == _GREY else 0.9,
            mew=0,
        )
    centre = float(fit.fixed.loc[covariate, "estimate"])
    axes.axvline(centre, color="0.4", linewidth=0.8, linestyle="--", zorder=0)
    for i in [i for i in np.argsort(-height) if called[i]][:labels]:
        axes.annotate(
            plain(table["gene"].iloc[i]),
            (x[i], height[i]),
            fontsize=6.5,
            xytext=(3, 2),
            textcoords="offset points",
        )
    axes.set(
        xlabel="effect (per sd of the covariate)" if fit.settings.get("standardise") else "effect",
        ylabel="−log10 quasi-p-value",
    )
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=7.5)
    axes.margins(x=0.08)
    axes.set_title(f"{plain(covariate)} ({fit.method})", fontsize=10, loc="left")
    return figure


def effects(fit: FittedEffects, *, prob: float = 0.95) -> Figure:
    """Transcriptome-wide effects with intervals, over the spread of the genes' own effects.

    Wide bars span the central ``prob`` of the genes' effects, dots and thin bars are the fixed
    effects with their confidence intervals.

    Examples
    --------
    >>> import bayesdecov as bd
    >>> cohort = bd.simulate.fastmix("III", n_genes=300, n_samples=30, seed=1)
    >>> figure = bd.plots.effects(bd.fastmix(cohort.expression, cohort.proportions,
    ...                                      cohort.covariates))
    """
    checks.check_probability(prob, "prob")
    fixed = fit.fixed
    tail = (1 - prob) / 2
    low, high = fit.effects.quantile([tail, 1 - tail]).to_numpy()
    reach = (fixed["std_error"] * student.isf(tail, fixed["df"])).to_numpy()
    levels = fit.design.columns["kind"].isin(["cell", "intercept"]).to_numpy()
    parts = [(levels, "expression"), (~levels, "effect of covariates")]
    heights = [max(int(rows.sum()), 1) for rows, _ in parts]
    figure = Figure(figsize=(5.8, 0.28 * len(fixed) + 2.2), layout="constrained")
    panels = figure.subplots(2, 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, (rows, label) in zip(panels, parts, strict=True):
        y = np.arange(int(rows.sum()))[::-1]
        axes.barh(
            y,
            (high - low)[rows],
            left=low[rows],
            height=0.55,
            color="0.88",
            label=f"{prob:.0%} of the genes",
        )
        axes.errorbar(
            fixed["estimate"].to_numpy()[rows],
            y,
            xerr=reach[rows],
            fmt="o",
            ms=4,
            color="#1b4f72",
            lw=1.4,
            capsize=2,
            label=f"whole transcriptome, {prob:.0%} interval",
        )
        axes.axvline(0, color="0.5", linewidth=0.8)
        axes.set_yticks(y, [plain(name) for name in fixed.index[rows]], fontsize=8)
        axes.set_xlabel(label, fontsize=8)
        axes.tick_params(axis="x", labelsize=8)
        axes.use_sticky_edges = False
        axes.margins(x=0.04)
        axes.autoscale_view()
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=7.5,
    )
    panels[0].set_title(f"Cell-type-specific effects ({fit.method})", fontsize=10, loc="left")
    return figure
