r"""Gene effects given the parameters: predictions, their errors and test statistics.

:math:`\hat\gamma_g = \Psi T_g^{-1}(c_g - \beta_z)` with :math:`T_g = \Psi + \sigma_g^2 V_z`, the
empirical best linear unbiased predictor (EBLUP), computed for all genes at once in the coordinates
where :math:`\Psi` and :math:`V_z` are diagonal, whether :math:`\sigma_g^2` is shared or not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr
from scipy.stats import t as student

from bayesdecov.algebra.shared_design import Basis, LeastSquares, basis
from bayesdecov.algebra.terms import Array
from bayesdecov.algebra.truncation import inverse_root


class Prediction(NamedTuple):
    """Random effects (gene, q), with the quantities needed for intervals and tests.

    ``variance`` is the variance of effect minus prediction, (gene, q) or (1, q); ``score`` is
    :math:`T_g^{-1}r_g` and ``information`` the diagonal of :math:`T_g^{-1}`.
    """

    gamma: Array
    variance: Array
    score: Array
    information: Array
    spread: Array  # covariance of the predictions, (q, q), at the mean residual variance


def coordinates(
    ls: LeastSquares, beta: Array, Psi: Array, sigma2: Array
) -> tuple[Basis, Array, Array]:
    """The frame of the parameters, ``h = 1/(lam + sigma2)``, and the genes' deviations in it."""
    frame = basis(Psi, ls.Vz)
    h = 1.0 / (np.maximum(frame.lam, 0.0) + sigma2[:, None])
    return frame, h, (ls.c - ls.onto @ (beta - ls.mean)) @ frame.inverse.T


def conditional(
    frame: Basis, h: Array, sigma2: Array, z: Array, m: int | None = None
) -> tuple[Array, Array]:
    r"""Mean and variance of random effects given their coordinates ``z`` and the parameters.

    With ``m`` the variance accounts, to second order, for the estimation of ``Psi`` from ``m``
    genes: with :math:`m\hat T` Wishart around ``T``, its error adds :math:`(q+1)/m` times
    :math:`\sigma^4 V T^{-1} V` to the variance of predictions, and the plug-in variance is too
    small by the same amount again (as in Prasad and Rao 1990). For the error of the fixed effects
    see `fixed_part`.
    """
    lam, s2 = np.maximum(frame.lam, 0.0), sigma2[:, None]
    unsure = 0.0 if m is None else 2.0 * (len(lam) + 1) / m
    variance = (lam * s2 * h + unsure * s2**2 * h) @ np.square(frame.W).T
    return (lam * h * z) @ frame.W.T, variance


def predictor(frame: Basis, h: Array) -> Array:
    """The matrix that maps a deviation to its EBLUP, at the mean residual variance."""
    return (frame.W * (np.maximum(frame.lam, 0.0) * h.mean(axis=0))) @ frame.inverse


def fixed_part(ls: LeastSquares, frame: Basis, h: Array, beta_cov: Array) -> Array:
    r"""Variance that the fixed effects' error adds to the whole effects, (q,).

    An error :math:`e` in :math:`\beta` changes the effects on the random columns by :math:`e_R`
    and, through the deviations, by minus the predictor applied to :math:`Z^+Xe`.
    """
    M = np.eye(len(ls.mean))[ls.random] - predictor(frame, h) @ ls.onto
    return np.diag(M @ beta_cov @ M.T)


def predict(
    ls: LeastSquares, beta: Array, beta_cov: Array, Psi: Array, sigma2: Array
) -> Prediction:
    """EBLUPs of all genes given the parameters.

    Parameters
    ----------
    beta, beta_cov
        Fixed effects (column,) and their covariance.
    Psi
        Covariance of the random effects, (q, q).
    sigma2
        Residual variances, (1,) or (gene,).
    """
    frame, h, z = coordinates(ls, beta, Psi, sigma2)
    gamma, variance = conditional(frame, h, sigma2, z, len(ls.c))
    A = predictor(frame, h)
    spread = A @ Psi - A @ ls.onto @ beta_cov @ ls.onto.T @ A.T
    return Prediction(
        gamma,
        variance + fixed_part(ls, frame, h, beta_cov),
        (h * z) @ frame.inverse,
        h @ np.square(frame.inverse),
        (spread + spread.T) / 2,
    )


def statistics(prediction: Prediction, Psi: Array, kind: str) -> Array:
    """Standardised effects, (gene, q); standard normal for genes without a shift.

    Zero for effects without variance.
    """
    gamma, variance = prediction.gamma, np.diag(prediction.spread)
    if kind == "score":
        return prediction.score / np.sqrt(prediction.information)
    if kind == "whitened":
        return gamma @ inverse_root(prediction.spread) if variance.max() > 0 else 0.0 * gamma
    if kind == "prior":
        variance = np.diag(Psi)
    scale = np.sqrt(np.maximum(variance, 0.0))
    return np.where(scale > 0, gamma / np.where(scale > 0, scale, 1.0), 0.0)


def p_values(z: Array, *, sided: int = 2, df: Array | None = None) -> Array:
    """Tail probabilities of ``|z|`` under the normal or Student's t, accurate for extreme z."""
    tail = ndtr(-np.abs(z)) if df is None else student.sf(np.abs(z), df)
    return sided * tail
