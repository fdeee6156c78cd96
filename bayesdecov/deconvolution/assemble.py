"""The result of a fit: labels, diagnostics, warnings and, if asked for, cell fractions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesdecov import checks
from bayesdecov.algebra.predictive import misfit_probability
from bayesdecov.algebra.simplex import proportions, to_cells
from bayesdecov.algebra.terms import Array
from bayesdecov.deconvolution.diagnostics import (
    LEAST_CORRELATION,
    diagnose,
    largest_misfit,
    not_a_mixture,
)
from bayesdecov.deconvolution.fit import Estimates
from bayesdecov.deconvolution.fitted import Normal
from bayesdecov.deconvolution.model import Model
from bayesdecov.deconvolution.options import DeconvolutionRequest
from bayesdecov.deconvolution.posterior import Posterior
from bayesdecov.deconvolution.prepare import Prepared
from bayesdecov.deconvolution.result import Deconvolution
from bayesdecov.deconvolution.shards import Output
from bayesdecov.results.proportions import Draws
from bayesdecov.verdicts import E_BFMI, ESS, R_HAT


def assemble(
    prepared: Prepared,
    output: Output,
    request: DeconvolutionRequest,
    per_cell: Array | None,
    settings: dict[str, Any],
    facts: dict[str, Any],
) -> Deconvolution:
    """Put labels, diagnostics and warnings around the arrays."""
    estimates, posterior, of_baseline, replicates = output
    method, modelled, max_pareto_k = request.method, request.modelled, request.max_pareto_k
    model, data, notes = prepared.model, prepared.data, prepared.notes
    samples, cell_types = prepared.samples, prepared.reference.cell_types
    diagnostics = diagnose(prepared, estimates, posterior, method, max_pareto_k)
    if posterior is not None and "pareto_k" in diagnostics:
        refused = ~(diagnostics["pareto_k"] <= max_pareto_k).to_numpy()
        if refused.any():
            estimates, posterior = _without(estimates, posterior, refused, model)
            diagnostics = diagnose(prepared, estimates, posterior, method, max_pareto_k)
    for name, values in of_baseline.items():
        diagnostics.insert(diagnostics.columns.get_loc("verdict"), name, values)
    _tell(prepared, estimates, diagnostics, posterior, max_pareto_k)
    p, covariance = _reported(estimates, posterior, per_cell)
    maxima = {}
    if posterior is not None:
        maxima = {
            name: pd.DataFrame(_fractions(value, per_cell), samples, cell_types)
            for name, value in (("map", posterior.map), ("mle", posterior.mle))
        }
    return Deconvolution(
        proportions=pd.DataFrame(p, samples.rename("sample"), cell_types.rename(None)),
        diagnostics=diagnostics,
        method=method,
        prior=settings["prior"],
        noise=settings["noise"],
        quantity=_quantity(prepared.reference.scale, per_cell),
        settings=settings,
        facts=facts,
        notes=tuple(notes.lines),
        reference=prepared.reference,
        bulk=pd.DataFrame((data.y * data.unit[:, None]).T, prepared.reference.genes, samples),
        covariance=covariance if modelled else None,
        draws=_draws(posterior, replicates, per_cell),
        model=model if modelled else None,
        maxima=maxima,
        shared_shift=data.shared_shift,
        background=data.background,
        held=data.held,
        unit=data.unit,
        per_cell=per_cell if modelled else None,
        normal=None if posterior is None else Normal(posterior.mode, posterior.mode_covariance),
    )


def _quantity(scale: str, per_cell: Array | None) -> str:
    """Name of the quantity of which the proportions are fractions."""
    if per_cell is not None:
        return "cell fractions"
    total = scale in ("counts", "per million")
    return "mRNA fractions" if total else "fractions of the reference's units"


def _fractions(p: Array, per_cell: Array | None) -> Array:
    """Fractions of cells where the mRNA per cell is known, otherwise as they are."""
    return p if per_cell is None else to_cells(p, per_cell)


def _reported(
    estimates: Estimates, posterior: Posterior | None, per_cell: Array | None
) -> tuple[Array, Array]:
    """Proportions and their covariance in the quantity that is reported."""
    p, covariance = estimates.p, estimates.covariance
    if per_cell is None:
        return p, covariance
    covariance = _cell_covariance(p, covariance, per_cell)
    p = to_cells(p, per_cell)
    if posterior is not None:  # the mean of fractions of cells, not that of fractions of mRNA
        drawn = to_cells(posterior.p, per_cell)
        known = np.isfinite(drawn).all(axis=(1, 2, 3))
        p[known] = drawn[known].mean(axis=(1, 2))
    return p, covariance


def _draws(
    posterior: Posterior | None, replicates: tuple[Array, Array] | None, per_cell: Array | None
) -> Draws | None:
    """Draws of a posterior or of a bootstrap."""
    if replicates is not None:
        p, size = replicates
        return Draws(_fractions(p, per_cell)[:, None], {}, size[:, None])
    if posterior is None:
        return None
    return Draws(_fractions(posterior.p, per_cell), posterior.stats, posterior.size)


def _without(
    estimates: Estimates, posterior: Posterior, refused: NDArray[np.bool_], model: Model
) -> tuple[Estimates, Posterior]:
    """Keep only the mode where the approximation is refused: no draws, no covariance."""
    p, size, covariance = (
        part.copy() for part in (estimates.p, estimates.size, estimates.covariance)
    )
    p[refused] = proportions(posterior.mode[refused, : model.n_types - 1])
    size[refused] = np.exp(posterior.mode[refused, -1]) if model.free_size else 1.0
    worse = misfit_probability(estimates.quad, model.density.n_genes, model.df)
    drawn, sizes = posterior.p.copy(), posterior.size.copy()
    for part in (covariance, drawn, sizes):
        part[refused] = np.nan
    return (
        estimates._replace(p=p, size=size, covariance=covariance),
        posterior._replace(
            p=drawn, size=sizes, predictive_p=np.where(refused, worse, posterior.predictive_p)
        ),
    )


def _tell(
    prepared: Prepared,
    estimates: Estimates,
    diagnostics: pd.DataFrame,
    posterior: Posterior | None,
    max_pareto_k: float,
) -> None:
    """Add notes and warnings about the samples."""
    notes, samples = prepared.notes, prepared.samples
    n = len(samples)
    failed = samples[~estimates.converged]
    if len(failed):
        notes.warn(f"{len(failed)} of {n} samples did not converge: {checks.some(failed)}")
    bad = not_a_mixture(diagnostics, prepared.data.y.shape[1])
    if bad.any():
        notes.warn(
            f"{int(bad.sum())} of {n} samples do not look like a mixture of these "
            f"cell types (correlation with the fit below {LEAST_CORRELATION} or misfit above "
            f"{largest_misfit(diagnostics):g}): {checks.some(samples[bad.to_numpy()])}"
        )
    if (estimates.modes > 1).any():
        many = samples[estimates.modes > 1]
        notes.info(
            f"{len(many)} samples have several maxima; the highest is reported: {checks.some(many)}"
        )
    negative = (estimates.p < 0).any(axis=1)
    if negative.any():
        notes.warn(
            f"{int(negative.sum())} of {n} samples have negative proportions, which this "
            f"method allows: {checks.some(samples[negative])}"
        )
    if posterior is None:
        return
    if posterior.expected_information.any():
        flagged = samples[posterior.expected_information]
        notes.warn(f"Laplace used the expected information for {checks.some(flagged)}")
    if "pareto_k" in diagnostics:
        high = samples[~(diagnostics["pareto_k"] <= max_pareto_k).to_numpy()]
        if len(high):
            notes.warn(
                f"the Laplace approximation is refused for {len(high)} of {n} samples (Pareto-k "
                f"above {max_pareto_k:g}); they have a mode but no intervals: "
                f"{checks.some(high)}; use method='nuts', or max_pareto_k=inf to accept it"
            )
    if "r_hat" in diagnostics:
        unknown = diagnostics["r_hat"].isna()
        least = diagnostics[["ess_bulk", "ess_tail"]].min(axis=1)
        poor = {
            "convergence cannot be assessed (needs at least two chains)": unknown,
            "chains disagree (R-hat)": ~unknown & ~(diagnostics["r_hat"] <= R_HAT),
            "few effective draws": ~unknown & ~(least >= ESS),
            "divergences": diagnostics["divergences"] > 0,
            "low E-BFMI": ~(diagnostics["e_bfmi"] >= E_BFMI),
        }
        for words, rows in poor.items():
            if rows.any():
                notes.warn(
                    f"NUTS: {words} in {int(rows.sum())} of {n} samples: "
                    f"{checks.some(samples[rows.to_numpy()])}"
                )
        if not any(rows.any() for rows in poor.values()):
            notes.info(
                f"NUTS: no divergences, R-hat up to {diagnostics['r_hat'].max():.3f}, at least "
                f"{diagnostics[['ess_bulk', 'ess_tail']].min(axis=None):.0f} effective draws"
            )


def _cell_covariance(p: Array, covariance: Array, per_cell: Array) -> Array:
    """Delta method for `to_cells`."""
    total = (p / per_cell).sum(axis=1)[:, None, None]
    cells = to_cells(p, per_cell)
    J = (np.eye(p.shape[1]) - cells[:, :, None]) / per_cell[None, None, :] / total
    result: Array = J @ covariance @ J.transpose(0, 2, 1)
    return result
