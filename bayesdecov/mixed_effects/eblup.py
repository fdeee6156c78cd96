r"""Gene effects given the parameters: predictions, their errors, and test statistics.

:math:`\hat\gamma_g = \Psi T_g^{-1}(c_g - \beta_z)` with :math:`T_g = \Psi + \sigma_g^2 V_z`, the
empirical best linear unbiased predictor (EBLUP), computed for all genes at once in the coordinates
where :math:`\Psi` and :math:`V_z` are diagonal, whether :math:`\sigma_g^2` is shared or not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr
from scipy.stats import t as student

from bayesdecov.algebra.shared_design import LeastSquares, basis
from bayesdecov.algebra.terms import Array
from bayesdecov.algebra.truncation import inverse_root


class Prediction(NamedTuple):
    """Random effects (gene, q) with what is needed to judge them.

    ``variance`` is that of effect minus prediction, (gene, q) or (1, q); ``score`` is
    :math:`T_g^{-1}r_g` and ``information`` the diagonal of :math:`T_g^{-1}`.
    """

    gamma: Array
    variance: Array
    score: Array
    information: Array
    spread: Array  # covariance of the predictions, (q, q), at the mean residual variance


def unsure_covariance(m: int, q: int) -> float:
    r"""What estimating ``Psi`` from ``m`` genes adds to the variance of an EBLUP.

    The factor of :math:`\sigma^4 V T^{-1} V`, to second order: with :math:`m\hat T` Wishart around
    ``T``, the error of :math:`\hat T` moves predictions by :math:`(q+1)/m` of it and makes the
    plug-in variance too small by as much again (as in Prasad and Rao 1990).
    """
    return 2.0 * (q + 1) / m


def predict(
    ls: LeastSquares, shift: Array, beta_cov: Array, Psi: Array, sigma2: Array
) -> Prediction:
    """EBLUPs.

    Parameters
    ----------
    shift
        Fixed effects minus their least-squares mean, on the random columns, (q,).
    beta_cov
        Covariance of the fixed effects on those columns, (q, q).
    Psi
        Covariance of the random effects, (q, q).
    sigma2
        Residual variances, (1,) or (gene,).
    """
    W, inverse, lam = basis(Psi, ls.Vz)
    lam = np.maximum(lam, 0.0)
    s2 = sigma2[:, None]
    h = 1.0 / (lam + s2)
    z = (ls.c - shift) @ inverse.T
    hz = h * z
    gamma = (lam * hz) @ W.T
    K = (inverse.T * h.mean(axis=0)) @ inverse  # T^-1
    A = Psi @ K
    left = np.eye(len(Psi)) - A
    unsure = unsure_covariance(len(ls.c), len(Psi))
    variance = (lam * s2 * h + unsure * s2**2 * h) @ np.square(W).T
    variance += np.diag(left @ beta_cov @ left.T)
    spread = A @ Psi - A @ beta_cov @ A.T
    return Prediction(
        gamma, variance, hz @ inverse, h @ np.square(inverse), (spread + spread.T) / 2
    )


def statistics(prediction: Prediction, Psi: Array, kind: str) -> Array:
    """Standardised effects, (gene, q); standard normal where a gene has no shift of its own."""
    if kind == "whitened":
        return prediction.gamma @ inverse_root(prediction.spread)
    if kind == "marginal":
        scale = np.sqrt(np.maximum(np.diag(prediction.spread), 1e-300))
        return prediction.gamma / scale
    if kind == "prior":
        return prediction.gamma / np.sqrt(np.maximum(np.diag(Psi), 1e-300))
    return prediction.score / np.sqrt(prediction.information)


def p_values(z: Array, *, sided: int = 2, df: Array | None = None) -> Array:
    """Tail probabilities of ``|z|`` under the normal or Student's t, exact far out."""
    tail = ndtr(-np.abs(z)) if df is None else student.sf(np.abs(z), df)
    return sided * tail
