r"""The posterior of the collapsed mixed model by NUTS, and of the gene effects given its draws.

The parameters are sampled from `bayesdecov.models.mixed_effects` at a cost that does not depend on
the number of genes. Given a draw, a gene's effects are normal with known moments, so their
posterior means and variances are averages over the draws (Rao-Blackwell), without draws of effects.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from bayesdecov import checks
from bayesdecov.algebra.shared_design import LeastSquares
from bayesdecov.algebra.terms import Array
from bayesdecov.diagnostics import convergence, e_bfmi
from bayesdecov.errors import Notes
from bayesdecov.mixed_effects.eblup import (
    conditional,
    coordinates,
    p_values,
    predict,
    statistics,
)
from bayesdecov.mixed_effects.estimate import Estimate
from bayesdecov.mixed_effects.mixture import fit_mixture, judge
from bayesdecov.mixed_effects.options import Choices
from bayesdecov.mixed_effects.parameters import Contamination
from bayesdecov.nuts import named
from bayesdecov.sampling import Schedule
from bayesdecov.verdicts import findings_of_chains, rendered

_PARAMETERS = ("beta", "psi_sd", "sigma", "null", "up", "down", "delta", "tau", "nu")

_PRIOR = 500  # draws of the prior
_ENOUGH = 200  # draws over which gene effects are averaged
_MIXTURE_DRAWS = 40  # the same for probabilities of differential expression


class Sampled(NamedTuple):
    """Draws of the parameters (a Dataset), the sampler's statistics, and draws of the prior."""

    posterior: Any
    stats: dict[str, np.ndarray]  # (chain, draw)
    prior: dict[str, np.ndarray]  # (draw, ...)


def fit_nuts(
    ls: LeastSquares,
    columns: list[str],
    choices: Choices,
    schedule: Schedule,
    notes: Notes,
    rng: np.random.Generator,
    *,
    contaminated: bool = False,
    nu: float | str | None = None,
    progress: bool = False,
) -> tuple[Estimate, Sampled]:
    """Sample, summarise the genes, and return the estimate with the draws."""
    from bayesdecov._arviz import dataset

    facts: dict[str, Any] = {}
    if contaminated:
        em = fit_mixture(ls, "common", columns, Notes(), rng)
        active = list(em.facts["components"])
        notes.info(
            f"effects with a component of shifted genes, chosen by EM: "
            f"{checks.some(active, 20) if active else 'none'}"
        )
        facts["components"] = active
        model = to_pymc(ls, columns, active=active)
    else:
        model = to_pymc(ls, columns, nu=nu)
    idata = sample(model, schedule, rng, progress=progress)
    prior = draw_prior(model, rng)
    names = [name for name in _PARAMETERS if name in idata["posterior"]]
    diagnostics = _diagnose(idata, names, notes)
    if contaminated:
        estimate = _mixture(ls, idata, [columns.index(name) for name in active])
    else:
        estimate = _summarise(ls, idata, choices)
    return estimate._replace(facts=facts | diagnostics), Sampled(
        dataset(idata["posterior"]), named(dataset(idata["sample_stats"])), prior
    )


def sample(
    model: Any, schedule: Schedule, rng: np.random.Generator, *, progress: bool = False
) -> Any:
    """Sample a PyMC model with the chosen sampler."""
    import pymc as pm

    options_of = {"quiet": True} if schedule.nuts_sampler == "pymc" else {}
    # matrices are small, so that multithreaded linear algebra would only be slower
    with model, threadpool_limits(limits=1, user_api="blas"):
        return pm.sample(
            draws=schedule.draws,
            tune=schedule.tune,
            chains=schedule.chains,
            cores=schedule.cores,
            target_accept=schedule.target_accept,
            nuts_sampler=schedule.nuts_sampler,
            progressbar=progress,
            random_seed=int(rng.integers(2**31)),
            compute_convergence_checks=False,
            **options_of,
        )


def draw_prior(model: Any, rng: np.random.Generator, count: int = _PRIOR) -> dict[str, np.ndarray]:
    """Draws of the parameters from the prior."""
    import pymc as pm
    from pytensor.compile.mode import Mode

    names = [name for name in (*_PARAMETERS, "Psi") if name in model.named_vars]
    plain = Mode(linker="py", optimizer="fast_compile")  # compiling takes longer than drawing
    values = pm.draw(
        [model[name] for name in names],
        draws=count,
        mode=plain,
        random_seed=int(rng.integers(2**31)),
    )
    return dict(zip(names, map(np.asarray, values), strict=True))


def to_pymc(
    ls: LeastSquares,
    columns: list[str],
    *,
    active: list[str] | None = None,
    nu: float | str | None = None,
) -> Any:
    """The same data as a ``pymc.Model``: collapsed, or gene by gene if ``active`` or ``nu``."""
    from bayesdecov.models import Genes, Sufficient, contamination, mixed_effects

    random = [columns[j] for j in ls.random]
    if active is None and nu is None:
        centred = ls.b - ls.mean
        known = Sufficient(
            ls.mean, centred.T @ centred, ls.V, float(ls.rss.sum()), ls.df, len(ls.b)
        )
        return mixed_effects(known, columns, random)
    genes = Genes(ls.c + ls.mean[ls.random], ls.Vz, ls.rss, ls.df)
    return contamination(genes, random, active or [], nu=nu)


