"""Maximum a posteriori by Levenberg-Marquardt, all samples together, and its standard errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra import simplex
from bayesdecov.algebra.density import evaluate
from bayesdecov.algebra.priors import Dirichlet
from bayesdecov.algebra.terms import Array, Pieces, Term, log_density
from bayesdecov.deconvolution.initial_points import initial_points
from bayesdecov.deconvolution.model import Data, Model
from bayesdecov.optimize import Maximum, marquardt

_SAME_MODE = 0.02  # two maxima closer than this in every proportion are one
_OFF_BOUNDARY = 0.02
_LARGEST_MOVE = 1.5  # of a log-proportion
_SEEN = 0.002  # a lower share cannot be distinguished from zero
_ZERO = 1e-5  # a proportion below this is reported as zero
_PHI_START = 1.0  # times the mean expression: nearly unweighted least squares, which is robust
_PHI_STEPS = (np.geomspace(1e-4, 10.0, 11), np.geomspace(0.4, 2.5, 3), np.geomspace(0.7, 1.4, 3))


class Modes(NamedTuple):
    """The best maximum of each sample; ``x`` are the free coordinates (`unpack`).

    ``maximum.hessian`` is that of the climb, an approximation (`Density.approximate_hessian`).
    """

    x: Array
    maximum: Maximum
    modes: NDArray[np.int64]  # distinct maxima that were reached
    phi: Array
    projected: Array  # the bulks as the density takes them


class Estimates(NamedTuple):
    """Estimates that a fit reports for every sample."""

    p: Array  # (sample, cell_type)
    size: Array  # (sample,)
    covariance: Array  # (sample, cell_type, cell_type)
    log_likelihood: Array
    quad: Array
    iterations: NDArray[np.int64]
    rdm: Array
    converged: NDArray[np.bool_]
    modes: NDArray[np.int64]
    phi: Array


def unpack(model: Model, x: Array) -> tuple[Array, Array | None]:
    """Proportions and (where it is free) the size factor at the free coordinates."""
    theta = x[:, : model.n_types - 1]
    return simplex.proportions(theta), np.exp(x[:, -1]) if model.free_size else None


def log_posterior(
    model: Model, projected: Array, phi: Array, *, jacobian: bool, order: int = 2
) -> Callable[[Array, NDArray[np.intp]], Term]:
    """Log-density plus log-prior in free coordinates, with derivatives up to ``order``.

    A function of coordinates and of the samples that they belong to. ``jacobian=False`` is the
    density of the proportions (MLE and MAP); ``True`` that of the free coordinates, which is what
    Laplace expands and NUTS samples.
    """
    k = model.n_types - 1

    def objective(x: Array, rows: NDArray[np.intp]) -> Term:
        p, size = unpack(model, x)
        q = p if size is None else size[:, None] * p
        pieces = evaluate(model.density, q, projected[rows], phi[rows], order=order)
        term = model.target(pieces)
        prior = model.prior.log_prior(x[:, :k], jacobian=jacobian, order=max(order, 1))
        value = term.value + prior.value
        if model.free_size:
            value = value - 0.5 * (x[:, k] / model.size_sd) ** 2
        if order == 0:
            return term._replace(value=value)
        term = simplex.pull_back(term, p, size)
        gradient, hessian = term.gradient.copy(), term.hessian.copy()
        gradient[:, :k] += prior.gradient
        if model.free_size:
            gradient[:, k] -= x[:, k] / model.size_sd**2
        if order == 2:
            hessian[:, :k, :k] += prior.hessian
            if model.free_size:
                hessian[:, k, k] -= model.size_sd**-2
        return Term(value, gradient, hessian)

    return objective


def find_modes(model: Model, data: Data, *, jacobian: bool = False) -> Modes:
    """Maximise from every initial point, keep the best of each sample, count distinct maxima."""
    projected, phi = model.projected(data.y, data.held), data.phi
    unknown = np.isnan(phi)
    if not unknown.any():
        return _maximise(model, data, projected, phi, jacobian, data.start)
    phi = np.where(unknown, _PHI_START * data.y.mean(axis=1), phi)
    modes = _maximise(model, data, projected, phi, jacobian)
    for steps in _PHI_STEPS:
        phi = np.where(unknown, _estimate_phi(model, projected, modes.x, phi, steps), phi)
        start = _inside(model, modes.x)
        modes = _maximise(model, data, projected, phi, jacobian, start)
    return modes


def _maximise(
    model: Model,
    data: Data,
    projected: Array,
    phi: Array,
    jacobian: bool,
    start: Array | None = None,
) -> Modes:
    n = len(data.y)
    if start is None:
        rows, x = initial_points(model, data, projected, phi)
        if model.free_size:
            x = np.column_stack([x, np.zeros(len(x))])
    else:
        rows, x = np.arange(n), start
    climbed = replace(model, density=model.density.approximate_hessian())
    density = log_posterior(climbed, projected, phi, jacobian=jacobian)

    def objective(values: Array, which: NDArray[np.intp]) -> Term:
        return density(values, rows[which])

    def natural(values: Array) -> Array:
        p, size = unpack(model, values)
        return p if size is None else np.column_stack([p, values[:, -1]])

    found = marquardt(objective, x, natural=natural)
    value = np.where(np.isfinite(found.value), found.value, -np.inf)
    order = np.lexsort((-value, rows))
    first = order[np.searchsorted(rows[order], np.arange(n))]
    p = natural(found.x)[:, : model.n_types]
    apart = np.abs(p - p[first][rows]).max(axis=1) > _SAME_MODE
    others = np.bincount(rows[apart & found.converged], minlength=n)
    best = found.take(first)
    return Modes(best.x, best, 1 + np.minimum(others, 9), phi, projected)


def _inside(model: Model, x: Array) -> Array:
    """Free coordinates moved off the boundary, where the gradient vanishes."""
    k = model.n_types - 1
    moved = x.copy()
    p = simplex.proportions(x[:, :k])
    moved[:, :k] = simplex.theta_of((1 - _OFF_BOUNDARY) * p + _OFF_BOUNDARY / model.n_types)
    return moved


def _estimate_phi(
    model: Model, projected: Array, x: Array, phi: Array, steps: NDArray[np.float64]
) -> Array:
    """Counting noise with the highest likelihood at the current proportions, per sample.

    The likelihood is evaluated at ``phi * steps`` (equally spaced logarithms) and a parabola
    through the best value and its neighbours gives the maximum in between.
    """
    p, size = unpack(model, x)
    q = p if size is None else size[:, None] * p
    values = []
    for step in steps:
        pieces = evaluate(model.density, q, projected, step * phi, order=0)
        values.append(log_density(pieces, model.density.n_genes, df=model.df).value)
    scores = np.where(np.isfinite(values), values, -1e300)
    best = np.clip(scores.argmax(axis=0), 1, len(steps) - 2)
    left, middle, right = (scores[best + k, np.arange(len(phi))] for k in (-1, 0, 1))
    bend = left - 2 * middle + right
    shift = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, -1.0), 0.0)
    spacing = np.log(steps[1] / steps[0])
    return np.asarray(phi * steps[best] * np.exp(np.clip(shift, -1, 1) * spacing))


def maximum_a_posteriori(model: Model, data: Data) -> Estimates:
    """MAP estimates with standard errors from the expected information."""
    modes = find_modes(model, data, jacobian=model.mode_of_logs)
    p, size = unpack(model, modes.x)
    p = np.where(p < _ZERO, 0.0, p)
    p /= p.sum(axis=1, keepdims=True)
    scale = np.ones(len(p)) if size is None else size
    pieces = evaluate(model.density, scale[:, None] * p, modes.projected, modes.phi)
    covariance = _covariance(model, pieces, p, scale)
    if data.shared_shift is not None:
        covariance = covariance + simplex.second_moments(shared_moves(p, data.shared_shift))
    return estimates(model, data, modes, pieces, p, scale * data.unit, covariance)


def estimates(
    model: Model, data: Data, modes: Modes, pieces: Pieces, p: Array, size: Array, covariance: Array
) -> Estimates:
    """The estimates of a fit, in the bulk's own unit (it works on ``y = bulk / unit``)."""
    n_genes = model.density.n_genes
    log_likelihood = log_density(pieces, n_genes, df=model.df).value
    return Estimates(
        p=p,
        size=size,
        covariance=covariance,
        log_likelihood=log_likelihood - n_genes * np.log(data.unit),
        quad=distance(data, pieces.quad.value),
        iterations=modes.maximum.iterations,
        rdm=modes.maximum.rdm,
        converged=modes.maximum.converged,
        modes=modes.modes,
        phi=modes.phi * data.unit,
    )


