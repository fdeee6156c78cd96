"""Single bulks, given what the cohort has told: their variances, and how shared errors move them.

The law, the genes' factors and their own noise are held. Weights for heavy tails are found bulk by
bulk; then the variances are held too, and what remains is a quadratic form (`algebra.held`), in
which the covariances of the reference have their place.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve

from bayesdecov.algebra.held import QuadraticSums
from bayesdecov.algebra.terms import Array, add_diagonal
from bayesdecov.platform.cut import Platform
from bayesdecov.platform.draws import response
from bayesdecov.platform.noise import variance
from bayesdecov.platform.rounds import Expression, Mixture, fit_given
from bayesdecov.reference.structures import Covariance, DenseCovariance, FactorCovariance

_LEAST_SCALE = 0.1  # of the law's variances
BLOCK = 32  # bulks at a time: sums do not depend on how many there are


class HeldBulks(NamedTuple):
    """Packed sums (sample, number), log-coefficients of the types, and moves of these.

    ``moved`` (draw, sample, cell_type) belong to the draws of the genes' factors; ``background``
    (sample,) is the coefficient of the last column, ``scale`` (sample,) that of the variances.
    """

    packed: Array
    log_q: Array
    background: Array
    scale: Array
    moved: Array


class _Solved(NamedTuple):
    """``V^-1 [P, y]`` of one bulk and ``log|V|``."""

    of_profiles: Array  # (gene, column)
    of_bulk: Array
    logdet: float


def hold(
    platform: Platform, covariance: Covariance | None, y: Array, phi: Array | None, factors: Array
) -> HeldBulks:
    """Fit bulks (sample, gene) with the platform held; ``factors`` (draw, gene) are shared.

    ``covariance`` is that of the reference with the genes' factors, None where it has none.
    """
    parts = [
        _hold(platform, covariance, y[i : i + BLOCK], _rows(phi, i), factors)
        for i in range(0, len(y), BLOCK)
    ]
    packed, log_q, background, scale, moved = zip(*parts, strict=True)
    return HeldBulks(
        np.concatenate(packed),
        np.concatenate(log_q),
        np.concatenate(background),
        np.concatenate(scale),
        np.concatenate(moved, axis=1),
    )


def _rows(phi: Array | None, start: int) -> Array | None:
    return None if phi is None else phi[start : start + BLOCK]


def _hold(
    platform: Platform, covariance: Covariance | None, y: Array, phi: Array | None, factors: Array
) -> HeldBulks:
    profiles = platform.profiles
    variances = None if covariance is None else covariance.variances()
    mixture = fit_given(Expression(y, variances, phi), profiles, platform.law, platform.gene)
    log_q, information = mixture.coefficients
    q = np.exp(log_q)
    solved = _solve(mixture, platform, covariance, y, phi, q)
    P = profiles.matrix
    inverse = np.stack([each.of_profiles for each in solved])
    found = QuadraticSums(
        np.stack([bulk @ each.of_bulk for bulk, each in zip(y, solved, strict=True)]),
        np.array([each.logdet for each in solved]),
        (inverse.transpose(0, 2, 1) @ y[:, :, None])[:, :, 0],
        inverse.transpose(0, 2, 1) @ P,
    )
    sums, scale = _scaled(found, q, len(P))
    of_diagonal = profiles.gram(mixture.noise.weights / mixture.variance)
    information = information + (sums.gram - of_diagonal) * q[:, :, None] * q[:, None]
    slope = inverse.transpose(0, 2, 1) * mixture.mean[:, None] * (q / scale[:, None])[:, :, None]
    moved = response(information, slope, factors)[:, :, : profiles.n_types]
    return HeldBulks(sums.packed(), log_q[:, : profiles.n_types], q[:, -1], scale, moved)


def _scaled(sums: QuadraticSums, q: Array, n_genes: int) -> tuple[QuadraticSums, Array]:
    """The sums with every bulk's own scale of variances, and that scale.

    Bulks of one cohort are of different quality: where genes of a sample scatter by more than the
    law says, its proportions are less certain.
    """
    distance = sums.square - 2 * np.einsum("nj,nj->n", sums.linear, q)
    distance = distance + np.einsum("nj,njk,nk->n", q, sums.gram, q)
    scale = np.maximum(distance / max(n_genes - q.shape[1], 1), _LEAST_SCALE)
    return QuadraticSums(
        sums.square / scale,
        sums.logdet + n_genes * np.log(scale),
        sums.linear / scale[:, None],
        sums.gram / scale[:, None, None],
    ), scale


def _solve(
    mixture: Mixture,
    platform: Platform,
    covariance: Covariance | None,
    y: Array,
    phi: Array | None,
    q: Array,
) -> list[_Solved]:
    """Solve with the covariance of every bulk."""
    P, n_types = platform.profiles.matrix, platform.profiles.n_types
    weights = mixture.noise.weights
    columns = np.concatenate(
        [np.broadcast_to(P, (len(y), *P.shape)), y[:, :, None]], axis=2
    )  # (sample, gene, column and bulk)
    if covariance is None:
        V = mixture.variance / weights
        solved = columns / V[:, :, None]
        logdet = np.log(V).sum(axis=1)
        return [_Solved(f[:, :-1], f[:, -1], d) for f, d in zip(solved, logdet, strict=True)]
    scale = np.sqrt(platform.gene / weights)
    own = variance(platform.law, mixture.mean, 0.0, phi)
    found = []
    for i in range(len(y)):
        place = q[i, :n_types], own[i], scale[i], columns[i]
        if isinstance(covariance, DenseCovariance):
            found.append(_dense(covariance, *place))
        else:
            found.append(_lowrank(covariance, *place))
    return found


def _dense(
    covariance: DenseCovariance, q: Array, own: Array, scale: Array, columns: Array
) -> _Solved:
    V: Array = np.tensordot(q**2, covariance.Sigma, axes=1)
    V = add_diagonal(V, own) * scale[:, None] * scale
    root = np.linalg.cholesky(V)
    found = cho_solve((root, True), columns, check_finite=False)
    return _Solved(found[:, :-1], found[:, -1], 2 * float(np.log(np.diag(root)).sum()))


def _lowrank(
    covariance: FactorCovariance, q: Array, own: Array, scale: Array, columns: Array
) -> _Solved:
    """By Woodbury's identity."""
    diagonal = (own + covariance.D @ q**2) * scale**2
    loadings = covariance.U * (scale[:, None] * q[covariance.owner])
    found = columns / diagonal[:, None]
    logdet = float(np.log(diagonal).sum())
    if not loadings.shape[1]:
        return _Solved(found[:, :-1], found[:, -1], logdet)
    weighted = loadings / diagonal[:, None]
    root = np.linalg.cholesky(add_diagonal(loadings.T @ weighted, np.ones(loadings.shape[1])))
    found = found - weighted @ cho_solve((root, True), loadings.T @ found, check_finite=False)
    return _Solved(found[:, :-1], found[:, -1], logdet + 2 * float(np.log(np.diag(root)).sum()))
