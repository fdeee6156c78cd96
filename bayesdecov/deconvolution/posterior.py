r"""Parts of every sampled posterior: its initial normal, its draws, and their summary.

The posterior of the free coordinates ``x`` (with the Jacobian of the simplex map) is expanded at
its maximum, :math:`x \sim N(\hat x, (-H)^{-1})`. Where the Hessian is not negative definite the
expected information takes its place, which is recorded.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra import simplex
from bayesdecov.algebra.density import evaluate
from bayesdecov.algebra.predictive import misfit_probability
from bayesdecov.algebra.priors import FLAT
from bayesdecov.algebra.terms import Array
from bayesdecov.deconvolution.fit import (
    Estimates,
    Modes,
    distance,
    estimates,
    find_modes,
    log_posterior,
    maximum_a_posteriori,
    unpack,
)
from bayesdecov.deconvolution.model import LIKELIHOOD, Data, Model

_PREDICTIVE = 20_000  # genes times draws of the predictive check; it varies less with many genes


class LaplaceApproximation(NamedTuple):
    """The normal approximation at the mode, in free coordinates."""

    modes: Modes
    covariance: Array  # (sample, parameter, parameter)
    root: Array  # covariance = root root'
    expected_information: NDArray[np.bool_]  # where the Hessian could not be used


class Posterior(NamedTuple):
    """Draws of every sample, their summary, and the normal approximation behind them."""

    estimates: Estimates  # p and covariance are the posterior mean and covariance
    p: Array  # (sample, chain, draw, cell_type)
    size: Array  # (sample, chain, draw)
    stats: dict[str, Array]  # of the sampler, (sample, chain, draw)
    mode: Array  # (sample, parameter)
    mode_covariance: Array  # (sample, parameter, parameter)
    expected_information: NDArray[np.bool_]
    log_weights: Array  # of proposals (sample, proposal), NaN after the last; of NUTS (sample, 0)
    predictive_p: Array  # posterior predictive probability of a larger misfit, (sample,)
    map: Array  # proportions that maximise the posterior density, (sample, cell_type)
    mle: Array  # and the likelihood


def laplace_approximation(model: Model, data: Data) -> LaplaceApproximation:
    """Mode and curvature of every sample's posterior."""
    modes = find_modes(model, data, jacobian=True)
    exact = log_posterior(model, modes.projected, modes.phi, jacobian=True)
    hessian = exact(modes.x, np.arange(len(modes.x))).hessian
    curvature = np.linalg.eigvalsh(np.where(np.isfinite(hessian), hessian, 1.0))
    fallback = ~(curvature[:, -1] < 0)
    precision = -hessian
    if fallback.any():
        p, size = unpack(model, modes.x)
        scale = np.ones(len(p)) if size is None else size
        pieces = evaluate(model.density, scale[:, None] * p, modes.projected, modes.phi)
        F = model.information(pieces)
        J = simplex.jacobian(p) * scale[:, None, None]
        if size is not None:
            J = np.concatenate([J, (scale[:, None] * p)[:, :, None]], axis=2)
        expected = J.transpose(0, 2, 1) @ F @ J
        k = model.n_types - 1
        prior = model.prior.log_prior(modes.x[:, :k], jacobian=True).hessian
        expected[:, :k, :k] -= prior
        precision[fallback] = expected[fallback]
    covariance = np.linalg.pinv(precision, hermitian=True)
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 1e-10 * np.maximum(values[:, -1:], 1e-300))  # no flat direction
    root = vectors * np.sqrt(values)[:, None, :]
    return LaplaceApproximation(modes, covariance, root, fallback)


def summarise(
    model: Model,
    data: Data,
    normal: LaplaceApproximation,
    x: Array,
    stats: dict[str, Array],
    log_weights: Array,
) -> Posterior:
    """The posterior from draws ``x`` (sample, chain, draw, parameter) of free coordinates."""
    n, chains, draws, _ = x.shape
    modes = normal.modes
    flat_p, flat_size = unpack(model, x.reshape(n * chains * draws, -1))
    p = flat_p.reshape(n, chains, draws, -1)
    if data.shared_shift is not None:
        p = simplex.shift_log_ratios(p, data.shared_shift)
    size = np.ones(n * chains * draws) if flat_size is None else flat_size
    size = size.reshape(n, chains, draws) * data.unit[:, None, None]
    pooled = p.reshape(n, chains * draws, -1)
    centred = pooled - pooled.mean(axis=1, keepdims=True)
    spread = centred.transpose(0, 2, 1) @ centred / max(chains * draws - 1, 1)
    at, at_size = unpack(model, modes.x)
    scale = np.ones(n) if at_size is None else at_size
    pieces = evaluate(model.density, scale[:, None] * at, modes.projected, modes.phi, order=0)
    reported = estimates(
        model, data, modes, pieces, pooled.mean(axis=1), size.reshape(n, -1).mean(axis=1), spread
    )
    mode = modes.x.copy()
    if model.free_size:  # in the unit of the bulk
        mode[:, -1] += np.log(data.unit)
    return Posterior(
        reported,
        p,
        size,
        stats,
        mode,
        normal.covariance,
        normal.expected_information,
        log_weights,
        _predictive_p(model, data, modes, flat_p, flat_size),
        *maxima(model, data._replace(phi=modes.phi)),
    )


def maxima(model: Model, data: Data) -> tuple[Array, Array]:
    """Maxima of the posterior density of the proportions, and of the likelihood."""
    highest = maximum_a_posteriori(model, data).p
    if model.prior == FLAT and model.logdet_weight == LIKELIHOOD:
        return highest, highest
    flat = replace(model, prior=FLAT, logdet_weight=LIKELIHOOD)
    return highest, maximum_a_posteriori(flat, data).p


def _predictive_p(model: Model, data: Data, modes: Modes, p: Array, size: Array | None) -> Array:
    """Probability that replicated data lie farther away, averaged over some draws."""
    n = len(data.y)
    per_sample = len(p) // n
    wanted = int(np.clip(_PREDICTIVE / model.density.n_genes, 20, 100))
    some = np.unique(np.linspace(0, per_sample - 1, wanted).astype(int))
    rows = (np.arange(n)[:, None] * per_sample + some).ravel()
    q = p[rows] if size is None else size[rows, None] * p[rows]
    owner = np.repeat(np.arange(n), len(some))
    pieces = evaluate(model.density, q, modes.projected[owner], modes.phi[owner], order=0)
    quad = pieces.quad.value.reshape(n, -1).T
    worse = misfit_probability(distance(data, quad).T, model.density.n_genes, model.df)
    return np.asarray(worse.reshape(n, -1).mean(axis=1))
