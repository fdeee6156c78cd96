"""Contents of a report about proportions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.deconvolution.diagnostics import (
    LARGEST_LEARNED,
    LARGEST_MISFIT,
    LEAST_CORRELATION,
    findings,
)
from bayesdecov.diagnostics import MEANINGS
from bayesdecov.plots import diagnostics as draw
from bayesdecov.plots.platform import gene_shifts
from bayesdecov.plots.proportions import stacked_bars
from bayesdecov.reporting import graph, words
from bayesdecov.reporting.parts import picture, section, table_of
from bayesdecov.results.run import Run
from bayesdecov.verdicts import E_BFMI, ESS, PARETO_K, R_HAT, Finding

_OF_LEVELS = {"levels_uncertain", "far_platform"}  # intervals say it, differences are free of it
_WORST = 10
_PRIOR_OF_SIZE = {
    False: "flat on the log scale",
    True: "log-normal around that of least squares, sd 3",
}
_CHAINS = 3  # samples whose chains are drawn
_GENES = 25


def content(run: Run) -> dict[str, Any]:
    """Contents for the template."""
    table = run.tables["diagnostics"]
    modelled = "predictive_p" in table
    return {
        "title": "Cell-type proportions",
        "verdict": verdict(run),
        "glance": _glance(run),
        "sections": [
            part
            for part in (
                _proportions(run),
                _comparison(run),
                _model(run) if modelled else None,
                _sampling(run),
                _predictive(run) if modelled else None,
                _strangers(run),
                _platform(run),
                _genes(run) if modelled else None,
            )
            if part is not None
        ],
        "methods": words.of_proportions(
            run.settings,
            run.groups["observed_data"].sizes["gene"],
            run.tables["proportions"].shape[1],
            run.version,
        ),
        "citations": words.citations(run.method, words.DECOVART),
    }


def verdict(run: Run) -> dict[str, Any]:
    """Whether the run can be trusted, in one line, and the reasons if not."""
    found = _findings(run)
    bad = {sample: mine for sample, mine in found.items() if mine}
    n = len(found)
    if not bad:
        what = "All diagnostics are good" if run.method in ("nuts", "laplace") else "All converged"
        return {"colour": "good", "text": f"{what} in all {n} samples.", "reasons": []}
    reasons: dict[str, list[str]] = {}
    for sample, mine in bad.items():
        for kind in dict.fromkeys(finding.kind for finding in mine):
            reasons.setdefault(kind, []).append(sample)
    wrong = [name for name, mine in bad.items() if {each.code for each in mine} - _OF_LEVELS]
    colour = "poor" if len(wrong) > 0.2 * n else "mixed"
    text = f"{n - len(bad)} of {n} samples are good; inspect the other {len(bad)}."
    if not wrong:
        text = (
            f"Levels are uncertain in {len(bad)} of {n} samples, differences between samples are "
            "good: see 'Bulks and reference'."
        )
    return {
        "colour": colour,
        "text": text,
        "reasons": [
            f"{kind}: {len(names)} ({checks.some(names)})" for kind, names in reasons.items()
        ],
    }


def _findings(run: Run) -> dict[str, list[Finding]]:
    """The problems of each sample."""
    table = run.tables["diagnostics"].drop(columns="verdict")
    limit = checks.to_number(run.settings.get("max_pareto_k", PARETO_K))
    n_genes = run.groups["observed_data"].sizes["gene"]
    return dict(zip(table.index.astype(str), findings(table, n_genes, limit), strict=True))


def _glance(run: Run) -> list[tuple[str, str]]:
    """Data and reference in a few lines."""
    s = run.settings
    mean = run.groups["constant_data"]["mean"]
    values = mean.to_numpy() / np.linalg.norm(mean.to_numpy(), axis=0)
    replicates = run.groups["constant_data"]["replicates"].to_numpy()
    made = ", ".join(
        f"{k}: {v}"
        for k, v in (s.get("reference") or {}).items()
        if isinstance(v, (str, int, float))
    )
    return [
        ("Bulk samples", str(len(run.tables["proportions"]))),
        ("Cell types", ", ".join(map(str, run.tables["proportions"].columns))),
        ("Genes used", str(mean.sizes["gene"])),
        ("Proportions are", str(s.get("quantity", ""))),
        ("Scale", str(s.get("scale", ""))),
        ("Reference", made or "moments as given"),
        ("Replicates per cell type", ", ".join(map(str, replicates))),
        ("Condition number of the profiles", f"{np.linalg.cond(values):.3g}"),
        ("Method", f"{run.method} ({run.seconds:.3g} s)"),
        ("Prior", str(s.get("prior"))),
        (
            "Noise, size factor, tails",
            f"{s.get('noise')}, {s.get('size_factor')}, df = {s.get('df')}",
        ),
    ]


def _proportions(run: Run) -> dict[str, Any]:
    view: Any = SimpleNamespace(
        proportions=run.tables["proportions"],
        method=run.method,
        quantity=str(run.settings.get("quantity", "proportion")),
    )
    pictures = [picture(stacked_bars(view), "Proportions of every sample as stacked bars")]
    text = ""
    if run.tables["intervals"]["low"].notna().any():
        table = run.tables["intervals"]
        width = (table["high"] - table["low"]).groupby(table["sample"]).mean()
        widest = list(width.sort_values(ascending=False).index)
        pictures.append(
            picture(draw.forest(run, widest), "Estimates with intervals, the widest first")
        )
        prob = float(run.settings.get("interval_probability", 0.95))
        text = f"{prob:.0%} intervals; the samples with the widest intervals come first"
        text += f" ({min(40, len(widest))} of {len(widest)} are drawn)."
    summary = run.tables["proportions"].describe().T[["mean", "std", "min", "max"]]
    return section("Proportions", text, pictures, [table_of(summary, "Summary over samples")])


def _comparison(run: Run) -> dict[str, Any] | None:
    if "map_estimate" not in run.groups["fit"]:
        return None
    mean = run.tables["proportions"]
    spread = run.tables["intervals"].pivot(index="sample", columns="cell_type", values="sd")
    spread = spread.reindex(index=[str(name) for name in mean.index], columns=mean.columns)
    rows = []
    for name, label in (("mle_estimate", "MLE"), ("map_estimate", "MAP")):
        value = run.groups["fit"][name].to_numpy()
        off = (value - mean.to_numpy()) / spread.to_numpy()
        rows.append(
            (
                label,
                np.abs(value - mean.to_numpy()).mean(),
                np.nanmean(np.abs(off)),
                np.nanmax(np.abs(off)),
                int((value < 1e-5).sum()),
            )
        )
    table = pd.DataFrame(
        rows, columns=["estimate", "mean distance", "in posterior sd", "largest", "at zero"]
    ).set_index("estimate")
    text = (
        "Maxima of the likelihood (MLE) and of the posterior density (MAP), against the "
        "posterior mean. They differ if a proportion is close to zero: a maximum may lie at "
        "zero, a mean cannot."
    )
    pictures = [picture(draw.maxima(run), "Maxima against posterior means")]
    return section(
        "MLE, MAP and posterior",
        text,
        pictures,
        [table_of(table, "Distance from the posterior mean")],
    )


def _model(run: Run) -> dict[str, Any]:
    s = run.settings
    heavy = s.get("df") not in (None, "none")
    elsewhere = s.get("platform") == "elsewhere"
    text = "yᵢ ~ N(sᵢ μ pᵢ, sᵢ² Σⱼ pᵢⱼ² Σⱼ"
    text += " + diag(φᵢ sᵢ μ pᵢ + φᵢ²/4))" if s.get("noise") == "counting" else ")"
    if s.get("size_factor") != "free":
        text = text.replace("sᵢ² ", "").replace("sᵢ ", "")
    if heavy:
        text += f", times a scale κᵢ ~ InvGamma(ν/2, ν/2), ν = {s.get('df')}"
    if elsewhere:
        text = (
            "yᵢ ~ t(fᵢ, λ V(fᵢ)), fᵢ = a sᵢ μ pᵢ + bᵢ, "
            "V(f) = c² f² + φᵢ f + b² + a² sᵢ² Σⱼ pᵢⱼ² Σⱼ; a, c, b, λ and tails from the cohort"
        )
    priors = pd.DataFrame(
        [("proportions pᵢ", words.prior(str(s.get("prior"))))]
        + (
            [("size factor sᵢ", _PRIOR_OF_SIZE[elsewhere])]
            if s.get("size_factor") == "free"
            else []
        ),
        columns=["variable", "prior"],
    ).set_index("variable")
    svg = (
        ""
        if elsewhere
        else graph.convolution(
            free_size=s.get("size_factor") == "free",
            counting=s.get("noise") == "counting",
            heavy=heavy,
        )
    )
    pictures = []
    if "prior" in run.groups:
        pictures = [picture(draw.prior_and_posterior(run), "Prior and posterior draws")]
    return section("Model and priors", text, pictures, [table_of(priors, "Priors")], svg=svg)


def _sampling(run: Run) -> dict[str, Any]:
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


def _predictive(run: Run) -> dict[str, Any]:
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


def _strangers(run: Run) -> dict[str, Any]:
    table = run.tables["diagnostics"]
    codes = [{finding.code for finding in mine} for mine in _findings(run).values()]
    strange = table[["not_a_mixture" in mine for mine in codes]]
    rule = (
        f"correlation with the fit below {LEAST_CORRELATION:g} or Mahalanobis distance per gene "
        f"above {LARGEST_LEARNED if 'tau' in table else LARGEST_MISFIT:g}"
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


def _platform(run: Run) -> dict[str, Any] | None:
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
        "shrink with more samples, and cancels in differences between samples."
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


def _genes(run: Run) -> dict[str, Any]:
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
