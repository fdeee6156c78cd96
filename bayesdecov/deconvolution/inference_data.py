"""A fit in ArviZ's terms, and the same model in PyMC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bayesdecov.results import Deconvolution


def to_inference_data(fit: Deconvolution) -> Any:
    """Groups ``posterior``, ``sample_stats``, ``observed_data``, ``constant_data``, ``fit``."""
    import xarray as xr

    from bayesdecov._arviz import from_groups

    samples = fit.proportions.index.to_numpy().astype(str)
    cell_types = fit.proportions.columns.to_numpy().astype(str)
    genes = fit.reference.genes.to_numpy().astype(str)
    draws = fit.draws if fit.draws is not None else fit.proportions.to_numpy()[:, None, :]
    size = fit.size_draws
    if size is None:
        size = fit.diagnostics["size_factor"].to_numpy(dtype=float)[:, None]
    coords = {"chain": [0], "draw": np.arange(draws.shape[1]), "sample": samples}
    posterior = xr.Dataset(
        {
            "proportions": (
                ("chain", "draw", "sample", "cell_type"), draws.transpose(1, 0, 2)[None],
            ),
            "size_factor": (("chain", "draw", "sample"), size.T[None]),
        },
        coords=coords | {"cell_type": cell_types},
    )  # fmt: skip
    summary: dict[str, Any] = {
        str(name): ("sample", column.to_numpy()) for name, column in fit.diagnostics.items()
    }
    summary["estimate"] = (("sample", "cell_type"), fit.proportions.to_numpy())
    fit_coords: dict[str, Any] = {"sample": samples, "cell_type": cell_types}
    if fit.covariance is not None:
        summary["covariance"] = (("sample", "cell_type", "cell_type_bis"), fit.covariance)
        fit_coords["cell_type_bis"] = cell_types
    if "mode" in fit.extra:
        summary["mean_vector"] = (("sample", "parameter"), fit.extra["mode"])
        summary["covariance_matrix"] = (
            ("sample", "parameter", "parameter_bis"), fit.extra["mode_covariance"],
        )  # fmt: skip
        parameters = [f"theta[{name}]" for name in cell_types[:-1]]
        if fit.extra["free_size"]:
            parameters.append("log_size_factor")
        fit_coords |= {"parameter": parameters, "parameter_bis": parameters}
    groups = {
        "posterior": posterior,
        "sample_stats": xr.Dataset(
            {name: (("chain", "sample"), fit.diagnostics[name].to_numpy()[None])
             for name in ("converged", "iterations", "log_likelihood") if name in fit.diagnostics},
            coords={"chain": [0], "sample": samples},
        ),
        "observed_data": xr.Dataset(
            {"bulk": (("sample", "gene"), fit.bulk.to_numpy().T)},
            coords={"sample": samples, "gene": genes},
        ),
        "constant_data": xr.Dataset(
            {"mean": (("gene", "cell_type"), fit.reference.mean.to_numpy()),
             "replicates": (("cell_type",), fit.reference.replicates.to_numpy())},
            coords={"gene": genes, "cell_type": cell_types},
        ),
        "fit": xr.Dataset(summary, coords=fit_coords),
    }  # fmt: skip
    return from_groups(groups, fit.settings | {"method": fit.method})


def to_pymc(fit: Deconvolution, **options: Any) -> Any:
    """`bayesdecov.models.convolution` with this fit's data, covariances, prior and noise."""
    from bayesdecov.deconvolution.problem import likelihood_covariance
    from bayesdecov.models import convolution

    covariance = likelihood_covariance(fit.reference, fit.noise)
    Sigma = np.stack([covariance.matrix(j) for j in range(len(fit.reference.cell_types))])
    phi = fit.diagnostics["counting_noise"].to_numpy(dtype=float)
    arguments: dict[str, Any] = {
        "prior": fit.extra["prior"],
        "counting_noise": phi if fit.noise == "counting" else None,
        # the likelihood settles the size factor; its prior only has to be in the right place
        "size_factor": fit.extra["unit"] if fit.extra["free_size"] else None,
        "df": fit.extra["df"],
    }
    return convolution(fit.reference.mean, Sigma, fit.bulk, **(arguments | options))
