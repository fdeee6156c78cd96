r"""Maximum likelihood and REML for the collapsed model, with the estimates of lme4.

With one design for all genes the likelihood depends only on the mean and the scatter of the
least-squares coefficients and on the residual sum of squares. In coordinates where
:math:`V_z = I` the covariance :math:`T = \Psi + \sigma^2 V_z` that maximises it shares its
eigenvectors with the scatter and has the eigenvalues :math:`\max(w_i, \sigma^2)`; those that reach
the bound are pooled into :math:`\sigma^2`. A full ``Psi`` therefore has a closed form, boundary
included, which in the interior is the untrimmed moment estimator (FastMix Eq. 12). A diagonal
``Psi`` is found by a few bounded steps.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from bayesdecov.algebra.shared_design import (
    LeastSquares,
    basis,
    embed,
    log_likelihood,
    without_noise,
)
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import Notes
from bayesdecov.mixed_effects.eblup import p_values, predict, statistics
from bayesdecov.mixed_effects.estimate import Estimate
from bayesdecov.mixed_effects.options import Choices

_POLISH = 50  # scoring steps
_SETTLED = 1e-6  # remaining gain of the log-likelihood at which scoring stops
_AT_ZERO = 1e-9  # variance in units of the residual variance


class _Sufficient(NamedTuple):
    """Scatter of the random columns' coefficients, and statistics that only inform sigma^2."""

    scatter: Array  # (q, q)
    groups: float  # its degrees of freedom: m, or m - 1 for REML
    rss: float
    df: float
    Vz: Array


def _sufficient(ls: LeastSquares, restricted: bool) -> _Sufficient:
    m, n_columns = ls.b.shape
    q = len(ls.random)
    groups = float(m - 1 if restricted else m)
    scatter = ls.c.T @ ls.c
    rss, df = float(ls.rss.sum()), float(m * ls.df)
    if q < n_columns:  # the span of X outside that of Z contains only noise
        centred = ls.b - ls.mean
        fitted = np.einsum("gl,gl->", centred @ np.linalg.inv(ls.V), centred)
        on_z = np.einsum("gl,gl->", ls.c @ np.linalg.inv(ls.Vz), ls.c)
        rss, df = rss + float(fitted - on_z), df + groups * (n_columns - q)
    return _Sufficient(scatter, groups, rss, df, ls.Vz)


def fit_likelihood(ls: LeastSquares, choices: Choices, reml: bool, notes: Notes) -> Estimate:
    """Maximise the likelihood (``reml=False``) or the restricted likelihood."""
    known = _sufficient(ls, reml)
    iterations, converged = 0, True
    if choices.diagonal:
        Psi, sigma2, iterations, converged = _diagonal(known)
    else:
        Psi, sigma2 = _full(known)
    rank = int((np.linalg.eigvalsh(Psi) > 1e-10 * np.trace(Psi)).sum()) if Psi.any() else 0
    if rank < len(Psi):
        notes.info(f"the covariance of the random effects is singular: rank {rank} of {len(Psi)}")
    if not converged:
        notes.warn("the maximum of the likelihood was not reached within the allowed steps")
    m, n_columns = ls.b.shape
    full = embed(Psi, ls)
    beta_cov = (full + sigma2 * ls.V) / m
    df = np.full(n_columns, known.df)
    df[ls.random] = float(m - 1)
    prediction = predict(ls, ls.mean, beta_cov, Psi, np.array([sigma2]))
    statistic = choices.statistic
    if rank < len(Psi) and statistic == "whitened":
        statistic = "marginal"
        notes.info(
            "quasi-p-values use marginal effects, because a singular covariance has no inverse root"
        )
    z = statistics(prediction, Psi, statistic)
    sd = np.broadcast_to(np.sqrt(prediction.variance), prediction.gamma.shape)
    value = log_likelihood(ls, ls.mean, full, sigma2, restricted=reml)
    return Estimate(
        ls.mean,
        beta_cov,
        df,
        np.ones(n_columns),
        Psi,
        np.array([sigma2]),
        prediction.gamma,
        sd,
        z,
        p_values(z, sided=choices.sided),
        {
            "likelihood": "REML" if reml else "ML",
            "log_likelihood": value,
            "rank": rank,
            "iterations": iterations,
            "converged": converged,
            "statistic": statistic,
        },
    )


def _full(known: _Sufficient) -> tuple[Array, float]:
    """Closed form for an unstructured ``Psi``."""
    T = known.scatter / known.groups
    rss, df = known.rss, known.df
    for value in basis(T, known.Vz).lam:  # ascending: values below the noise are pooled
        if value >= rss / df:
            break
        rss, df = rss + known.groups * value, df + known.groups
    return without_noise(T, known.Vz, rss / df), float(rss / df)


def _diagonal(known: _Sufficient) -> tuple[Array, float, int, bool]:
    """Independent random effects: bounded quasi-Newton steps, then Fisher scoring to polish.

    Variances are in units of the residual variance's first guess; those at zero stay there.
    """
    q = len(known.Vz)
    scale = known.rss / known.df
    start = np.diag(known.scatter) / known.groups
    psi0 = np.maximum(start - scale * np.diag(known.Vz), 0.05 * start) / scale

    def criterion(x: Array) -> tuple[float, Array, Array]:
        """Minus twice the log-likelihood, its gradient and twice the expected information."""
        sigma2 = scale * x[q]
        K = np.linalg.inv(scale * np.diag(x[:q]) + sigma2 * known.Vz)
        KS = K @ known.scatter
        value = np.trace(KS) - known.groups * np.linalg.slogdet(K)[1]
        value += known.df * np.log(sigma2) + known.rss / sigma2
        G = known.groups * K - KS @ K
        noise = known.df / sigma2 - known.rss / sigma2**2 + np.sum(G * known.Vz)
        KVK = K @ known.Vz @ K
        A = np.empty((q + 1, q + 1))
        A[:q, :q] = known.groups * K**2
        A[:q, q] = A[q, :q] = known.groups * np.diag(KVK)
        A[q, q] = known.groups * np.sum(KVK * known.Vz) + known.df / sigma2**2
        return float(value), scale * np.append(np.diag(G), noise), scale**2 * A

    found = minimize(
        lambda x: criterion(x)[:2],
        np.append(psi0, 1.0),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, None)] * q + [(1e-8, None)],
        options={"maxiter": 1000, "ftol": 1e-13},
    )
    x, steps, left = found.x, int(found.nit), np.inf
    for _ in range(_POLISH):
        _, gradient, A = criterion(x)
        free = (x > _AT_ZERO) | (gradient < 0)
        step = np.zeros(q + 1)
        step[free] = -np.linalg.solve(A[np.ix_(free, free)], gradient[free])
        left = float(-gradient @ step / 2)  # remaining gain of the log-likelihood
        if left < _SETTLED:
            break
        x, steps = np.maximum(x + step, [0.0] * q + [1e-8]), steps + 1
    x = np.where(x > _AT_ZERO, x, 0.0)
    return np.diag(scale * x[:q]), float(scale * x[q]), steps, left < _SETTLED
