"""Predictions of a fitted mixed model: coefficients of every gene, and their log-density."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from bayesdecov.algebra.shared_design import LeastSquares, embed
from bayesdecov.algebra.terms import Array


class Shifts(NamedTuple):
    """Shares, means and variances of the shifts, (q,); zero for effects without shifts."""

    up: Array
    down: Array
    delta: Array
    tau2: Array


class Parameters(NamedTuple):
    """One draw, or the estimate; ``sigma2`` (1,) or (gene,), ``nu`` None for the normal."""

    beta: Array
    Psi: Array
    sigma2: Array
    nu: float | None = None
    shifts: Shifts | None = None


def replicate(ls: LeastSquares, at: Parameters, rng: np.random.Generator) -> Array:
    """Coefficients of new genes under the fitted model, (gene, column)."""
    m, n_columns = ls.b.shape
    values, vectors = np.linalg.eigh(embed(at.Psi, ls))
    effects = rng.standard_normal((m, n_columns)) @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
    noise = rng.standard_normal((m, n_columns)) @ np.linalg.cholesky(ls.V).T
    deviation = effects + np.sqrt(at.sigma2)[:, None] * noise
    if at.nu is not None:
        deviation *= np.sqrt(at.nu / rng.chisquare(at.nu, m))[:, None]
    if at.shifts is not None:
        up, down, delta, tau2 = at.shifts
        random = np.asarray(ls.random)
        shares = np.concatenate([up, down])
        state = rng.choice(
            np.arange(len(shares) + 1), m, p=np.append(shares, max(0.0, 1 - shares.sum()))
        )
        rows = np.flatnonzero(state < len(shares))
        k, sign = state[rows] % len(up), np.where(state[rows] < len(up), 1.0, -1.0)
        shift = sign * delta[k] + np.sqrt(tau2[k]) * rng.standard_normal(len(rows))
        deviation[rows, random[k]] += shift
    return np.asarray(at.beta + deviation)


def log_density(ls: LeastSquares, at: Parameters) -> Array:
    """Log-density of every gene's expression, (gene,)."""
    from bayesdecov.mixed_effects.contamination import expectation
    from bayesdecov.mixed_effects.parameters import Contamination

    m, n_columns = ls.b.shape
    s2 = at.sigma2
    residual = -0.5 * (ls.df * np.log(2 * np.pi * s2) + ls.rss / s2)
    constant = 0.5 * np.linalg.slogdet(ls.V)[1]
    if at.shifts is not None:
        # the shifts multiply the plain density by a ratio that depends on the random columns only
        up, down, delta, tau2 = at.shifts
        null, active = 1.0 - float(up.sum() + down.sum()), np.flatnonzero(up + down)
        deviation = ls.onto @ (at.beta - ls.mean)
        full = Contamination(deviation, at.Psi, null, up, down, delta, tau2, active)
        plain = full._replace(null=1.0, up=0 * up, down=0 * down, active=active[:0])
        shifted, still = (expectation(ls.c, ls.Vz, s2, each).log_density for each in (full, plain))
        return np.asarray(log_density(ls, at._replace(shifts=None)) + shifted - still)
    T = embed(at.Psi, ls)
    values = np.empty(m)
    if len(s2) == 1:
        L = np.linalg.cholesky(T + s2[0] * ls.V)
        quad = np.square(np.linalg.solve(L, (ls.b - at.beta).T)).sum(axis=0)
        half_log_det = np.full(m, np.log(np.diag(L)).sum())
    else:
        C = np.linalg.cholesky(ls.V)
        root = np.linalg.solve(C, np.linalg.solve(C, T).T)
        lam, U = np.linalg.eigh((root + root.T) / 2)
        z = np.linalg.solve(C, (ls.b - at.beta).T).T @ U
        spread = np.maximum(lam, 0.0) + s2[:, None]
        quad = (np.square(z) / spread).sum(axis=1)
        half_log_det = 0.5 * np.log(spread).sum(axis=1) + np.log(np.diag(C)).sum()
    if at.nu is None:
        values = -half_log_det - 0.5 * (quad + n_columns * np.log(2 * np.pi)) + residual
        return np.asarray(values + constant)
    n = n_columns + ls.df
    tail = gammaln((at.nu + n) / 2) - gammaln(at.nu / 2) - 0.5 * n * np.log(at.nu * np.pi)
    values = tail - half_log_det - 0.5 * ls.df * np.log(s2)
    values -= 0.5 * (at.nu + n) * np.log1p((quad + ls.rss / s2) / at.nu)
    return np.asarray(values + constant)
