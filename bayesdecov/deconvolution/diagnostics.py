"""One row of diagnostics per sample, and what they say in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr

from bayesdecov.algebra.predictive import misfit_probability
from bayesdecov.algebra.terms import Array
from bayesdecov.baselines import BASELINES
from bayesdecov.deconvolution.fit import Estimates
from bayesdecov.deconvolution.posterior import Posterior
from bayesdecov.deconvolution.problem import Problem
from bayesdecov.diagnostics import complaints, convergence, e_bfmi, pareto_k

ENOUGH_GENES = 10
LEAST_CORRELATION = 0.3
LARGEST_MISFIT = 20.0  # Mahalanobis distance per gene, 1 expected
OTHER_SHARE, OTHER_SURE = 0.05, 0.95  # P(other > share) above which a sample is flagged


def diagnose(
    problem: Problem, estimates: Estimates, posterior: Posterior | None, method: str, limit: float
) -> pd.DataFrame:
    """The columns are explained in `deconvolve`; ``limit`` is the largest Pareto-k accepted."""
    columns: dict[str, Any] = {"converged": estimates.converged}
    if method not in BASELINES:
        columns |= {
            "iterations": estimates.iterations,
            "rdm": estimates.rdm,
            "log_likelihood": estimates.log_likelihood,
        }
    columns |= _agreement(problem, estimates)
    if method not in BASELINES:
        p = misfit_probability(estimates.quad, problem.density.n_genes, problem.df)
        columns |= {
            "misfit": estimates.quad / problem.y.shape[1],
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
    if problem.away is not None:
        columns["p_other"] = _probability_of_other(estimates, posterior)
    table = pd.DataFrame(columns, index=problem.samples.rename("sample"))
    table["verdict"] = verdicts(table, problem.y.shape[1], limit)
    return table


def not_a_mixture(table: pd.DataFrame, n_genes: int) -> pd.Series:
    """Samples that do not look like a mixture of the reference's cell types."""
    bad = pd.Series(False, index=table.index)
    if n_genes >= ENOUGH_GENES:
        bad = ~(table["correlation"] >= LEAST_CORRELATION)  # a constant sample has none
        if "misfit" in table:
            bad |= table["misfit"] > LARGEST_MISFIT
    return bad


def verdicts(table: pd.DataFrame, n_genes: int, limit: float) -> list[str]:
    """Each sample's diagnostics in words; "good" where there is nothing to say."""
    strange = not_a_mixture(table, n_genes)
    said = []
    for name, row in zip(table.index, table.to_dict("records"), strict=True):
        words = [] if row["converged"] else ["the optimiser did not converge"]
        if "r_hat" in row:
            words += complaints(row)
        if not row.get("pareto_k", 0.0) <= limit:
            words.append(
                f"approximation refused: Pareto-k {row['pareto_k']:.2f} > {limit:g}, use nuts"
            )
        if row.get("p_other", 0.0) > OTHER_SURE:
            words.append(f"holds cells that the reference lacks (P > {OTHER_SURE:g})")
        if strange[name]:
            words.append("does not look like a mixture of these cell types")
        said.append("; ".join(words) if words else "good")
    return said


def _agreement(problem: Problem, estimates: Estimates) -> dict[str, Array]:
    """Root mean squared error and correlation between the bulk and its fit."""
    fitted = ((estimates.size / problem.unit)[:, None] * estimates.p) @ problem.mu.T
    residuals = problem.y - fitted
    centred_y = problem.y - problem.y.mean(axis=1, keepdims=True)
    centred_f = fitted - fitted.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred_y, axis=1) * np.linalg.norm(centred_f, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = (centred_y * centred_f).sum(axis=1) / norms
    rmse = np.sqrt((residuals**2).mean(axis=1)) * problem.unit
    return {"rmse": rmse, "correlation": correlation}


def _probability_of_other(estimates: Estimates, posterior: Posterior | None) -> Array:
    """Probability that more than `OTHER_SHARE` of a sample is cells the reference lacks."""
    if posterior is not None:
        drawn = posterior.p[..., -1].reshape(len(posterior.p), -1)
        return np.where(np.isfinite(drawn).all(axis=1), (drawn > OTHER_SHARE).mean(axis=1), np.nan)
    sd = np.sqrt(np.maximum(estimates.covariance[:, -1, -1], 1e-300))
    return np.asarray(ndtr((estimates.p[:, -1] - OTHER_SHARE) / sd))


def _of_chains(posterior: Posterior) -> dict[str, Array]:
    """Convergence of every sample's chains; with a single draw there is nothing to say."""
    import xarray as xr

    stats = posterior.stats
    draws = xr.Dataset(
        {"p": (("sample", "chain", "draw", "cell_type"), posterior.p)}
    ).transpose("chain", "draw", ...)  # fmt: skip
    found: dict[str, Array] = dict(convergence(draws, keep=["sample"]))
    return found | {
        "divergences": stats["diverging"].sum(axis=(1, 2)),
        "e_bfmi": e_bfmi(stats["energy"]),
        "step_size": stats["step_size"].mean(axis=(1, 2)),
        "tree_depth": stats["tree_depth"].max(axis=(1, 2)),
    }
