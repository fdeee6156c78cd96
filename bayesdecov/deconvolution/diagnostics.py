"""One row of diagnostics per sample, and its problems."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr

from bayesdecov.algebra.predictive import misfit_probability
from bayesdecov.algebra.terms import Array
from bayesdecov.baselines import BASELINES
from bayesdecov.deconvolution.fit import Estimates, shared_moves
from bayesdecov.deconvolution.model import Data, Model
from bayesdecov.deconvolution.posterior import Posterior
from bayesdecov.deconvolution.prepare import Prepared
from bayesdecov.diagnostics import convergence, e_bfmi, pareto_k
from bayesdecov.unknown_content.extended import OTHER
from bayesdecov.verdicts import (
    FAR_TAU,
    LEVEL_ERROR,
    MISSING_GENES,
    OTHER_SURE,
    TAU,
    Finding,
    findings_of_chains,
    rendered,
)

ENOUGH_GENES = 10
LEAST_CORRELATION = 0.3
LARGEST_MISFIT = 20.0  # Mahalanobis distance per gene, 1 expected
LARGEST_LEARNED = 4.0  # the same where the scatter of the other samples is expected
LARGEST_BACKGROUND = 0.8  # of the expression
OTHER_SHARE = 0.05  # the probability of more is reported


def diagnose(
    prepared: Prepared, estimates: Estimates, posterior: Posterior | None, method: str, limit: float
) -> pd.DataFrame:
    """The columns are explained in `deconvolve`; ``limit`` is the largest Pareto-k accepted."""
    model, data = prepared.model, prepared.data
    columns: dict[str, Any] = {"converged": estimates.converged}
    if method not in BASELINES:
        columns |= {
            "iterations": estimates.iterations,
            "rdm": estimates.rdm,
            "log_likelihood": estimates.log_likelihood,
        }
    columns |= _agreement(model, data, estimates)
    if method not in BASELINES:
        p = misfit_probability(estimates.quad, model.density.n_genes, model.df)
        columns |= {
            "misfit": estimates.quad / data.y.shape[1],
            "predictive_p": p if posterior is None else posterior.predictive_p,
            "modes": estimates.modes,
            "counting_noise": estimates.phi,
        }
    if posterior is None:  # a posterior mean is never zero
        columns["at_zero"] = (estimates.p == 0).sum(axis=1)
    columns["size_factor"] = estimates.size
    if posterior is not None and posterior.stats:
        columns |= _of_chains(posterior)
    if posterior is not None and posterior.log_weights.size:
        columns["pareto_k"] = pareto_k(posterior.log_weights)
    if prepared.reference.cell_types[-1] == OTHER:
        columns["p_other"] = _probability_of_other(estimates, posterior)
    if model.platform is not None:
        columns |= _shared_errors(model, data, estimates.p)
        columns["tau"] = np.nan if model.platform.level is None else model.platform.tau
    if method not in BASELINES:
        genes = prepared.alignment
        columns["missing_genes"] = 1 - genes.n_shared / genes.n_reference
    table = pd.DataFrame(columns, index=prepared.samples.rename("sample"))
    found = findings(table, data.y.shape[1], limit)
    table["verdict"] = [rendered(each) for each in found]
    return table


def largest_misfit(table: pd.DataFrame) -> float:
    """The misfit above which a sample is no mixture: smaller where the scatter was learned."""
    return LARGEST_LEARNED if "tau" in table else LARGEST_MISFIT


def not_a_mixture(table: pd.DataFrame, n_genes: int) -> pd.Series:
    """Samples that do not look like a mixture of the reference's cell types."""
    bad = pd.Series(False, index=table.index)
    if n_genes >= ENOUGH_GENES:
        bad = ~(table["correlation"] >= LEAST_CORRELATION)  # a constant sample has none
        if "misfit" in table:
            bad |= table["misfit"] > largest_misfit(table)
        if "background" in table:
            bad |= table["background"] > LARGEST_BACKGROUND
    return bad


