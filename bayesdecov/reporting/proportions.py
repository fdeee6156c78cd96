"""Contents of a report about proportions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.plots import diagnostics as draw
from bayesdecov.plots.proportions import stacked_bars
from bayesdecov.reporting import graph, quality, words
from bayesdecov.reporting.parts import picture, section, table_of
from bayesdecov.results.run import Run

_OF_LEVELS = {"levels_uncertain", "far_platform"}  # intervals say it, differences are free of it
_PRIOR_OF_SIZE = {
    False: "flat on the log scale",
    True: "log-normal around that of least squares, sd 3",
}


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
                quality.sampling(run),
                quality.predictive(run) if modelled else None,
                quality.strangers(run),
                quality.platform(run),
                quality.genes(run) if modelled else None,
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
    found = quality.findings_of(run)
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
