"""Contents of a report about cell-type-specific effects."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.diagnostics import MEANINGS
from bayesdecov.plots import diagnostics as draw
from bayesdecov.plots import effects as draw_effects
from bayesdecov.plots import volcano
from bayesdecov.reporting import graph, words
from bayesdecov.reporting.parts import picture, section, table_of
from bayesdecov.results.run import Run
from bayesdecov.verdicts import findings_of_chains

_OF_CHAINS = ("divergences", "r_hat", "ess_bulk", "ess_tail", "e_bfmi")
_FDR = 0.05
_VOLCANOES = 6
_TOP = 15
_MEASURES = ("r_hat", "ess_bulk", "ess_tail", "mcse", "divergences", "e_bfmi")
_VIF = 100.0


def content(run: Run) -> dict[str, Any]:
    """Contents for the template."""
    n_samples = run.groups["constant_data"].sizes["sample"]
    n_genes = run.groups["observed_data"].sizes["gene"]
    return {
        "title": "Cell-type-specific effects",
        "verdict": _verdict(run),
        "glance": _glance(run, n_genes, n_samples),
        "sections": [
            part
            for part in (
                _fixed(run),
                _genes(run),
                _design(run),
                _model(run),
                _chains(run),
                _predictive(run),
            )
            if part is not None
        ],
        "methods": words.of_effects(run.settings, n_genes, n_samples, run.version),
        "citations": words.citations(run.method, words.FASTMIX),
    }


def _verdict(run: Run) -> dict[str, Any]:
    reasons = []
    s = run.settings
    if run.method == "nuts":
        measures = {name: checks.to_number(s[name]) for name in _OF_CHAINS if name in s}
        reasons += [str(finding) for finding in findings_of_chains(measures)]
    if s.get("converged") is False:
        reasons.append("the estimator did not converge")
    if run.method == "joint":
        scale = float(s["error_scale"])
        if not int(s["rounds"]):
            reasons.append(
                "expression fits no proportions near the measured ones: the expected "
                "proportions given the measured ones were used"
            )
        elif not 0.5 < scale < 2:
            reasons.append(
                f"according to expression, errors of proportions are {scale:.2g} times those stated"
            )
    vif = run.tables["design"]["vif"].astype(float)
    if vif.max() > _VIF:
        names = checks.some(vif.index[vif > _VIF])
        reasons.append(f"variance inflation above {_VIF:g}: {names} are poorly distinguished")
    called = run.tables["genes"].query("q_value < @_FDR", local_dict={"_FDR": _FDR})
    found = called.groupby("covariate").size()
    counts = ", ".join(f"{name} {count}" for name, count in found.items()) or "none"
    text = f"Genes with q < {_FDR:g}: {counts}."
    if not reasons:
        return {"colour": "good", "text": f"Diagnostics are good. {text}", "reasons": []}
    return {"colour": "mixed", "text": f"{text} Please note:", "reasons": reasons}


def _glance(run: Run, n_genes: int, n_samples: int) -> list[tuple[str, str]]:
    s = run.settings
    errors = "treated as exact"
    if run.method == "joint":
        errors = (
            f"standard deviation {float(s['sd_measured']):.2g} as stated, "
            f"{float(s['sd_refined']):.2g} after using all genes (errors "
            f"{float(s['error_scale']):.2g} times those stated, {s['hidden_factors']} hidden "
            "factors)"
        )
    elif s.get("errors") == "calibrate":
        errors = "replaced by their expectation given the measured ones"
    return [
        ("Genes", str(n_genes)),
        ("Samples", str(n_samples)),
        ("Design columns", checks.some(run.tables["fixed"].index, 30)),
        ("Method", f"{run.method} ({run.seconds:.3g} s)"),
        ("Proportions", errors),
        ("Residual variance", f"{s.get('variance')}, {float(s['residual_variance']):.4g}"),
        ("Covariates standardised", str(s.get("standardise"))),
        ("Dependence", f"subject: {s.get('subject')}, weights: {s.get('weights')}"),
    ]


def _view(run: Run) -> Any:
    """The parts of a run that the plots of a fit use."""
    genes = run.tables["genes"]
    wide = genes.pivot(index="gene", columns="covariate", values="effect")
    fixed = run.tables["fixed"].astype(float)
    for name in fixed.index:
        if name not in wide:
            wide[name] = fixed.loc[name, "estimate"]
    return SimpleNamespace(
        method=run.method,
        settings=run.settings,
        genes=genes,
        fixed=fixed,
        effects=wide[list(fixed.index)],
        random=list(dict.fromkeys(genes["covariate"])),
        design=SimpleNamespace(columns=run.tables["design"]),
    )


def _fixed(run: Run) -> dict[str, Any]:
    view = _view(run)
    return section(
        "Effects on the whole transcriptome",
        "Dots are fixed effects with 95 % intervals, wide bars "
        "the spread of the genes' own effects.",
        [picture(draw_effects(view), "Fixed effects over the genes' effects")],
        [table_of(run.tables["fixed"], "Fixed effects")],
    )


def _genes(run: Run) -> dict[str, Any]:
    view, genes = _view(run), run.tables["genes"]
    kinds = run.tables["design"]["kind"]
    products = [name for name in view.random if kinds.get(name) == "product"] or view.random
    by_calls = genes[genes["q_value"] < _FDR].groupby("covariate").size()
    products = sorted(products, key=lambda name: -int(by_calls.get(name, 0)))[:_VOLCANOES]
    pictures = [picture(volcano(view, name), f"Volcano plot of {name}") for name in products]
    top = genes[genes["covariate"].isin(products)].sort_values("p_value").head(_TOP)
    return section(
        "Genes that respond",
        "Effects with the most genes come first.",
        pictures,
        [table_of(top.set_index("gene"), "Clearest genes")],
    )


def _design(run: Run) -> dict[str, Any]:
    return section(
        "Design",
        "A large variance inflation means that columns can hardly be distinguished.",
        [],
        [table_of(run.tables["design"], "Columns")],
    )


def _model(run: Run) -> dict[str, Any]:
    s = run.settings
    shifted = run.method in ("mixture", "joint") or bool(s.get("contaminated"))
    heavy = s.get("nu") not in (None, "none")
    svg = graph.mixed_effects(contaminated=shifted, heavy=heavy)
    text = "yg = X(β + γg) + εg,  εg ~ N(0, σ² I),  γg ~ N(0, Ψ)"
    if shifted:
        text += ", except for a minority of genes that are shifted in one effect"
    if heavy:
        text += f"; times a scale κg, multivariate t with ν = {s.get('nu')}"
    if run.method == "joint":
        text += "; measured proportions ~ N(true ones, κ² Δ), X computed from the true ones"
    tables = [table_of(run.tables["covariance"], "Covariance of the random effects (Ψ)")]
    if run.method == "nuts":
        priors = pd.DataFrame(
            [
                ("β", "normal around the genes' mean, with 10 times their standard deviation"),
                ("standard deviations of γg", "half-normal, twice their moment estimates"),
                ("correlations of γg", "LKJ(1), uniform"),
                ("σ", "half-normal, twice its moment estimate"),
            ],
            columns=["variable", "prior"],
        ).set_index("variable")
        if s.get("contaminated"):
            priors.loc["shares of shifted genes"] = "Dirichlet, with a tenth of the genes expected"
            priors.loc["shifts"] = "log-normal around 3 sd, with a half-normal sd"
        if heavy:
            fixed = "2 + Gamma(2, .1)" if s.get("nu") == "estimate" else f"fixed, {s.get('nu')}"
            priors.loc["ν"] = fixed
        tables.insert(0, table_of(priors, "Priors"))
    return section("Model", text, [], tables, svg=svg)


def _chains(run: Run) -> dict[str, Any] | None:
    if run.method != "nuts":
        return None
    s = run.settings
    rows = [(name, s.get(name), MEANINGS[name]) for name in _MEASURES if name in s]
    frame = pd.DataFrame(rows, columns=["measure", "value", "meaning"]).set_index("measure")
    posterior = run.groups["posterior"]
    energy = run.groups["sample_stats"]["energy"].transpose("chain", "draw").to_numpy()
    pictures = []
    for name in ("beta", "psi_sd", "sigma"):
        values = posterior[name].transpose("chain", "draw", ...).to_numpy()
        flat = values.reshape(*values.shape[:2], -1)
        label = (
            name
            if flat.shape[2] == 1
            else f"{name}[{posterior[name][posterior[name].dims[-1]].values[0]}]"
        )
        pictures.append(
            picture(
                draw.chains(flat[:, :, 0], energy, label),
                f"Trace, ranks and energies of {label}",
            )
        )
    return section("Chains", "", pictures, [table_of(frame, "Convergence (worst parameter)")])


def _predictive(run: Run) -> dict[str, Any]:
    observed = run.groups["observed_data"]["coefficients"].to_numpy()
    drawn = run.groups["posterior_predictive"]["coefficients"].to_numpy()
    names = run.groups["observed_data"]["covariate"].to_numpy().astype(str)
    drawn = drawn.reshape(-1, *drawn.shape[2:])
    rows = []
    for j, name in enumerate(names):
        there = np.quantile(observed[:, j], [0.01, 0.5, 0.99])
        many = np.quantile(drawn[:, :, j], [0.01, 0.5, 0.99], axis=1).mean(axis=1)
        rows.append((name, *there, *many))
    frame = pd.DataFrame(
        rows,
        columns=[
            "covariate",
            "1 %",
            "median",
            "99 %",
            "predicted 1 %",
            "predicted median",
            "predicted 99 %",
        ],
    )
    text = (
        "Quantiles of the genes' least-squares coefficients, and of new genes under the fitted "
        "model. Tails that are longer than predicted are due to genes that respond."
    )
    return section("Predictive check", text, [], [table_of(frame.set_index("covariate"), "")])
