"""A fit as an ArviZ container, and the same model in PyMC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesdecov.algebra.simplex import to_cells
from bayesdecov.checks import make_generator
from bayesdecov.deconvolution.fitted import FittedProportions
from bayesdecov.deconvolution.predictive import (
    expression_of,
    gene_log_likelihood,
    kept,
    phi_of,
    prior_draws,
    replicate_fit,
    room,
    unit_of,
)

if TYPE_CHECKING:
    import xarray as xr


PREDICTIVE = 100  # draws of whole bulks
PRIOR = 500
_LIKELIHOOD = 1000
_RESIDUALS = 20  # draws that residuals are averaged over


def to_inference_data(
    fit: FittedProportions,
    *,
    log_likelihood: bool = False,
    seed: Any = 0,
    samples: int | None = None,
) -> Any:
    """The groups that `Deconvolution.to_inference_data` describes.

    ``samples`` is the size of the cohort that the fit is a part of.
    """
    from bayesdecov._arviz import from_groups

    rng = make_generator(seed)
    coords = {
        "sample": fit.proportions.index.to_numpy().astype(str),
        "cell_type": fit.proportions.columns.to_numpy().astype(str),
        "gene": fit.reference.genes.to_numpy().astype(str),
    }
    bulk = ("chain", "draw", "sample", "gene")
    groups = {"posterior": _posterior(fit, coords), "sample_stats": _sample_stats(fit, coords)}
    if fit.model is not None:
        groups |= _prior(fit, coords, rng, samples)
        positions = kept(fit, room(fit, PREDICTIVE, samples))
        values = replicate_fit(fit, expression_of(fit, positions), rng)
        groups["posterior_predictive"] = _labelled({"bulk": (bulk, values)}, coords, positions)
        if log_likelihood:
            positions = kept(fit, room(fit, _LIKELIHOOD, samples))
            values, _ = gene_log_likelihood(fit, expression_of(fit, positions))
            groups["log_likelihood"] = _labelled({"bulk": (bulk, values)}, coords, positions)
    groups["observed_data"] = _labelled(
        {"bulk": (("sample", "gene"), fit.bulk.to_numpy().T)}, coords
    )
    constant: dict[str, Any] = {
        "mean": (("gene", "cell_type"), fit.reference.mean.to_numpy()),
        "replicates": (("cell_type",), fit.reference.replicates.to_numpy()),
        "variance": (("gene", "cell_type"), fit.reference.covariance.variances()),
    }
    shifts = fit.gene_shifts
    for name, values in shifts.items() if len(shifts) else ():
        constant[f"gene_{name}"] = ("gene", values.to_numpy())
    if "counting_noise" in fit.diagnostics:
        constant["counting_noise"] = ("sample", fit.diagnostics["counting_noise"].to_numpy(float))
    groups["constant_data"] = _labelled(constant, coords)
    groups["fit"] = _fit(fit, coords, samples)
    attrs = fit.settings | fit.facts | {"method": fit.method, "quantity": fit.quantity}
    return from_groups(groups, attrs)


def _labelled(variables: dict[str, Any], coords: dict[str, Any], draws: Any = None) -> xr.Dataset:
    """A Dataset with the coordinates that its dimensions need."""
    import xarray as xr

    data = xr.Dataset(variables)
    labels = {name: values for name, values in coords.items() if name in data.dims}
    if "chain" in data.dims:
        labels["chain"] = np.arange(data.sizes["chain"])
    if "draw" in data.dims:
        labels["draw"] = np.arange(data.sizes["draw"]) if draws is None else draws
    for name in map(str, data.dims):
        if name.endswith("_bis"):
            labels[name] = coords[name.removesuffix("_bis")]
    return data.assign_coords(labels)


def _posterior(fit: FittedProportions, coords: dict[str, Any]) -> xr.Dataset:
    if fit.draws is None or fit.draws.size_factor is None:
        p = fit.proportions.to_numpy()[None, None]
        size = fit.diagnostics["size_factor"].to_numpy(dtype=float)[None, None]
    else:
        p = fit.draws.proportions.transpose(1, 2, 0, 3)
        size = fit.draws.size_factor.transpose(1, 2, 0)
    return _labelled(
        {
            "proportions": (("chain", "draw", "sample", "cell_type"), p),
            "size_factor": (("chain", "draw", "sample"), size),
        },
        coords,
    )


def _sample_stats(fit: FittedProportions, coords: dict[str, Any]) -> xr.Dataset:
    """The sampler's statistics; for other methods, that no draw diverged."""
    if fit.draws is not None and fit.draws.stats:
        stats = {name: value.transpose(1, 2, 0) for name, value in fit.draws.stats.items()}
    else:
        shape = (1, 1 if fit.draws is None else fit.draws.proportions.shape[2])
        stats = {"diverging": np.zeros((*shape, len(fit.proportions)), dtype=bool)}
    return _labelled(
        {name: (("chain", "draw", "sample"), value) for name, value in stats.items()}, coords
    )


