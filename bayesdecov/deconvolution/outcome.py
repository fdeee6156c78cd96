"""The result of a fit: labels, diagnostics, warnings and, if asked for, cell fractions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.algebra.priors import Prior
from bayesdecov.algebra.terms import Array
from bayesdecov.baselines import BASELINES
from bayesdecov.deconvolution.fit import Estimates
from bayesdecov.deconvolution.problem import Problem
from bayesdecov.deconvolution.shards import Output
from bayesdecov.results import Deconvolution

_ENOUGH_GENES = 10
_LEAST_CORRELATION = 0.3
_LARGEST_MISFIT = 20.0  # Mahalanobis distance per gene, 1 expected


def outcome(
    problem: Problem,
    output: Output,
    method: str,
    prior: str | Prior,
    per_cell: Array | None,
    settings: dict[str, Any],
) -> Deconvolution:
    """Put labels, diagnostics and warnings around the arrays."""
    estimates, posterior = output
    modelled = method not in BASELINES
    samples, cell_types = problem.samples, problem.reference.cell_types
    notes = problem.notes
    diagnostics = _diagnostics(problem, estimates, method)
    failed = samples[~estimates.converged]
    if len(failed):
        notes.warn(f"{len(failed)} of {len(samples)} samples did not converge: "
                   f"{checks.some(failed)}")  # fmt: skip
    if problem.y.shape[1] >= _ENOUGH_GENES:
        bad = diagnostics["correlation"] < _LEAST_CORRELATION
        if "misfit" in diagnostics:
            bad |= diagnostics["misfit"] > _LARGEST_MISFIT
        if bad.any():
            notes.warn(
                f"{int(bad.sum())} of {len(samples)} samples do not look like a mixture of these "
                f"cell types (correlation with the fit below {_LEAST_CORRELATION} or misfit above "
                f"{_LARGEST_MISFIT:g}): {checks.some(samples[bad.to_numpy()])}"
            )
    if (estimates.modes > 1).any():
        many = samples[estimates.modes > 1]
        notes.info(
            f"{len(many)} samples have several maxima; the highest is reported: {checks.some(many)}"
        )
    if posterior is not None and posterior.expected_information.any():
        flagged = samples[posterior.expected_information]
        notes.warn(f"Laplace used the expected information for {checks.some(flagged)}")
    p, covariance = estimates.p, estimates.covariance
    draws = None if posterior is None else posterior.draws
    quantity = {"counts": "mRNA fractions", "per million": "mRNA fractions"}.get(
        problem.reference.scale, "fractions of the reference's units"
    )
    if per_cell is not None:
        quantity = "cell fractions"
        covariance = _cell_covariance(p, covariance, per_cell)
        p = _to_cells(p, per_cell)
        if draws is not None:
            draws = _to_cells(draws, per_cell)
            p = draws.mean(axis=1)
    extra: dict[str, Any] = {"free_size": problem.free_size, "df": problem.df,
                             "prior": problem.prior if prior != "decovart" else "decovart",
                             "unit": problem.unit}  # fmt: skip
    if posterior is not None:
        extra |= {"mode": posterior.mode, "mode_covariance": posterior.mode_covariance}
    return Deconvolution(
        proportions=pd.DataFrame(p, samples.rename("sample"), cell_types.rename(None)),
        diagnostics=diagnostics,
        method=method,
        prior=settings["prior"],
        noise=settings["noise"],
        quantity=quantity,
        settings=settings,
        notes=tuple(notes.lines),
        reference=problem.reference,
        bulk=pd.DataFrame((problem.y * problem.unit[:, None]).T, problem.reference.genes, samples),
        covariance=covariance if modelled else None,
        draws=draws,
        size_draws=None if posterior is None else posterior.size_draws,
        extra=extra,
    )


def _diagnostics(problem: Problem, estimates: Estimates, method: str) -> pd.DataFrame:
    """One row per sample (columns: see `deconvolve`)."""
    size = estimates.size / problem.unit
    fitted = (size[:, None] * estimates.p) @ problem.mu.T
    residuals = problem.y - fitted
    centred_y = problem.y - problem.y.mean(axis=1, keepdims=True)
    centred_f = fitted - fitted.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred_y, axis=1) * np.linalg.norm(centred_f, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = (centred_y * centred_f).sum(axis=1) / norms
    modelled = method not in BASELINES
    columns: dict[str, Any] = {"converged": estimates.converged}
    if modelled:
        columns |= {
            "iterations": estimates.iterations,
            "rdm": estimates.rdm,
            "log_likelihood": estimates.log_likelihood,
        }
    columns |= {
        "rmse": np.sqrt((residuals**2).mean(axis=1)) * problem.unit,
        "correlation": correlation,
    }
    if modelled:
        columns |= {
            "misfit": estimates.quad / problem.y.shape[1],
            "modes": estimates.modes,
            "counting_noise": estimates.phi,
        }
    if method != "laplace":  # a posterior mean is never zero
        columns["at_zero"] = (estimates.p == 0).sum(axis=1)
    columns["size_factor"] = estimates.size
    return pd.DataFrame(columns, index=problem.samples.rename("sample"))


def _to_cells(p: Array, per_cell: Array) -> Array:
    """Cell fractions from mRNA fractions (last axis)."""
    cells = p / per_cell
    result: Array = cells / cells.sum(axis=-1, keepdims=True)
    return result


def _cell_covariance(p: Array, covariance: Array, per_cell: Array) -> Array:
    """Delta method for `_to_cells`."""
    total = (p / per_cell).sum(axis=1)[:, None, None]
    cells = _to_cells(p, per_cell)
    J = (np.eye(p.shape[1]) - cells[:, :, None]) / per_cell[None, None, :] / total
    result: Array = J @ covariance @ J.transpose(0, 2, 1)
    return result
