"""Starting points of the optimiser, chosen to find several modes of a likelihood.

Two kinds of starting points: generalised least squares for every sample, clipped into the simplex,
and the best of a set of points shared by all samples (one factorisation per point serves all of
them). With two cell types the whole interval is scanned and every local maximum is a start.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra.density import evaluate
from bayesdecov.algebra.simplex import theta_of
from bayesdecov.algebra.terms import Array
from bayesdecov.deconvolution.model import Data, Model

_CLIP = 0.02
_GRID = np.linspace(0.01, 0.99, 25)


def initial_points(
    model: Model, data: Data, projected: Array, phi: Array
) -> tuple[NDArray[np.intp], Array]:
    """Rows and starting ``theta``; a row with several starts appears several times."""
    n = len(data.y)
    points = candidates(model.n_types)
    scanned = model.target(model.density.scan(points, projected, float(np.median(phi)))).value
    scanned = np.where(np.isfinite(scanned), scanned, -np.inf)
    if model.n_types == 2:
        padded = np.pad(scanned, ((0, 0), (1, 1)), constant_values=-np.inf)
        peaks = (scanned >= padded[:, :-2]) & (scanned >= padded[:, 2:])
        rows, which = np.nonzero(peaks)
        return rows, theta_of(points[which])
    squares = least_squares(model, data)
    pieces = evaluate(model.density, squares, projected, phi, order=0)
    at_squares = model.target(pieces).value
    best = scanned.argmax(axis=1)
    better = scanned[np.arange(n), best] > np.where(np.isfinite(at_squares), at_squares, -np.inf)
    rows = np.concatenate([np.arange(n), np.flatnonzero(better)])
    theta = np.concatenate([theta_of(squares), theta_of(points[best[better]])])
    return rows, theta


def candidates(n_types: int) -> Array:
    """Points spread over the simplex: its centre, near its corners and (few types) its edges."""
    if n_types == 2:
        return np.column_stack([_GRID, 1 - _GRID])
    centre = np.full((1, n_types), 1 / n_types)
    eye = np.eye(n_types)
    corners = 0.85 * eye + 0.15 * centre
    points = [centre, corners]
    if n_types <= 8:
        edges = np.array([eye[i] + eye[j] for i, j in itertools.combinations(range(n_types), 2)])
        points.append(0.85 * edges / 2 + 0.15 * centre)
    return np.concatenate(points)


def least_squares(model: Model, data: Data) -> Array:
    """Weighted least squares, weights from the centre of the simplex, clipped into it."""
    mu, centre = model.mu, 1 / model.n_types
    variance = (model.covariance.variances() * centre**2).sum(axis=1)
    phi = np.nanmedian(data.phi) if np.isfinite(data.phi).any() else 0.0
    variance = variance + phi * mu.mean(axis=1)
    weight = 1 / np.sqrt(np.maximum(variance, 1e-12 * variance.max()))
    solution = np.linalg.lstsq(mu * weight[:, None], (data.y * weight).T, rcond=None)[0].T
    clipped = np.maximum(solution, 0.0) + 1e-12
    clipped /= clipped.sum(axis=1, keepdims=True)
    return (1 - _CLIP) * clipped + _CLIP * centre
