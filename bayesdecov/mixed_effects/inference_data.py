"""A fit of the mixed model as an ArviZ container."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesdecov.algebra.terms import Array
from bayesdecov.checks import make_generator
from bayesdecov.checks import some as some_of
from bayesdecov.errors import InputError
from bayesdecov.mixed_effects.fitted import FittedEffects
from bayesdecov.mixed_effects.predictive import Parameters, Shifts, log_density, replicate

if TYPE_CHECKING:
    import xarray as xr


_PREDICTIVE = 20  # predictive draws of all genes' coefficients
_LIKELIHOOD = 200
_LARGEST = 5_000_000
_DIMS = {
    "beta": ("covariate",),
    "Psi": ("random_effect", "random_effect_bis"),
    "psi_sd": ("random_effect",),
    "up": ("shifted",),
    "down": ("shifted",),
    "delta": ("shifted",),
    "tau": ("shifted",),
}


def to_inference_data(
    fit: FittedEffects, some: Iterable[str] | None, seed: Any, *, log_likelihood: bool = False
) -> Any:
    """The groups described in `MixedEffects.to_inference_data`."""
    from bayesdecov._arviz import from_groups

    rng = make_generator(seed)
    posterior = _posterior(fit)
    if some is not None:
        posterior = posterior.assign(effect=_effects(fit, list(some), rng))
    stats = {"diverging": np.zeros((1, 1), dtype=bool)}
    if fit.posterior is not None:
        stats = fit.posterior.stats
    groups = {
        "posterior": posterior,
        "sample_stats": _labelled({k: (("chain", "draw"), v) for k, v in stats.items()}, fit),
    }
    if fit.posterior is not None and fit.posterior.prior:
        groups["prior"] = _labelled(
            {
                name: (("chain", "draw", *_DIMS.get(name, ())), value[None])
                for name, value in fit.posterior.prior.items()
            },
            fit,
        )
    ls = fit.least_squares
    count = max(1, min(_PREDICTIVE, _LARGEST // ls.b.size))
    groups["posterior_predictive"] = _at_draws(
        fit, posterior, count, ("gene", "covariate"), lambda at: replicate(ls, at, rng)
    )
    if log_likelihood:
        groups["log_likelihood"] = _at_draws(
            fit, posterior, _LIKELIHOOD, ("gene",), lambda at: log_density(ls, at)
        )
    groups["observed_data"] = _labelled(
        {"coefficients": (("gene", "covariate"), ls.b), "rss": (("gene",), ls.rss)}, fit
    )
    groups["constant_data"] = _labelled(
        {"design": (("sample", "covariate"), fit.design.table.to_numpy())}, fit
    )
    groups["fit"] = _fit(fit)
    return from_groups(groups, fit.settings | fit.facts | {"method": fit.method})


def _at_draws(
    fit: FittedEffects,
    posterior: xr.Dataset,
    count: int,
    dims: tuple[str, ...],
    value: Callable[[Parameters], Array],
) -> xr.Dataset:
    """``coefficients``: a function of the parameters, evaluated at some of the draws."""
    chosen = _positions(posterior, count)
    values = [[value(at) for at in chain] for chain in _parameters(fit, posterior, chosen)]
    variables = {
        "coefficients": (("chain", "draw", *dims), np.stack([np.stack(v) for v in values]))
    }
    return _labelled(variables, fit, posterior["draw"][chosen])


def _labelled(variables: dict[str, Any], fit: FittedEffects, draws: Any = None) -> xr.Dataset:
    """A Dataset with the coordinates of its dimensions."""
    import xarray as xr

    random = np.asarray(fit.random, dtype=str)
    covariates = np.asarray(fit.design.table.columns, dtype=str)
    known = {
        "covariate": covariates,
        "covariate_bis": covariates,
        "random_effect": random,
        "random_effect_bis": random,
        "gene": fit.gene_names.to_numpy().astype(str),
        "sample": fit.design.table.index.to_numpy().astype(str),
        "shifted": np.asarray(fit.facts.get("components", []), dtype=str),
    }
    data = xr.Dataset(variables)
    labels: dict[str, Any] = {name: known[name] for name in known if name in data.dims}
    for name in ("chain", "draw"):
        if name in data.dims:
            labels[name] = np.arange(data.sizes[name])
    if draws is not None:
        labels["draw"] = np.asarray(draws)
    return data.assign_coords(labels)


def _posterior(fit: FittedEffects) -> xr.Dataset:
    """Draws of the parameters; for methods without draws, the estimate as a single draw."""
    if fit.posterior is not None:
        drawn = fit.posterior.posterior
        names = [name for name in (*_DIMS, "sigma", "null", "nu") if name in drawn]
        return _labelled(
            {
                name: (("chain", "draw", *_DIMS.get(name, ())), np.asarray(drawn[name]))
                for name in names
            },
            fit,
        )
    e = fit.estimate
    sigma = np.sqrt(e.sigma2)
    one = ("chain", "draw")
    return _labelled(
        {
            "beta": ((*one, "covariate"), e.beta[None, None]),
            "Psi": ((*one, *_DIMS["Psi"]), e.Psi[None, None]),
            "psi_sd": ((*one, "random_effect"), np.sqrt(np.diag(e.Psi))[None, None]),
            "sigma": (one, sigma[None]) if len(sigma) == 1 else ((*one, "gene"), sigma[None, None]),
        },
        fit,
    )


def _positions(posterior: xr.Dataset, count: int) -> np.ndarray:
    """Evenly spaced draws of each chain, about ``count`` in all."""
    each = max(1, count // posterior.sizes["chain"])
    last = posterior.sizes["draw"] - 1
    return np.unique(np.linspace(0, last, min(each, last + 1)).astype(int))


def _parameters(
    fit: FittedEffects, posterior: xr.Dataset, positions: np.ndarray
) -> Iterator[list[Parameters]]:
    """The parameters of some draws, chain by chain."""
    q = len(fit.random)
    names = [
        name
        for name in ("beta", "Psi", "sigma", "nu", "up", "down", "delta", "tau")
        if name in posterior
    ]
    components = fit.facts.get("components", {})
    where = [fit.random.index(name) for name in components]
    fixed = {}
    if isinstance(components, dict) and where:  # EM's estimate
        fixed = {
            name: np.array([part[name] for part in components.values()])
            for name in ("up", "down", "delta", "tau")
        }
    for chain in range(posterior.sizes["chain"]):
        values = {name: np.asarray(posterior[name][chain, positions]) for name in names}
        some = []
        for d in range(len(positions)):
            shifts = np.zeros((4, q))
            for row, name in enumerate(("up", "down", "delta", "tau") if where else ()):
                shifts[row, where] = fixed[name] if name in fixed else values[name][d]
            some.append(
                Parameters(
                    values["beta"][d],
                    values["Psi"][d],
                    np.atleast_1d(np.square(values["sigma"][d])),
                    float(values["nu"][d]) if "nu" in values else None,
                    Shifts(shifts[0], shifts[1], shifts[2], shifts[3] ** 2) if where else None,
                )
            )
        yield some


def _fit(fit: FittedEffects) -> xr.Dataset:
    """Estimates and tests of every gene."""
    e = fit.estimate
    by_gene = ("gene", "random_effect")
    summary: dict[str, Any] = {
        "effect_mean": (by_gene, e.beta[fit.least_squares.random] + e.gamma),
        "effect_sd": (by_gene, np.array(e.sd)),
        "random_effect_mean": (by_gene, np.array(e.gamma)),
        "p_value": (by_gene, e.p),
        "q_value": (by_gene, fit.q_values.to_numpy()),
        "beta_estimate": (("covariate",), e.beta),
        "beta_covariance": (("covariate", "covariate_bis"), e.beta_cov),
    }
    for name in ("prob_deg", "lfsr"):
        value = getattr(e, name)
        if value is not None:
            summary[name] = (by_gene, value)
    return _labelled(summary, fit)


def _effects(fit: FittedEffects, names: list[str], rng: np.random.Generator) -> Any:
    """Draws of the whole effects of some genes."""
    import xarray as xr

    from bayesdecov.mixed_effects.sampling import gene_draws

    if fit.posterior is None:
        raise InputError("genes", "needs draws: method='nuts'", found=f"method={fit.method!r}")
    if "components" in fit.facts:
        raise InputError(
            "genes", "has no draws with contaminated=True", fix="use .genes, or sample without it"
        )
    rows = fit.gene_names.get_indexer(names)
    if (rows < 0).any():
        lost = [name for name, row in zip(names, rows, strict=True) if row < 0]
        raise InputError("genes", "must be fitted genes", found=some_of(lost))
    posterior = fit.posterior.posterior
    values = gene_draws(fit.least_squares, posterior, rows, rng)
    return xr.DataArray(
        values,
        dims=("chain", "draw", "gene", "random_effect"),
        coords={
            "chain": np.arange(values.shape[0]),
            "draw": np.arange(values.shape[1]),
            "gene": names,
            "random_effect": list(fit.random),
        },
    )
