r"""The posterior of the collapsed mixed model by NUTS, and of the gene effects given it.

The parameters are sampled from `bayesdecov.models.mixed_effects` at a cost that does not depend on
the number of genes. Given a draw, a gene's effects are normal with known moments, so their
posterior means and variances are averages of those (Rao-Blackwell) and need no draws of their own.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from bayesdecov import checks
from bayesdecov.algebra.shared_design import LeastSquares
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError, Notes
from bayesdecov.mixed_effects.eblup import (
    conditional,
    coordinates,
    p_values,
    predict,
    statistics,
)
from bayesdecov.mixed_effects.estimate import Estimate
from bayesdecov.mixed_effects.options import Options

SAMPLERS = ("auto", "pymc", "nutpie")
_ENOUGH = 200  # draws that gene effects are averaged over
_R_HAT, _ESS = 1.01, 400.0


class Sampling(NamedTuple):
    """How to sample; the fields are keywords of `fastmix`."""

    draws: int = 1000
    tune: int = 1000
    chains: int = 4
    cores: int | None = None
    target_accept: float = 0.9
    nuts_sampler: str = "auto"
    progress: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Sampling:
        """Checked, with defaults where None was given."""
        chosen = cls(**{name: value for name, value in given.items() if value is not None})
        for name in ("draws", "tune", "chains"):
            checks.whole(getattr(chosen, name), name)
        checks.probability(chosen.target_accept, "target_accept")
        checks.choice(chosen.nuts_sampler, SAMPLERS, "nuts_sampler")
        return chosen


def fit_nuts(
    ls: LeastSquares, columns: list[str], options: Options, how: Sampling, notes: Notes,
    rng: np.random.Generator,
) -> tuple[Estimate, Any]:  # fmt: skip
    """Sample, summarise the genes, and return the estimate with ArviZ's container."""
    import pymc as pm

    model = to_pymc(ls, columns)
    sampler = how.nuts_sampler
    if sampler == "auto":
        sampler = "nutpie" if importlib.util.find_spec("nutpie") else "pymc"
    elif sampler == "nutpie" and not importlib.util.find_spec("nutpie"):
        raise InputError("nuts_sampler", "'nutpie' is not installed",
                         fix="pip install 'bayesdecov[fast]', or use 'pymc'")  # fmt: skip
    options_of = {"quiet": True} if sampler == "pymc" else {}
    # matrices are small: threads of a linear-algebra library only wait for each other
    with model, threadpool_limits(limits=1, user_api="blas"):
        idata = pm.sample(
            draws=how.draws, tune=how.tune, chains=how.chains, cores=how.cores,
            target_accept=how.target_accept, nuts_sampler=sampler, progressbar=how.progress,
            random_seed=int(rng.integers(2**31)), compute_convergence_checks=False, **options_of,
        )  # fmt: skip
    diagnostics = _diagnose(idata, notes)
    estimate = _summarise(ls, idata, options)
    settings = {**how._asdict(), "nuts_sampler": sampler, **diagnostics}
    settings.pop("progress")
    return estimate._replace(settings=settings), idata


def to_pymc(ls: LeastSquares, columns: list[str]) -> Any:
    """The same data as a ``pymc.Model``."""
    from bayesdecov.models import Sufficient, mixed_effects

    centred = ls.b - ls.mean
    known = Sufficient(
        ls.mean, centred.T @ centred, ls.V, float(ls.rss.sum()), ls.df, len(ls.b)
    )  # fmt: skip
    return mixed_effects(known, columns, [columns[j] for j in ls.random])


def _diagnose(idata: Any, notes: Notes) -> dict[str, Any]:
    """R-hat, effective sample sizes and divergences, with a verdict in the notes."""
    import arviz as az

    from bayesdecov._arviz import dataset

    names = ["beta", "psi_sd", "sigma"]
    drawn = dataset(idata["posterior"])[names]
    r_hat = max(float(value.max()) for value in az.rhat(drawn).data_vars.values())
    bulk = min(float(value.min()) for value in az.ess(drawn).data_vars.values())
    divergences = int(idata["sample_stats"]["diverging"].sum())
    if divergences:
        notes.warn(f"{divergences} divergent transitions: raise target_accept")
    if r_hat > _R_HAT:
        notes.warn(f"chains disagree (largest R-hat {r_hat:.3f}): draw more")
    if bulk < _ESS:
        notes.info(f"smallest effective sample size {bulk:.0f} (below {_ESS:.0f})")
    if not divergences and r_hat <= _R_HAT and bulk >= _ESS:
        notes.info(f"NUTS: no divergences, R-hat up to {r_hat:.3f}, at least {bulk:.0f} "
                   "effective draws")  # fmt: skip
    return {"r_hat": r_hat, "ess_bulk": bulk, "divergences": divergences}


def _summarise(ls: LeastSquares, idata: Any, options: Options) -> Estimate:
    posterior = idata["posterior"]
    beta, Psi, sigma = (
        np.asarray(posterior[name]).reshape(-1, *np.asarray(posterior[name]).shape[2:])
        for name in ("beta", "Psi", "sigma")
    )
    kept = np.unique(np.linspace(0, len(beta) - 1, _ENOUGH).astype(int))
    centre = beta.mean(axis=0)
    total, square, within = (np.zeros((len(ls.c), len(ls.random))) for _ in range(3))
    for d in kept:
        s2 = sigma[[d]] ** 2
        frame, h, deviation = coordinates(ls, beta[d], Psi[d], s2)
        mean, variance = conditional(frame, h, s2, deviation)
        whole = mean + beta[d][ls.random] - centre[ls.random]
        total, square, within = total + whole, square + whole**2, within + variance
    gamma = total / len(kept)
    sd = np.sqrt(np.maximum(square / len(kept) - gamma**2, 0.0) + within / len(kept))
    cov = np.cov(beta, rowvar=False)
    sigma2, mean_psi = np.array([np.mean(sigma**2)]), Psi.mean(axis=0)
    z = statistics(predict(ls, centre, cov, mean_psi, sigma2), mean_psi, options.statistic)
    ones = np.ones(len(centre))
    return Estimate(
        centre, np.atleast_2d(cov), np.inf * ones, ones, mean_psi, sigma2, gamma, sd, z,
        p_values(z, sided=options.sided), {},
    )  # fmt: skip


def gene_draws(ls: LeastSquares, posterior: Any, rows: Array, rng: np.random.Generator) -> Array:
    """Draws of the whole effects of some genes, (chain, draw, gene, q), one for each draw."""
    beta, Psi, sigma = (np.asarray(posterior[name]) for name in ("beta", "Psi", "sigma"))
    out = np.empty((*sigma.shape, len(rows), len(ls.random)))
    some = ls._replace(c=ls.c[rows])
    for index in np.ndindex(sigma.shape):
        s2 = np.array([sigma[index] ** 2])
        frame, h, deviation = coordinates(some, beta[index], Psi[index], s2)
        mean, _ = conditional(frame, h, s2, deviation)
        spread = np.sqrt(np.maximum(frame.lam, 0.0) * s2 * h)
        noise = rng.normal(size=mean.shape) * spread
        out[index] = beta[index][ls.random] + mean + noise @ frame.W.T
    return out
