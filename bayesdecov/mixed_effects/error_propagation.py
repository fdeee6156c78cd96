r"""Propagation of the remaining errors of the proportions to the effects of every gene.

With an error :math:`u` in the refined proportions the design has an error :math:`dX` (rows
:math:`A_iu_i`), and least squares estimates :math:`(I + D)b_g` with :math:`D = X^+dX`, the same
``D`` for all genes. Its second moments :math:`E[D_{la}D_{l'a'}]` follow from the covariance of
``u``. The variance of :math:`Db_g` after shrinkage is added to that of a gene's effects. Its tests
account for the leakage of its own effects, where larger than those of most genes, into the others.

An error that all samples have in common is a single ``D``. Its diagonal scales the effects of a
column on all genes alike and moves no zero: it belongs to intervals, and not to tests.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from bayesdecov.algebra.shared_design import LeastSquares
from bayesdecov.algebra.terms import Array
from bayesdecov.mixed_effects.eblup import coordinates, predictor
from bayesdecov.mixed_effects.estimate import Estimate

_TINY = 1e-300


def leakage(onto: Array, lifts: Array, covariance: Array) -> Array:
    """``E[D_la D_pb]``, (column, column, column, column).

    ``onto`` (column, sample) is the coefficient map, ``lifts`` (sample, column, d) the design's
    derivative, ``covariance`` (sample d, sample d) that of the proportions in these directions.
    """
    n, n_columns, d = lifts.shape
    J = np.einsum("li,iad->laid", onto, lifts).reshape(n_columns**2, n * d)
    return np.asarray((J @ covariance @ J.T).reshape((n_columns,) * 4))


def shared_leakage(onto: Array, lifts: Array, moves: Array) -> tuple[Array, Array]:
    """``E[D_la D_pb]`` of errors that samples share, whole and without the diagonals of ``D``.

    ``moves`` (replicate, sample, cell_type) are replicates of the errors of the proportions,
    ``lifts`` (sample, column, cell_type) the design's derivative in them.
    """
    moves = moves - moves.mean(axis=0)
    D = np.einsum("li,iac,kic->kla", onto, lifts, moves, optimize=True)
    between = D * (1.0 - np.eye(D.shape[1]))
    whole, mixed = (np.einsum("kla,kpb->lapb", M, M) / len(M) for M in (D, between))
    return whole, mixed


def propagate_errors(
    estimate: Estimate, ls: LeastSquares, leak: Array, *, of_tests: Array | None = None
) -> Estimate:
    """The estimate with propagated errors: fixed and gene effects, false-sign rates, tests.

    ``of_tests`` is the leakage that false-sign rates and tests of genes include; by default all.
    """
    of_tests = leak if of_tests is None else of_tests
    gamma = estimate.gamma
    of_beta = np.einsum("lapb,a,b->lp", leak, estimate.beta, estimate.beta, optimize=True)
    wider = _wider(estimate, ls, leak)
    effect = estimate.beta[ls.random] + gamma
    fields: dict[str, Any] = {}
    if estimate.low is not None and estimate.high is not None:
        fields["low"] = effect - wider * (effect - estimate.low)
        fields["high"] = effect + wider * (estimate.high - effect)
    if estimate.lfsr is not None:
        of_sign = wider if of_tests is leak else _wider(estimate, ls, of_tests)
        fields["lfsr"] = ndtr(ndtri(np.maximum(estimate.lfsr, _TINY)) / of_sign)
    inner = of_tests[:, ls.random][:, :, :, ls.random]
    shrunk = 1.0 / np.sqrt(1.0 + _own_leak(estimate, ls, inner, gamma))
    z = ndtri(np.maximum(estimate.p, _TINY) / 2) * shrunk
    return estimate._replace(
        beta_cov=estimate.beta_cov + of_beta,
        sd=estimate.sd * wider,
        p=2 * ndtr(z),
        z=estimate.z * shrunk,
        **fields,
    )


def _wider(estimate: Estimate, ls: LeastSquares, leak: Array) -> Array:
    """Factors of the standard deviations of whole effects, (gene, q)."""
    beta, gamma = estimate.beta, estimate.gamma
    frame, h, _ = coordinates(ls, beta, estimate.Psi, estimate.sigma2)
    P = predictor(frame, h) @ ls.onto  # coefficients to random effects, (q, column)
    own = np.eye(len(beta))[ls.random]
    # an error changes the whole effect by own D beta + P D gamma
    of_beta = np.einsum("lapb,a,b->lp", leak, beta, beta, optimize=True)
    first = np.einsum("ql,lp,qp->q", own, of_beta, own)
    half = np.einsum("lapb,ql,qp,a->qb", leak, own, P, beta, optimize=True)[:, ls.random]
    inner = leak[:, ls.random][:, :, :, ls.random]
    both = np.einsum("lapb,ql,qp->qab", inner, P, P, optimize=True)
    extra = first + 2 * gamma @ half.T
    extra += np.einsum("ga,qab,gb->gq", gamma, both, gamma, optimize=True)
    return np.asarray(
        np.sqrt(1.0 + np.maximum(extra, 0.0) / np.maximum(np.square(estimate.sd), _TINY))
    )


def _own_leak(estimate: Estimate, ls: LeastSquares, inner: Array, gamma: Array) -> Array:
    """Variance that a gene's large effects add to the tests of its other effects, (gene, q).

    In units of the tests' variance. ``Psi`` already contains the leakage of effects of typical
    size.
    """
    T = estimate.Psi + float(np.mean(estimate.sigma2)) * ls.Vz
    K = np.linalg.inv(T)
    M = K @ ls.onto
    form = np.einsum("lapb,ql,qp->qab", inner, M, M, optimize=True)
    form /= np.diag(K)[:, None, None]
    common = np.einsum("qab,ab->q", form, estimate.Psi)
    return np.maximum(np.einsum("ga,qab,gb->gq", gamma, form, gamma, optimize=True) - common, 0.0)
