"""What a fit predicts: replicated bulks, draws of the prior, and each gene given all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from bayesdecov.algebra.counting import counting_variance
from bayesdecov.algebra.dense import Dense
from bayesdecov.algebra.lowrank import LowRank
from bayesdecov.algebra.predictive import leave_one_out
from bayesdecov.algebra.priors import Dirichlet
from bayesdecov.algebra.simplex import proportions, to_mrna
from bayesdecov.algebra.terms import Array, Term
from bayesdecov.deconvolution.importance import adapt, truncated
from bayesdecov.deconvolution.problem import likelihood_covariance
from bayesdecov.errors import InputError
from bayesdecov.reference.structures import Covariance

if TYPE_CHECKING:
    from bayesdecov.deconvolution.result import Deconvolution, Law

_LARGEST = 5_000_000  # numbers in a predictive group


class Likelihood(NamedTuple):
    """The law of the bulks in their own unit."""

    covariance: Covariance
    density: Dense | LowRank
    phi: Array  # (sample,)
    df: float | None


def likelihood_of(fit: Deconvolution) -> Likelihood:
    """Rebuild the likelihood of a fit; baselines have none."""
    covariance = likelihood_covariance(fit.reference, fit.noise)
    density = covariance.density(fit.reference.mean.to_numpy(), counting=True)
    phi = fit.diagnostics["counting_noise"].to_numpy(dtype=float)
    return Likelihood(covariance, density, phi, law_of(fit).df)  # type: ignore[arg-type]


def law_of(fit: Deconvolution) -> Law:
    """The law of a model-based fit."""
    if fit.law is None:
        raise InputError("fit", "this needs a likelihood", found=f"method={fit.method!r}",
                         fix="use method 'map', 'laplace' or 'nuts'")  # fmt: skip
    return fit.law


def kept(fit: Deconvolution, count: int) -> np.ndarray:
    """Positions of about ``count`` evenly spaced draws in each chain's sequence."""
    if fit.draws is None:
        return np.zeros(1, dtype=int)
    _, chains, draws, _ = fit.draws.proportions.shape
    each = max(1, min(draws, count // chains))
    return np.unique(np.linspace(0, draws - 1, each).astype(int))


def expression_of(fit: Deconvolution, positions: np.ndarray) -> Array:
    """``q = s p``, fractions of mRNA times size factor, (chain, draw, sample, cell_type)."""
    law = law_of(fit)
    if fit.draws is None or fit.draws.size_factor is None:
        p = fit.proportions.to_numpy()[:, None, None]
        size = fit.diagnostics["size_factor"].to_numpy(dtype=float)[:, None, None]
    else:
        p = fit.draws.proportions[:, :, positions]
        size = fit.draws.size_factor[:, :, positions]
    if law.per_cell is not None:
        p = to_mrna(p, law.per_cell)
    return np.asarray((size[..., None] * p).transpose(1, 2, 0, 3))


def room(fit: Deconvolution, count: int, samples: int | None = None) -> int:
    """How many draws of whole bulks (``samples`` of them) are reasonable, at most ``count``."""
    n = fit.bulk.shape[1] if samples is None else samples
    return max(1, min(count, _LARGEST // max(n * fit.bulk.shape[0], 1)))


def replicate(law: Likelihood, q: Array, rng: np.random.Generator) -> Array:
    """Bulks as the fit would see them again, (..., sample, gene) for ``q`` (..., sample, type)."""
    flat = q.reshape(-1, q.shape[-1])
    phi = np.broadcast_to(law.phi, q.shape[:-1]).ravel()
    mean = flat @ law.density.mu.T
    noise = law.covariance.draw(flat, rng)
    noise += np.sqrt(counting_variance(phi, mean)) * rng.standard_normal(mean.shape)
    if law.df is not None:
        noise *= np.sqrt(law.df / rng.chisquare(law.df, len(flat)))[:, None]
    return (mean + noise).reshape(*q.shape[:-1], -1)


def gene_log_likelihood(fit: Deconvolution, law: Likelihood, q: Array) -> tuple[Array, Array]:
    """Log-density of every gene given all others and its standardised residual, as ``q``."""
    y = fit.bulk.to_numpy().T
    shape = (*q.shape[:-1], y.shape[1])
    value, residual = np.empty(shape), np.empty(shape)
    step = law.density.chunk
    for index in np.ndindex(q.shape[:-2]):
        for start in range(0, len(y), step):
            rows = slice(start, start + step)
            value[index][rows], residual[index][rows] = leave_one_out(
                law.density, q[index][rows], y[rows], law.phi[rows], law.df
            )
    return value, residual


def prior_draws(fit: Deconvolution, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Proportions (fractions of mRNA) and size factors from the prior, (1, draw, sample, ...).

    The paper's Eq. 8 is the flat prior times :math:`|V|^{-1/2}`, drawn by importance resampling.
    A free size factor has no proper prior; it is drawn as `to_pymc` has it.
    """
    law = law_of(fit)
    n, n_types = fit.proportions.shape
    if law.paper:
        p = _paper_prior(fit, law, count * n, rng)
    elif isinstance(law.prior, Dirichlet):
        alpha = np.broadcast_to(np.asarray(law.prior.alpha, dtype=float), (n_types,))
        p = rng.dirichlet(alpha, count * n)
    else:
        z = law.prior.scale * rng.standard_normal((count * n, n_types))
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
    p = p.reshape(1, count, n, n_types)
    size = np.ones((1, count, n))
    if law.free_size:
        size = law.unit * rng.lognormal(0.0, 1.0, size.shape)
    return p, size


def _paper_prior(fit: Deconvolution, law: Law, count: int, rng: np.random.Generator) -> Array:
    """Draws of the flat prior times :math:`|V|^{-1/2}` by adaptive importance sampling."""
    likelihood, free = likelihood_of(fit), fit.proportions.shape[1] - 1
    phi = float(np.median(likelihood.phi / law.unit))
    nothing = np.zeros((1, len(fit.bulk)))

    def target(theta: Array, rows: np.ndarray) -> Term:
        logdet = likelihood.density.scan(proportions(theta), nothing, phi).logdet.value[0]
        flat = law.prior.log_prior(theta, jacobian=True, order=1).value
        return Term(flat - 0.5 * logdet, np.empty(0), np.empty(0))

    start = np.zeros((1, free)), 0.5 * np.eye(free)[None]
    found = adapt(target, *start, np.array([0]), [250] * 6 + [4000], [rng])
    chosen = rng.choice(found.x.shape[1], count, p=truncated(found.log_weights)[0])
    return proportions(found.x[0, chosen])


def leave_one_gene_out(fit: Deconvolution, count: int = 1000) -> pd.DataFrame:
    """Expected log predictive density of every sample by Pareto-smoothed importance sampling."""
    from bayesdecov._arviz import psis

    if fit.draws is None:
        raise InputError("fit", "leave-one-out needs posterior draws", found=fit.method,
                         fix="use method 'laplace' or 'nuts'")  # fmt: skip
    law = likelihood_of(fit)
    q = expression_of(fit, kept(fit, count))
    draws = q.shape[0] * q.shape[1]
    rows = []
    for i, name in enumerate(fit.proportions.index):
        y = np.broadcast_to(fit.bulk.to_numpy()[:, i], (draws, len(fit.bulk)))
        phi = np.full(draws, law.phi[i])
        value, _ = leave_one_out(law.density, q[:, :, i].reshape(draws, -1), y, phi, law.df)
        if not np.isfinite(value).all():  # refused: no draws
            rows.append((name, *[np.nan] * 4))
            continue
        weights, shape = psis(-value.T)
        elpd = logsumexp(weights + value.T, axis=1)
        lppd = logsumexp(value, axis=0) - np.log(draws)
        se = np.sqrt(len(elpd) * elpd.var())
        rows.append((name, elpd.sum(), se, (lppd - elpd).sum(), shape.max()))
    columns = ["sample", "elpd", "se", "p_loo", "pareto_k"]
    return pd.DataFrame(rows, columns=columns).set_index("sample")
