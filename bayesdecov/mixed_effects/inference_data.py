"""A fit of the mixed model in ArviZ's terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bayesdecov.mixed_effects.result import MixedEffects


def to_inference_data(fit: MixedEffects) -> Any:
    """Groups ``posterior`` (one draw of a point estimate), ``constant_data`` and ``fit``."""
    import xarray as xr

    from bayesdecov._arviz import from_groups

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
    attrs = {
        key: value if isinstance(value, (int, float, str)) and not isinstance(value, bool)
        else str(value)
        for key, value in fit.settings.items()
    }  # fmt: skip
    groups = {
        "posterior": xr.Dataset(parameters, coords=coords | {"chain": [0], "draw": [0]}),
        "constant_data": xr.Dataset(
            {"design": (("sample", "covariate"), fit.design.table.to_numpy())},
            coords={"sample": samples, "covariate": covariates},
        ),
        "fit": xr.Dataset(
            summary, coords={k: coords[k] for k in ("covariate", "random_effect", "gene")}
            | {"covariate_bis": covariates},
        ),
    }  # fmt: skip
    return from_groups(groups, attrs | {"method": fit.method})
