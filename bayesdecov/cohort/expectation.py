r"""Normal likelihoods of samples in the region supported by the cohort (expectation propagation).

A sample's draws, weighted by the ratio of the cohort's prior :math:`N(m_i, \Omega)` to their own,
have the moments of its posterior within the cohort. The normal likelihood with the same moments has
precision :math:`C_i^{-1} - \Omega^{-1}` (clipped at zero). It is accurate in that region, also for
rare cell types, whose likelihood in log-ratios is globally far from normal. A fiftieth of the
normal fitted to the draws alone is added, so that likelihoods that are flat in that region do not
let :math:`\Omega` grow.
"""

from __future__ import annotations

import numpy as np

from bayesdecov.algebra.terms import Array
from bayesdecov.algebra.truncation import at_least
from bayesdecov.cohort.gibbs import Particles, Sites
from bayesdecov.cohort.measured import Measured

_EXACT = 1e6  # precision of log-ratios treated as exact
_FEW = 20.0  # effective draws below which the previous normal is kept
_KEPT = 0.02  # weight of the normal fitted to the draws alone
_FLOATS = 8_000_000  # of one block


def first_sites(data: Measured) -> Sites:
    """Normal likelihoods fitted to each sample's draws alone."""
    n, draws, d = data.z.shape
    if draws == 1:
        P = np.broadcast_to(_EXACT * np.eye(d), (n, d, d)).copy()
        return Sites(P, _EXACT * data.z[:, 0])
    mean = data.z.mean(axis=1)
    centred = data.z - mean[:, None]
    C = np.einsum("nkd,nke->nde", centred, centred) / (draws - 1) + 1e-9 * np.eye(d)
    P = np.linalg.inv(C)
    return Sites(P, np.einsum("nde,ne->nd", P, mean))


def update(
    data: Measured, sites: Sites, first: Sites, centre: Array, covariance: Array
) -> tuple[Sites, Array]:
    """Sites under the cohort's prior, and the effective number of draws for each.

    A sample with too few effective draws keeps its entry of ``sites``; ``first`` is the result of
    `first_sites`.
    """
    n, draws, d = data.z.shape
    precision = np.linalg.inv(covariance)
    P, r = sites.precision.copy(), sites.shift.copy()
    effective = np.empty(n)
    step = max(1, _FLOATS // (draws * d))
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        z = data.z[rows]
        w = Particles(z, data.log_prior[rows]).weights(centre[rows], precision)
        w /= w.sum(axis=1, keepdims=True)
        effective[rows] = 1 / np.square(w).sum(axis=1)
        mean = (w[:, None] @ z)[:, 0]
        centred = z - mean[:, None]
        C = (w[:, :, None] * centred).transpose(0, 2, 1) @ centred
        C /= np.maximum(1 - 1 / effective[rows], 1e-3)[:, None, None]
        own = np.linalg.inv(C + 1e-9 * np.eye(d))
        good = effective[rows] >= _FEW
        site = at_least(own - precision, 0.0) + _KEPT * first.precision[rows]
        P[rows][good] = site[good]
        shift = np.einsum("nde,ne->nd", own, mean) - centre[rows] @ precision
        r[rows][good] = (shift + _KEPT * first.shift[rows])[good]
    return Sites(P, r), effective