def _diagnose(idata: Any, names: list[str], notes: Notes) -> dict[str, Any]:
    """Convergence diagnostics of the parameters and a verdict, also reported in the notes."""
    from bayesdecov._arviz import dataset

    stats = named(dataset(idata["sample_stats"]))
    measures = convergence(dataset(idata["posterior"])[names])
    found = {name: float(value) for name, value in measures.items()}
    found["divergences"] = int(stats["diverging"].sum())
    found["e_bfmi"] = float(e_bfmi(stats["energy"]))
    wrong = findings_of_chains(found)
    for finding in wrong:
        notes.warn(f"NUTS: {finding}")
    if not wrong:
        least = min(found["ess_bulk"], found["ess_tail"])
        notes.info(
            f"NUTS: no divergences, R-hat at most {found['r_hat']:.3f}, at least "
            f"{least:.0f} effective draws"
        )
    return {**found, "verdict": rendered(wrong)}


def _summarise(ls: LeastSquares, idata: Any, choices: Choices) -> Estimate:
    posterior = idata["posterior"]
    beta, Psi, sigma = (_pooled(posterior[name]) for name in ("beta", "Psi", "sigma"))
    kept = np.unique(np.linspace(0, len(beta) - 1, _ENOUGH).astype(int))
    nu = _tails(posterior)
    centre = beta.mean(axis=0)
    total, square, within = (np.zeros((len(ls.c), len(ls.random))) for _ in range(3))
    for d in kept:
        s2 = sigma[[d]] ** 2
        frame, h, deviation = coordinates(ls, beta[d], Psi[d], s2)
        mean, variance = conditional(frame, h, s2, deviation)
        if nu is not None:
            shape, rate = _scale_law(ls, nu[d], h, deviation, s2)
            variance = variance * (rate / (shape - 1))[:, None]
        whole = mean + beta[d][ls.random] - centre[ls.random]
        total, square, within = total + whole, square + whole**2, within + variance
    gamma = total / len(kept)
    sd = np.sqrt(np.maximum(square / len(kept) - gamma**2, 0.0) + within / len(kept))
    cov = np.cov(beta, rowvar=False)
    sigma2, mean_psi = np.array([np.mean(sigma**2)]), Psi.mean(axis=0)
    z = statistics(predict(ls, centre, cov, mean_psi, sigma2), mean_psi, choices.statistic)
    ones = np.ones(len(centre))
    return Estimate(
        centre,
        np.atleast_2d(cov),
        np.inf * ones,
        ones,
        mean_psi,
        sigma2,
        gamma,
        sd,
        z,
        p_values(z, sided=choices.sided),
        {},
    )


def _pooled(values: Any) -> Array:
    """Pooled draws of all chains, (draw, ...), also for a parameter without entries."""
    array = np.asarray(values)
    return array.reshape(array.shape[0] * array.shape[1], *array.shape[2:])


def _tails(posterior: Any) -> Array | None:
    """Draws of ``nu`` (draw,); None for the normal model."""
    return _pooled(posterior["nu"]) if "nu" in posterior else None


def _scale_law(
    ls: LeastSquares, nu: Array, h: Array, deviation: Array, s2: Array
) -> tuple[Array, Array]:
    """Shape and rates of the inverse-gamma posterior of each gene's scale under the t model."""
    quad = (h * np.square(deviation)).sum(axis=1) + ls.rss / s2
    return (nu + ls.df + deviation.shape[1]) / 2, (nu + quad) / 2


def _mixture(ls: LeastSquares, idata: Any, active: list[int]) -> Estimate:
    """Results as in `fit_mixture`, with NUTS draws for the uncertainty of the parameters."""
    posterior = idata["posterior"]
    pooled = {
        name: _pooled(posterior[name])
        for name in ("beta", "Psi", "sigma", "null", "up", "down", "delta", "tau")
        if name in posterior
    }
    q = len(ls.random)

    def contamination_of(values: dict[str, Array]) -> Contamination:
        whole = {name: np.zeros(q) for name in ("up", "down", "delta", "tau")}
        for name, value in whole.items():
            if len(active):
                value[active] = values[name]
        null = float(values["null"]) if len(active) else 1.0
        return Contamination(
            values["beta"] - ls.mean,
            values["Psi"],
            null,
            whole["up"],
            whole["down"],
            whole["delta"],
            np.square(whole["tau"]),
            np.array(active, dtype=int),
        )

    centre = contamination_of({name: value.mean(axis=0) for name, value in pooled.items()})
    kept = np.unique(np.linspace(0, len(pooled["sigma"]) - 1, _MIXTURE_DRAWS).astype(int))
    drawn = [contamination_of({name: value[d] for name, value in pooled.items()}) for d in kept]
    sigma2 = np.array([np.mean(np.square(pooled["sigma"]))])
    cov = np.atleast_2d(np.cov(pooled["beta"], rowvar=False))
    return judge(ls, sigma2, np.inf, centre, drawn, cov, {})


def gene_draws(ls: LeastSquares, posterior: Any, rows: Array, rng: np.random.Generator) -> Array:
    """Draws of the whole effects of given genes, (chain, draw, gene, q), one per draw."""
    beta, Psi, sigma = (np.asarray(posterior[name]) for name in ("beta", "Psi", "sigma"))
    out = np.empty((*sigma.shape, len(rows), len(ls.random)))
    some = ls._replace(c=ls.c[rows], rss=ls.rss[rows])
    nu = _tails(posterior)
    for index in np.ndindex(sigma.shape):
        s2 = np.array([sigma[index] ** 2])
        frame, h, deviation = coordinates(some, beta[index], Psi[index], s2)
        mean, _ = conditional(frame, h, s2, deviation)
        spread = np.sqrt(np.maximum(frame.lam, 0.0) * s2 * h)
        if nu is not None:
            shape, rate = _scale_law(some, nu.reshape(sigma.shape)[index], h, deviation, s2)
            spread = spread * np.sqrt(rate / rng.gamma(shape, size=len(rate)))[:, None]
        noise = rng.normal(size=mean.shape) * spread
        out[index] = beta[index][ls.random] + mean + noise @ frame.W.T
    return out
