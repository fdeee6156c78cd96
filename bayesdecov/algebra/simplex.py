r"""From free parameters to proportions and back (DeCovarT Eq. 13-17).

``p = psi(theta)``: softmax with the last cell type as the reference, ``theta_J = 0``. With a free
size factor the coordinates are ``x = (theta, log s)`` and ``q = s psi(theta)``; otherwise
``x = theta`` and ``q = p``.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import helmert

from bayesdecov.algebra.terms import Array, Term


def log_proportions(theta: Array) -> Array:
    """``log p`` (sample, cell_type) from ``theta`` (sample, cell_type - 1), without overflow."""
    full = np.concatenate([theta, np.zeros((len(theta), 1))], axis=1)
    full -= full.max(axis=1, keepdims=True)
    result: Array = full - np.log(np.exp(full).sum(axis=1, keepdims=True))
    return result


def proportions(theta: Array) -> Array:
    """``p = psi(theta)`` (DeCovarT Eq. 13)."""
    return np.exp(log_proportions(theta))


def log_ratio_basis(n_types: int) -> Array:
    r"""An orthonormal basis V of centred log-ratios, (cell_type, cell_type - 1).

    :math:`z = V^\top \log p` are isometric log-ratios (Egozcue et al. 2003,
    doi:10.1023/A:1023818214614) and :math:`p = \mathrm{softmax}(V z)`.
    """
    return np.asarray(helmert(n_types).T)


def to_cells(p: Array, per_cell: Array) -> Array:
    """Fractions of cells from fractions of mRNA (last axis), given the mRNA per cell."""
    cells = p / per_cell
    result: Array = cells / cells.sum(axis=-1, keepdims=True)
    return result


def to_mrna(p: Array, per_cell: Array) -> Array:
    """The inverse of `to_cells`."""
    return to_cells(p, 1.0 / per_cell)


def shift_log_ratios(p: Array, shift: Array) -> Array:
    """Draws (sample, ..., draw, cell_type) with shifts added to the logarithms of their types.

    Draws use the replicates of ``shift`` (replicate, sample, cell_type) in turn. ``-shift`` undoes
    it.
    """
    turn = np.arange(p.shape[-2]) % len(shift)
    step = np.exp(shift[turn]).transpose(1, 0, 2)
    grown = p * step.reshape(len(p), *[1] * (p.ndim - 3), len(turn), p.shape[-1])
    return np.asarray(grown / grown.sum(axis=-1, keepdims=True))


def moves_of_shifts(p: Array, shift: Array) -> Array:
    """How shifts of log-proportions move ``p`` (sample, cell_type).

    ``shift`` and the result are (replicate, sample, cell_type).
    """
    moved = p * np.exp(shift)
    return np.asarray(moved / moved.sum(axis=-1, keepdims=True) - p)


def second_moments(moves: Array) -> Array:
    """(sample, cell_type, cell_type) of moves (replicate, sample, cell_type)."""
    off = moves.transpose(1, 2, 0)
    return np.asarray(off @ off.transpose(0, 2, 1) / len(moves))


def theta_of(p: Array) -> Array:
    """Inverse of `proportions`: log-ratios to the last cell type; ``p`` must be positive."""
    return np.log(p[:, :-1]) - np.log(p[:, -1:])


def jacobian(p: Array) -> Array:
    r""":math:`\partial p_i/\partial\theta_j = p_i(\delta_{ij} - p_j)` (DeCovarT Eq. 14).

    (sample, cell_type, cell_type - 1).
    """
    n_types = p.shape[1]
    return p[:, :, None] * (np.eye(n_types)[None, :, :-1] - p[:, None, :-1])


def second_derivatives(p: Array) -> Array:
    r""":math:`\partial^2 p_i/\partial\theta_j\partial\theta_k` (DeCovarT Eq. 15).

    (sample, cell_type, cell_type - 1, cell_type - 1).
    """
    n_types = p.shape[1]
    eye = np.eye(n_types)[:, :-1]
    deviation = eye[None] - p[:, None, :-1]  # delta_ij - p_j
    variance = p[:, :-1, None] * (np.eye(n_types - 1) - p[:, None, :-1])  # p_j(d_jk - p_k)
    return p[:, :, None, None] * (
        deviation[:, :, :, None] * deviation[:, :, None, :] - variance[:, None]
    )


def pull_back(term: Term, p: Array, scale: Array | None = None) -> Term:
    r"""Derivatives in the free coordinates of a function of ``q = s p`` (DeCovarT Eq. 16-17).

    :math:`\nabla_x = J^\top g` and :math:`\nabla^2_x = J^\top H J + \sum_i g_i \nabla^2 q_i`. The
    contraction of the second derivatives is explicit, so no (J, J-1, J-1) array is formed.
    """
    n, n_types = p.shape
    s = np.ones(n) if scale is None else scale
    g, H = term.gradient, term.hessian
    weighted = s[:, None] * p * (g - np.einsum("nj,nj->n", p, g)[:, None])  # J'g over all types
    free = weighted[:, :-1]
    if H.size == 0:
        if scale is not None:
            slope = s * np.einsum("nj,nj->n", p, g)
            free = np.concatenate([free, slope[:, None]], axis=1)
        return Term(term.value, free, H)
    curvature = -free[:, :, None] * p[:, None, :-1] - p[:, :-1, None] * free[:, None, :]
    index = np.arange(n_types - 1)
    curvature[:, index, index] += free
    J = s[:, None, None] * jacobian(p)
    H_J = H @ J
    hessian = J.transpose(0, 2, 1) @ H_J + curvature
    if scale is None:
        return Term(term.value, free, hessian)
    q = s[:, None] * p
    slope = np.einsum("nj,nj->n", q, g)
    gradient = np.concatenate([free, slope[:, None]], axis=1)
    corner = np.einsum("ni,nij,nj->n", q, H, q) + slope
    edge = np.einsum("ni,nij->nj", q, H_J) + free
    full = np.empty((n, n_types, n_types))
    full[:, :-1, :-1] = hessian
    full[:, -1, :-1] = full[:, :-1, -1] = edge
    full[:, -1, -1] = corner
    return Term(term.value, gradient, full)