def shared_moves(p: Array, shift: Array) -> Array:
    """How shared errors move proportions, (replicate, sample, cell_type); none is surely absent."""
    inside = np.maximum(p, _SEEN)
    inside = inside / inside.sum(axis=1, keepdims=True)
    # the logarithm of an absent type may move by any amount; its proportion stays small
    return simplex.moves_of_shifts(inside, np.clip(shift, -_LARGEST_MOVE, _LARGEST_MOVE))


def distance(data: Data, quad: Array) -> Array:
    """Mahalanobis distances in the variances that the cohort has, before a sample's own scale."""
    return quad if data.scale is None else quad * data.scale


def _covariance(model: Model, pieces: Pieces, p: Array, scale: Array) -> Array:
    """Covariance of the proportions from the expected information (Wald).

    A flat prior adds nothing, so that boundary estimates keep the error of the whole simplex; an
    informative one adds its curvature on the log-ratio scale.
    """
    F = model.information(pieces)
    n, n_types = p.shape
    flat = isinstance(model.prior, Dirichlet) and bool(np.all(np.asarray(model.prior.alpha) == 1.0))
    if model.free_size:
        to_p = (np.eye(n_types) - p[:, :, None]) / scale[:, None, None]
    else:
        to_p = np.broadcast_to(
            np.linalg.svd(np.ones((1, n_types)))[2][1:].T, (n, n_types, n_types - 1)
        )
        F = to_p.transpose(0, 2, 1) @ F @ to_p
    if not flat:
        F = F + _prior_information(model, p, to_p)
    covariance: Array = to_p @ np.linalg.pinv(F, hermitian=True) @ to_p.transpose(0, 2, 1)
    return covariance


def _prior_information(model: Model, p: Array, to_p: Array) -> Array:
    """Minus the prior's curvature, from theta to the coordinates of the information."""
    inside = np.maximum(p, 1e-8)
    inside /= inside.sum(axis=1, keepdims=True)
    curvature = -model.prior.log_prior(simplex.theta_of(inside), jacobian=False).hessian
    values, vectors = np.linalg.eigh(curvature)
    curvature = (vectors * np.maximum(values, 0)[:, None, :]) @ vectors.transpose(0, 2, 1)
    n_types = p.shape[1]
    # dtheta/dp = rows of (diag(1/p) with the last type subtracted)
    to_theta = np.zeros((len(p), n_types - 1, n_types))
    index = np.arange(n_types - 1)
    to_theta[:, index, index] = 1 / inside[:, :-1]
    to_theta[:, :, -1] = -1 / inside[:, -1:]
    chain = to_theta @ to_p
    result: Array = chain.transpose(0, 2, 1) @ curvature @ chain
    return result
