r"""Propagation of the remaining errors of the proportions to the effects of every gene.

With an error :math:`u` in the refined proportions the design has an error :math:`dX` (rows
:math:`A_iu_i`), and least squares estimates :math:`(I + D)b_g` with :math:`D = X^+dX`, the same
``D`` for all genes. Its second moments :math:`E[D_{la}D_{l'a'}]` follow from the covariance of
``u``. The variance of :math:`Db_g` after shrinkage is added to that of a gene's effects. Its tests
account for the leakage of its own effects, where larger than those of most genes, into the others.
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


def propagate_errors(estimate: Estimate, ls: LeastSquares, leak: Array) -> Estimate:
    """The estimate with propagated errors: fixed and gene effects, false-sign rates, tests."""
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
    extra = np.maximum(extra, 0.0)
    wider = np.sqrt(1.0 + extra / np.maximum(np.square(estimate.sd), _TINY))

    effect = beta[ls.random] + gamma
    fields: dict[str, Any] = {}
    if estimate.low is not None and estimate.high is not None:
        fields["low"] = effect - wider * (effect - estimate.low)
        fields["high"] = effect + wider * (estimate.high - effect)
    if estimate.lfsr is not None:
        fields["lfsr"] = ndtr(ndtri(np.maximum(estimate.lfsr, _TINY)) / wider)
    shrunk = 1.0 / np.sqrt(1.0 + _own_leak(estimate, ls, inner, gamma))
    z = ndtri(np.maximum(estimate.p, _TINY) / 2) * shrunk
    return estimate._replace(
        beta_cov=estimate.beta_cov + of_beta,
        sd=estimate.sd * wider,
        p=2 * ndtr(z),
        z=estimate.z * shrunk,
        **fields,
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
