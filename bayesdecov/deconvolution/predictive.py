"""Predictions of a fit: replicated bulks, draws of the prior, each gene given all others."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from bayesdecov.algebra.counting import counting_variance
from bayesdecov.algebra.predictive import leave_one_out
from bayesdecov.algebra.priors import Dirichlet
from bayesdecov.algebra.simplex import proportions, shift_log_ratios, to_mrna
from bayesdecov.algebra.terms import Array, Term
from bayesdecov.deconvolution.fitted import FittedProportions
from bayesdecov.deconvolution.importance import adapt, truncated
from bayesdecov.deconvolution.model import Model
from bayesdecov.errors import InputError
from bayesdecov.platform.predictive import draw_bulks, gene_densities, predict

_LARGEST = 5_000_000  # numbers in a predictive group


def kept(fit: FittedProportions, count: int) -> np.ndarray:
    """Positions of about ``count`` evenly spaced draws in each chain's sequence."""
    if fit.draws is None:
        return np.zeros(1, dtype=int)
    _, chains, draws, _ = fit.draws.proportions.shape
    each = max(1, min(draws, count // chains))
    return np.unique(np.linspace(0, draws - 1, each).astype(int))


def expression_of(fit: FittedProportions, positions: np.ndarray) -> Array:
    """``q = s p``, fractions of mRNA times size factor, (chain, draw, sample, cell_type)."""
    if fit.draws is None or fit.draws.size_factor is None:
        p = fit.proportions.to_numpy()[:, None, None]
        size = fit.diagnostics["size_factor"].to_numpy(dtype=float)[:, None, None]
    else:
        p = fit.draws.proportions
        if fit.held is not None and fit.shared_shift is not None:
            # shared errors are those of the profiles, which predictions take as they are
            p = shift_log_ratios(p, -fit.shared_shift)
        p = p[:, :, positions]
        size = fit.draws.size_factor[:, :, positions]
    if fit.per_cell is not None:
        p = to_mrna(p, fit.per_cell)
    return np.asarray((size[..., None] * p).transpose(1, 2, 0, 3))


def room(fit: FittedProportions, count: int, samples: int | None = None) -> int:
    """Number of draws of whole bulks (``samples`` of them) to keep, at most ``count``."""
    n = fit.bulk.shape[1] if samples is None else samples
    return max(1, min(count, _LARGEST // max(n * fit.bulk.shape[0], 1)))


def phi_of(fit: FittedProportions) -> Array:
    """Counting noise per unit of expression in the bulks' own unit, (sample,)."""
    return fit.diagnostics["counting_noise"].to_numpy(dtype=float)


def replicate(model: Model, phi: Array, q: Array, rng: np.random.Generator) -> Array:
    """Replicated bulks under the fit, (..., sample, gene), for ``q`` (..., sample, type).

    ``phi`` (sample,) is the bulks' counting noise.
    """
    flat = q.reshape(-1, q.shape[-1])
    phi = np.broadcast_to(phi, q.shape[:-1]).ravel()
    mean = flat @ model.mu.T
    noise = model.covariance.draw(flat, rng)
    noise += np.sqrt(counting_variance(phi, mean)) * rng.standard_normal(mean.shape)
    if model.df is not None:
        noise *= np.sqrt(model.df / rng.chisquare(model.df, len(flat)))[:, None]
    return (mean + noise).reshape(*q.shape[:-1], -1)


def replicate_fit(fit: FittedProportions, q: Array, rng: np.random.Generator) -> Array:
    """Replicated bulks of the fit's samples for ``q`` (..., sample, type)."""
    model = fit.require_model()
    if model.platform is None:
        return replicate(model, phi_of(fit), q, rng)
    unit, flat, background, phi = _on_platform(fit, q, np.arange(q.shape[-2]))
    found = predict(model.platform, flat, background, phi)
    bulks = draw_bulks(model.platform, model.covariance, flat, found, rng)
    return np.asarray(bulks.reshape(*q.shape[:-1], -1) * unit[:, None])


def _on_platform(
    fit: FittedProportions, q: Array, samples: np.ndarray
) -> tuple[Array, Array, Array, Array]:
    """Units of samples; and for every row of ``q`` in these itself, background, counting noise."""
    unit = unit_of(fit)[samples]
    assert fit.background is not None
    background, phi = (
        np.broadcast_to(each, q.shape[:-1]).ravel()
        for each in (fit.background[samples], phi_of(fit)[samples] / unit)
    )
    return unit, (q / unit[:, None]).reshape(-1, q.shape[-1]), background, phi


def _by_gene(fit: FittedProportions, q: Array, samples: np.ndarray) -> tuple[Array, Array]:
    """`gene_densities` of samples in their own unit, (..., sample, gene)."""
    model = fit.require_model()
    assert model.platform is not None
    unit, flat, background, phi = _on_platform(fit, q, samples)
    found = predict(model.platform, flat, background, phi)
    y = fit.bulk.to_numpy().T[samples] / unit[:, None]
    y = np.broadcast_to(y, (*q.shape[:-1], y.shape[1])).reshape(len(flat), -1)
    value, residual = gene_densities(model.platform, model.covariance, flat, found, y)
    shape = (*q.shape[:-1], -1)
    return value.reshape(shape) - np.log(unit)[:, None], residual.reshape(shape)


def gene_log_likelihood(fit: FittedProportions, q: Array) -> tuple[Array, Array]:
    """Log-density of every gene given all others and its standardised residual, as ``q``.

    Where a platform was learned, genes are taken one by one: beyond what they share with the
    platform they are nearly independent.
    """
    model, phi = fit.require_model(), phi_of(fit)
    y = fit.bulk.to_numpy().T
    shape = (*q.shape[:-1], y.shape[1])
    value, residual = np.empty(shape), np.empty(shape)
    if model.platform is not None:
        for index in np.ndindex(q.shape[:-2]):
            value[index], residual[index] = _by_gene(fit, q[index], np.arange(len(y)))
        return value, residual
    step = model.genewise.chunk
    for index in np.ndindex(q.shape[:-2]):
        for start in range(0, len(y), step):
            rows = slice(start, start + step)
            value[index][rows], residual[index][rows] = leave_one_out(
                model.genewise, q[index][rows], y[rows], phi[rows], model.df
            )
    return value, residual


def unit_of(fit: FittedProportions) -> Array:
    """Scale of the size factors, (sample,)."""
    return np.ones(fit.bulk.shape[1]) if fit.unit is None else fit.unit


def prior_draws(
    fit: FittedProportions, count: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Proportions (fractions of mRNA) and size factors from the prior, (1, draw, sample, ...).

    DeCovarT Eq. 8 is the flat prior times :math:`|V|^{-1/2}`, drawn by importance resampling.
    A free size factor has no proper prior; it is drawn from the prior of `to_pymc`.
    """
    model = fit.require_model()
    n, n_types = fit.proportions.shape
    if model.of_paper:
        p = _paper_prior(fit, model, count * n, rng)
    elif isinstance(model.prior, Dirichlet):
        alpha = np.broadcast_to(np.asarray(model.prior.alpha, dtype=float), (n_types,))
        p = rng.dirichlet(alpha, count * n)
    else:
        z = model.prior.scale * rng.standard_normal((count * n, n_types))
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
    p = p.reshape(1, count, n, n_types)
    size = np.ones((1, count, n))
    if model.free_size:
        size = unit_of(fit) * rng.lognormal(0.0, 1.0, size.shape)
    return p, size


def _paper_prior(
    fit: FittedProportions, model: Model, count: int, rng: np.random.Generator
) -> Array:
    """Draws of the flat prior times :math:`|V|^{-1/2}` by adaptive importance sampling."""
    free = model.n_types - 1
    phi = float(np.median(phi_of(fit) / unit_of(fit)))
    nothing = np.zeros((1, len(fit.bulk)))

    def target(theta: Array, rows: np.ndarray) -> Term:
        logdet = model.genewise.scan(proportions(theta), nothing, phi).logdet.value[0]
        flat = model.prior.log_prior(theta, jacobian=True, order=1).value
        return Term(flat - 0.5 * logdet, np.empty(0), np.empty(0))

    start = np.zeros((1, free)), 0.5 * np.eye(free)[None]
    found = adapt(target, *start, np.array([0]), [250] * 6 + [4000], [rng])
    chosen = rng.choice(found.x.shape[1], count, p=truncated(found.log_weights)[0])
    return proportions(found.x[0, chosen])


def leave_one_gene_out(fit: FittedProportions, count: int = 1000) -> pd.DataFrame:
    """Expected log predictive density of every sample by Pareto-smoothed importance sampling."""
    from bayesdecov._arviz import psis

    if fit.draws is None:
        raise InputError(
            "fit",
            "must have posterior draws for leave-one-out",
            found=fit.method,
            fix="use method 'laplace' or 'nuts'",
        )
    model, noise = fit.require_model(), phi_of(fit)
    q = expression_of(fit, kept(fit, count))
    draws = q.shape[0] * q.shape[1]
    rows = []
    for i, name in enumerate(fit.proportions.index):
        if model.platform is not None:
            value = _by_gene(fit, q[:, :, [i]].reshape(draws, 1, -1), np.array([i]))[0][:, 0]
        else:
            y = np.broadcast_to(fit.bulk.to_numpy()[:, i], (draws, len(fit.bulk)))
            phi = np.full(draws, noise[i])
            flat = q[:, :, i].reshape(draws, -1)
            value, _ = leave_one_out(model.genewise, flat, y, phi, model.df)
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