def findings(table: pd.DataFrame, n_genes: int, limit: float) -> list[list[Finding]]:
    """Problems of each sample, from its row of diagnostics."""
    strange = not_a_mixture(table, n_genes)
    found = []
    for name, row in zip(table.index, table.to_dict("records"), strict=True):
        mine = [] if row["converged"] else [Finding("not_converged")]
        if "r_hat" in row:
            mine += findings_of_chains(row)
        if not row.get("pareto_k", 0.0) <= limit:
            mine.append(Finding("pareto_k", row["pareto_k"], limit))
        if row.get("p_other", 0.0) > OTHER_SURE:
            mine.append(Finding("other", row["p_other"], OTHER_SURE))
        if row.get("missing_genes", 0.0) > MISSING_GENES:
            mine.append(Finding("missing_genes", row["missing_genes"], MISSING_GENES))
        if "tau" in row and not strange[name]:
            mine += _of_platform(row["tau"], row["platform_sd"])
        if strange[name]:
            mine.append(Finding("not_a_mixture"))
        found.append(mine)
    return found


def _of_platform(tau: float, platform_sd: float) -> list[Finding]:
    """Where platforms differ, levels are uncertain; where that is not known, they are unknown."""
    if np.isnan(tau):
        return [Finding("levels_unknown")]
    found = []
    if tau > FAR_TAU:
        found.append(Finding("far_platform", tau, FAR_TAU))
    if tau > TAU or platform_sd > LEVEL_ERROR:
        found.append(Finding("levels_uncertain", platform_sd, LEVEL_ERROR))
    return found


def _shared_errors(model: Model, data: Data, p: Array) -> dict[str, Array]:
    """The largest shared error of a cell type, in all and without the cell types' yields."""
    total: Array = np.zeros(p.shape)
    if data.shared_shift is not None:
        total = np.square(shared_moves(p, data.shared_shift)).mean(axis=0)
    of_yields = model.level_sd * p * np.sqrt(1 - 2 * p + np.square(p).sum(axis=1, keepdims=True))
    of_genes = np.sqrt(np.maximum(total - np.square(of_yields), 0.0))
    return {"shared_sd": np.sqrt(total).max(axis=1), "platform_sd": of_genes.max(axis=1)}


def _agreement(model: Model, data: Data, estimates: Estimates) -> dict[str, Array]:
    """Root mean squared error and correlation between the bulk and its fit."""
    fitted = ((estimates.size / data.unit)[:, None] * estimates.p) @ model.mu.T
    residuals = data.y - fitted
    of_background = {}
    if data.background is not None and model.platform is not None:
        background = data.background[:, None] * model.platform.background
        residuals = residuals - background
        share = background.sum(axis=1) / (background + fitted).sum(axis=1)
        of_background = {"background": share}
    centred_y = data.y - data.y.mean(axis=1, keepdims=True)
    centred_f = fitted - fitted.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred_y, axis=1) * np.linalg.norm(centred_f, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = (centred_y * centred_f).sum(axis=1) / norms
    rmse = np.sqrt((residuals**2).mean(axis=1)) * data.unit
    return {"rmse": rmse, "correlation": correlation} | of_background


def _probability_of_other(estimates: Estimates, posterior: Posterior | None) -> Array:
    """Probability that cells the reference lacks exceed `OTHER_SHARE` of a sample."""
    if posterior is not None:
        drawn = posterior.p[..., -1].reshape(len(posterior.p), -1)
        return np.where(np.isfinite(drawn).all(axis=1), (drawn > OTHER_SHARE).mean(axis=1), np.nan)
    sd = np.sqrt(np.maximum(estimates.covariance[:, -1, -1], 1e-300))
    return np.asarray(ndtr((estimates.p[:, -1] - OTHER_SHARE) / sd))


def _of_chains(posterior: Posterior) -> dict[str, Array]:
    """Convergence of every sample's chains; NaN where there are too few draws."""
    import xarray as xr

    stats = posterior.stats
    draws = xr.Dataset({"p": (("sample", "chain", "draw", "cell_type"), posterior.p)}).transpose(
        "chain", "draw", ...
    )
    found: dict[str, Array] = dict(convergence(draws, keep=["sample"]))
    return found | {
        "divergences": stats["diverging"].sum(axis=(1, 2)),
        "e_bfmi": e_bfmi(stats["energy"]),
        "step_size": stats["step_size"].mean(axis=(1, 2)),
        "tree_depth": stats["tree_depth"].max(axis=(1, 2)),
    }