def _prior(
    fit: FittedProportions,
    coords: dict[str, Any],
    rng: np.random.Generator,
    samples: int | None,
) -> dict[str, xr.Dataset]:
    p, size = prior_draws(fit, room(fit, PRIOR, samples), rng)
    shown = p if fit.per_cell is None else to_cells(p, fit.per_cell)
    prior = _labelled(
        {
            "proportions": (("chain", "draw", "sample", "cell_type"), shown),
            "size_factor": (("chain", "draw", "sample"), size),
        },
        coords,
    )
    count = room(fit, PREDICTIVE, samples)
    values = replicate_fit(fit, size[:, :count, :, None] * p[:, :count], rng)
    predicted = _labelled({"bulk": (("chain", "draw", "sample", "gene"), values)}, coords)
    return {"prior": prior, "prior_predictive": predicted}


def _fit(fit: FittedProportions, coords: dict[str, Any], samples: int | None) -> xr.Dataset:
    """Estimates and diagnostics of every sample; the normal approximation where there is one."""
    summary: dict[str, Any] = {
        str(name): ("sample", column.to_numpy(dtype=str if column.dtype == object else None))
        for name, column in fit.diagnostics.items()
    }
    summary["estimate"] = (("sample", "cell_type"), fit.proportions.to_numpy())
    if fit.shared_shift is not None:
        summary["moved"] = (("replicate", "sample", "cell_type"), fit.shared_shift)
    for name, table in fit.maxima.items():
        summary[f"{name}_estimate"] = (("sample", "cell_type"), table.to_numpy())
    if fit.model is not None:
        q = expression_of(fit, kept(fit, room(fit, _RESIDUALS, samples)))
        residuals = gene_log_likelihood(fit, q)[1].mean(axis=(0, 1))
        summary["gene_residual"] = (("sample", "gene"), residuals)
    if fit.covariance is not None:
        summary["covariance"] = (("sample", "cell_type", "cell_type_bis"), fit.covariance)
    if fit.normal is not None:
        summary["mean_vector"] = (("sample", "parameter"), fit.normal.mean)
        summary["covariance_matrix"] = (
            ("sample", "parameter", "parameter_bis"),
            fit.normal.covariance,
        )
        parameters = [f"theta[{name}]" for name in coords["cell_type"][:-1]]
        if fit.model is not None and fit.model.free_size:
            parameters.append("log_size_factor")
        coords = coords | {"parameter": parameters}
    return _labelled(summary, coords)


def to_pymc(fit: FittedProportions, **options: Any) -> Any:
    """`bayesdecov.models.convolution` with this fit's data, covariances, prior and noise.

    `bayesdecov.models.platform`, the joint model, where a platform was learned.
    """
    from bayesdecov.models import convolution

    ours = fit.require_model()
    if ours.platform is not None:
        return _platform(fit, options)
    Sigma = np.stack([ours.covariance.matrix(j) for j in range(len(fit.reference.cell_types))])
    phi = phi_of(fit)
    arguments: dict[str, Any] = {
        "prior": "decovart" if ours.of_paper else ours.prior,
        "counting_noise": phi if fit.noise == "counting" else None,
        # the likelihood determines the size factor; its prior only needs the right location
        "size_factor": unit_of(fit) if ours.free_size else None,
        "df": ours.df,
    }
    model = convolution(fit.reference.mean, Sigma, fit.bulk, **(arguments | options))
    if ours.power != 1:
        import pymc as pm

        with model:  # the likelihood of a calibrated fit is raised to a power
            of_bulk = pm.logp(model["bulk"], fit.bulk.T.to_numpy())
            pm.Potential("calibration", (ours.power - 1) * of_bulk.sum())
    return model


def _platform(fit: FittedProportions, options: dict[str, Any]) -> Any:
    from bayesdecov.models import platform

    reference = fit.reference
    variances = None
    if int(reference.replicates.max()) > 1:
        variances = pd.DataFrame(
            reference.covariance.variances(), reference.genes, reference.cell_types
        )
    phi = phi_of(fit)
    arguments: dict[str, Any] = {
        "counting_noise": phi if (phi > 0).all() else None,
        "variances": variances,
        "size_factor": unit_of(fit),
    }
    return platform(reference.mean, fit.bulk, **(arguments | options))
