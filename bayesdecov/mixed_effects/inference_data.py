"""A fit of the mixed model in ArviZ's terms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesdecov.checks import generator
from bayesdecov.checks import some as some_of
from bayesdecov.errors import InputError

if TYPE_CHECKING:
    from bayesdecov.mixed_effects.result import MixedEffects


def to_inference_data(fit: MixedEffects, some: Iterable[str] | None, seed: Any) -> Any:
    """Groups ``posterior``, ``sample_stats`` (NUTS), ``constant_data`` and ``fit``."""
    import xarray as xr

    from bayesdecov._arviz import dataset, from_groups

    e = fit.estimate
    covariates = np.asarray(fit.design.table.columns, dtype=str)
    random, genes = np.asarray(fit.random, dtype=str), fit.gene_names.to_numpy().astype(str)
    samples = fit.design.table.index.to_numpy().astype(str)
    coords: dict[str, Any] = {
        "covariate": covariates, "random_effect": random, "random_effect_bis": random,
        "gene": genes,
    }  # fmt: skip
    sigma = np.sqrt(e.sigma2)
    parameters: dict[str, Any] = {
        "beta": (("chain", "draw", "covariate"), e.beta[None, None]),
        "Psi": (("chain", "draw", "random_effect", "random_effect_bis"), e.Psi[None, None]),
        "sigma": (
            (("chain", "draw"), sigma[None]) if len(sigma) == 1
            else (("chain", "draw", "gene"), sigma[None, None])
        ),
        "gamma": (("chain", "draw", "gene", "random_effect"), e.gamma[None, None]),
    }  # fmt: skip
    summary: dict[str, Any] = {
        "effect_sd": (("gene", "random_effect"), np.array(e.sd)),
        "p_value": (("gene", "random_effect"), e.p),
        "q_value": (("gene", "random_effect"), fit.q_values.to_numpy()),
        "beta_covariance": (("covariate", "covariate_bis"), e.beta_cov),
    }
    for name in ("prob_deg", "lfsr"):
        value = getattr(e, name)
        if value is not None:
            summary[name] = (("gene", "random_effect"), value)
    posterior = xr.Dataset(parameters, coords=coords | {"chain": [0], "draw": [0]})
    stats = xr.Dataset()
    if fit.posterior is not None:
        posterior, stats = dataset(fit.posterior["posterior"]), dataset(
            fit.posterior["sample_stats"])  # fmt: skip
        posterior = posterior[["beta", "Psi", "psi_sd", "sigma"]]
        summary["effect_mean"] = (
            ("gene", "random_effect"),
            e.beta[fit.least_squares.random] + e.gamma,
        )
    if some is not None:
        posterior = posterior.assign(effect=_effects(fit, list(some), seed))
    groups = {
        "posterior": posterior,
        "sample_stats": stats,
        "constant_data": xr.Dataset(
            {"design": (("sample", "covariate"), fit.design.table.to_numpy())},
            coords={"sample": samples, "covariate": covariates},
        ),
        "fit": xr.Dataset(
            summary, coords={k: coords[k] for k in ("covariate", "random_effect", "gene")}
            | {"covariate_bis": covariates},
        ),
    }  # fmt: skip
    return from_groups(groups, fit.settings | {"method": fit.method})


def _effects(fit: MixedEffects, names: list[str], seed: Any) -> Any:
    """Draws of the whole effects of some genes."""
    import xarray as xr

    from bayesdecov._arviz import dataset
    from bayesdecov.mixed_effects.sampling import gene_draws

    if fit.posterior is None:
        raise InputError("genes", "need draws: method='nuts'", found=f"method={fit.method!r}")
    rows = fit.gene_names.get_indexer(names)
    if (rows < 0).any():
        lost = [name for name, row in zip(names, rows, strict=True) if row < 0]
        raise InputError("genes", "must be genes of the fit", found=some_of(lost))
    posterior = dataset(fit.posterior["posterior"])
    values = gene_draws(fit.least_squares, posterior, rows, generator(seed))
    return xr.DataArray(
        values, dims=("chain", "draw", "gene", "random_effect"),
        coords={"chain": posterior["chain"], "draw": posterior["draw"], "gene": names,
                "random_effect": list(fit.random)},
    )  # fmt: skip
