"""Sections that say how far a run can be trusted: sampling, predictions, strangers, genes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.deconvolution.diagnostics import (
    LEAST_CORRELATION,
    findings,
    largest_misfit,
)
from bayesdecov.diagnostics import MEANINGS
from bayesdecov.plots import diagnostics as draw
from bayesdecov.plots.platform import gene_shifts
from bayesdecov.reporting import words
from bayesdecov.reporting.parts import picture, section, table_of
from bayesdecov.results.run import Run
from bayesdecov.verdicts import E_BFMI, ESS, PARETO_K, R_HAT, Finding

_WORST = 10
_CHAINS = 3  # samples whose chains are drawn
_GENES = 25


def findings_of(run: Run) -> dict[str, list[Finding]]:
    """The problems of each sample."""
    table = run.tables["diagnostics"].drop(columns="verdict")
    limit = checks.to_number(run.settings.get("max_pareto_k", PARETO_K))
    n_genes = run.groups["observed_data"].sizes["gene"]
    return dict(zip(table.index.astype(str), findings(table, n_genes, limit), strict=True))


def sampling(run: Run) -> dict[str, Any]:
    """How draws were made, and whether they can be trusted."""
    table = run.tables["diagnostics"]
    if "r_hat" in table:
        return _chains(run, table)
    if "pareto_k" in table:
        pictures = [
            picture(draw.quality(table, {"pareto_k": PARETO_K}), "Pareto-k of every sample")
        ]
        text = (
            f"Pareto-k of the importance weights between the approximation and the exact "
            f"posterior: draws are reliable up to {PARETO_K:g}. Largest: "
            f"{table['pareto_k'].max():.2f}."
        )
        worst = table[["pareto_k", "verdict"]].sort_values("pareto_k", ascending=False)
        return section(
            "Quality of the approximation",
            text,
            pictures,
            [table_of(worst.head(_WORST), "Worst samples")],
        )
    columns = [
        name for name in ("converged", "iterations", "rdm", "modes", "verdict") if name in table
    ]
    text = (
        f"{int(table['converged'].sum())} of {len(table)} samples converged. This method gives "
        "a point estimate; use method='nuts' to sample the posterior."
    )
    order = table["converged"].astype(bool).argsort(kind="stable")
    return section(
        "Convergence",
        text,
        [],
        [table_of(table[columns].iloc[order].head(_WORST), "First samples")],
    )


def _chains(run: Run, table: pd.DataFrame) -> dict[str, Any]:
    limits = {"r_hat": R_HAT, "ess_bulk": ESS, "ess_tail": ESS, "e_bfmi": E_BFMI}
    pictures = [picture(draw.quality(table, limits), "Convergence of every sample")]
    worst = table.sort_values(["ess_tail", "ess_bulk"])
    drawn = run.groups["posterior"]["proportions"]
    energy = run.groups["sample_stats"]["energy"]
    names = run.groups["posterior"]["sample"].to_numpy().astype(str)
    types = run.tables["proportions"].columns
    for sample in worst.index[:_CHAINS]:
        i = int(np.flatnonzero(names == str(sample))[0])
        values = drawn.isel(sample=i).transpose("chain", "draw", "cell_type").to_numpy()
        j = int(values.reshape(-1, values.shape[-1]).mean(axis=0).argmin())
        energies = energy.isel(sample=i).transpose("chain", "draw").to_numpy()
        title = f"{sample}, {types[j]}"
        pictures.append(
            picture(
                draw.chains(values[:, :, j], energies, title),
                f"Trace, ranks and energies of {title}",
            )
        )
    columns = [
        "r_hat",
        "ess_bulk",
        "ess_tail",
        "mcse",
        "divergences",
        "e_bfmi",
        "step_size",
        "tree_depth",
    ]
    meaning = pd.DataFrame(
        [(name, MEANINGS[name]) for name in columns], columns=["measure", "meaning"]
    ).set_index("measure")
    s = run.settings
    text = (
        f"{s.get('chains')} chains of {s.get('draws')} draws after {s.get('tune')} warm-up "
        f"steps for every sample ({s.get('nuts_sampler')}, acceptance {s.get('target_accept')});"
        f" {int(table['divergences'].sum())} divergences"
    )
    if table["r_hat"].notna().any():
        least = table[["ess_bulk", "ess_tail"]].min().min()
        text += f", R-hat up to {table['r_hat'].max():.3f}, at least {least:.0f} effective draws"
    text += ". Below: the samples with the fewest effective draws, each with its rarest cell type."
    return section(
        "Chains",
        text,
        pictures,
        [
            table_of(worst[[*columns, "verdict"]].head(_WORST), "Worst samples"),
            table_of(meaning, "Meaning of the measures"),
        ],
    )


def predictive(run: Run) -> dict[str, Any]:
    """Every bulk against what its fit predicts."""
    table = run.tables["diagnostics"]
    p = table["predictive_p"].astype(float)
    text = (
        f"The Mahalanobis distance of every bulk from its fit, against that of replicated data: "
        f"{int((p < 0.05).sum())} of {len(p)} samples lie beyond 95 % of the model's "
        "predictions (5 % are expected to). Many small probabilities mean that the model's "
        "covariance, usually that of the reference, is too narrow; many large ones, too wide."
    )
    return section(
        "Predictive checks", text, [picture(draw.predictive(run), "Predictive checks")], []
    )


def strangers(run: Run) -> dict[str, Any]:
    """Samples that do not look like a mixture of the cell types."""
    table = run.tables["diagnostics"]
    codes = [{finding.code for finding in mine} for mine in findings_of(run).values()]
    strange = table[["not_a_mixture" in mine for mine in codes]]
    rule = (
        f"correlation with the fit below {LEAST_CORRELATION:g} or Mahalanobis distance per gene "
        f"above {largest_misfit(table):g}"
    )
    if not len(strange):
        return section("Samples outside the reference", f"None ({rule}).", [], [])
    columns = [name for name in ("correlation", "misfit", "predictive_p") if name in table]
    return section(
        "Samples outside the reference",
        f"{len(strange)} of {len(table)} samples do not look like a mixture of these cell types "
        f"({rule}): a cell type may be missing from the reference, or the data may be of another "
        "kind.",
        [],
        [table_of(strange[columns], "")],
    )


def platform(run: Run) -> dict[str, Any] | None:
    """How genes of bulks and reference differ, and what that costs; None for one platform."""
    constant = run.groups["constant_data"]
    table = run.tables["diagnostics"]
    if "tau" not in table:
        return None
    tau = float(table["tau"].iloc[0])
    if np.isnan(tau):
        return section(
            "Bulks and reference",
            "Too few samples to learn how genes of bulks and reference differ: levels of the cell "
            "types may be wrong by more than their intervals say.",
            [],
            [],
        )
    names = ("shift", "sd", "kept", "weight")
    shifts = pd.DataFrame(
        {name: constant[f"gene_{name}"].to_numpy() for name in names},
        pd.Index(constant["gene"].to_numpy().astype(str), name="gene"),
    )
    intervals = run.tables["intervals"]
    shared = (
        intervals.groupby("cell_type", sort=False)[["mean", "sd", "shared"]].mean().round(4)
        if intervals["shared"].notna().any()
        else None
    )
    text = (
        f"Genes of bulks and reference differ by factors of exp(+-{tau:.2f}) (the scale of a "
        "heavy-tailed law), which all samples share. The error of the proportions that follows "
        "from them is the same in all samples: it is in every interval (column shared), does not "
        "shrink with more samples, and cancels in differences between samples"
        + words.of_yields(run.settings)
        + "."
    )
    largest = shifts.reindex(shifts["shift"].abs().sort_values(ascending=False).index)
    tables = [table_of(largest.head(_GENES), "Genes with the largest factors (log2)")]
    if shared is not None:
        tables.insert(0, table_of(shared, "Errors by cell type, means over samples"))
    mean = pd.Series(constant["mean"].to_numpy().mean(axis=1), shifts.index)
    return section(
        "Bulks and reference",
        text,
        [picture(gene_shifts(shifts, mean), "Factors of the genes between bulks and reference")],
        tables,
    )


def genes(run: Run) -> dict[str, Any]:
    """Genes that the fit explains worst."""
    residual = pd.DataFrame(
        run.groups["fit"]["gene_residual"].to_numpy(),
        columns=run.groups["fit"]["gene"].to_numpy().astype(str),
    ).dropna()  # samples with a refused approximation have none
    summary = pd.DataFrame(
        {
            "mean": residual.mean(),
            "rms": np.sqrt((residual**2).mean()),
            "beyond 2": (residual.abs() > 2).mean(),
        }
    ).sort_values("rms", ascending=False)
    text = (
        "Residual of every gene given all other genes, in its standard deviations. A mean far "
        "from zero indicates a gene that is higher or lower in all bulks than in the reference."
    )
    return section(
        "Worst-fitting genes",
        text,
        [picture(draw.residuals(residual, _GENES), "Residuals of the worst genes")],
        [table_of(summary.head(_GENES), "Worst genes")],
    )
