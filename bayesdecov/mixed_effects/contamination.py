r"""Contaminated normal model with shifted genes: one EM pass over all genes.

.. math::
    c_g \sim \pi_0 N(\beta, T_g) + \sum_k \sum_{\pm} \pi_k^\pm
    N(\beta \pm \delta_k e_k,\ T_g + \tau_k^2 e_k e_k^\top), \qquad T_g = \Psi + \sigma_g^2 V_z

A differentially expressed gene is shifted in one effect ``k``, up or down, by
:math:`x \sim N(\pm\delta_k, \tau_k^2)`; :math:`\delta_k = 0` is the plain contaminated normal. The
shift changes the covariance by rank one, so with :math:`s = T^{-1}(c - \beta)` and
:math:`t_k = (T^{-1})_{kk}` the likelihood ratio against no shift is

.. math:: (1 + \tau_k^2 t_k)^{-1/2} \exp\frac{s_k^2\tau_k^2 \pm 2 s_k\delta_k - \delta_k^2 t_k}
          {2 (1 + \tau_k^2 t_k)} .

In coordinates where ``Psi`` and ``Vz`` are diagonal, gene-specific residual variances come at no
extra cost.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayesdecov.algebra.shared_design import Basis, basis
from bayesdecov.algebra.terms import Array
from bayesdecov.mixed_effects.parameters import Contamination


class Expectation(NamedTuple):
    """Result of the E-step over all genes; columns are the active effects.

    ``up`` and ``down`` are posterior probabilities (gene, active), ``mean_up`` and ``mean_down``
    the expected shift given each, ``variance`` its variance (gene or 1, active).
    """

    log_density: Array  # of the coefficients, (gene,)
    frame: Basis
    h: Array  # 1 / (lam + sigma2), (gene or 1, q)
    z: Array  # coordinates of c - beta, (gene, q)
    score: Array  # T^-1 (c - beta), (gene, q)
    information: Array  # diagonal of T^-1, (gene or 1, q)
    up: Array
    down: Array
    mean_up: Array
    mean_down: Array
    variance: Array

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood of the coefficients of all genes."""
        return float(self.log_density.sum())

    @property
    def shift(self) -> Array:
        """Expected shift in each active direction, (gene, active)."""
        return self.up * self.mean_up + self.down * self.mean_down

    @property
    def square(self) -> Array:
        """Expected square of that shift."""
        total = (self.up + self.down) * self.variance
        return np.asarray(total + self.up * self.mean_up**2 + self.down * self.mean_down**2)


def expectation(c: Array, Vz: Array, sigma2: Array, at: Contamination) -> Expectation:
    """Posterior probabilities of every gene's state; ``sigma2`` is (1,) or (gene,)."""
    frame = basis(at.Psi, Vz)
    h = 1.0 / (np.maximum(frame.lam, 0.0) + sigma2[:, None])
    z = (c - at.beta) @ frame.inverse.T
    hz = h * z
    score = hz @ frame.inverse
    information = h @ np.square(frame.inverse)
    k = at.active
    s, t = score[:, k], information[:, k]
    delta, tau2 = at.delta[k], at.tau2[k]
    shrink = 1.0 / (1.0 + tau2 * t)
    even = 0.5 * (np.log(shrink) + (tau2 * np.square(s) - delta**2 * t) * shrink)
    odd = s * delta * shrink
    with np.errstate(divide="ignore"):  # no gene may have one of the signs
        log_up, log_down = np.log(at.up[k]), np.log(at.down[k])
    up, down = even + odd + log_up, even - odd + log_down
    top = np.full((len(c), 1), np.log(at.null))
    if len(k):
        top = np.maximum(top, np.maximum(up, down).max(axis=1, keepdims=True))
    up, down = np.exp(up - top), np.exp(down - top)
    mass = np.exp(np.log(at.null) - top) + (up + down).sum(axis=1, keepdims=True)
    value = (top + np.log(mass))[:, 0] - 0.5 * np.einsum("gk,gk->g", hz, z)
    value += 0.5 * np.log(h).sum(axis=1) - 0.5 * float(np.linalg.slogdet(2 * np.pi * Vz)[1])
    return Expectation(
        value,
        frame,
        h,
        z,
        score,
        information,
        up / mass,
        down / mass,
        (tau2 * s + delta) * shrink,
        (tau2 * s - delta) * shrink,
        tau2 * shrink,
    )


def maximisation(seen: Expectation, at: Contamination, null_genes: float) -> Contamination:
    """New parameters: exact where all genes share ``sigma2``, Fisher scoring otherwise.

    ``null_genes`` pseudo-genes without a shift are added as a prior: empty components stay empty.
    """
    m, h, frame, k = len(seen.z), seen.h, seen.frame, at.active
    a = frame.inverse[:, k]  # the shifted directions in these coordinates
    shift, square = seen.shift, seen.square
    moved = shift @ a.T
    rest = seen.z - moved
    weight = np.broadcast_to(h, rest.shape)
    step = (weight * rest).sum(axis=0) / weight.sum(axis=0)
    rest_h, moved_h = h * (rest - step), h * moved
    G = rest_h.T @ rest_h - moved_h.T @ moved_h
    if len(h) == 1:
        G += ((h.T * a) * square.sum(axis=0)) @ (h.T * a).T
        mean_hh, mean_h = h.T @ h, h[0]
    else:
        for j in range(len(k)):
            ha = h * a[:, j]
            G += (ha * square[:, [j]]).T @ ha
        mean_hh, mean_h = h.T @ h / m, h.mean(axis=0)
    P = np.diag(np.maximum(frame.lam, 0.0)) + (G / m - np.diag(mean_h)) / mean_hh
    values, vectors = np.linalg.eigh((P + P.T) / 2)
    half = frame.W @ vectors
    Psi = (half * np.maximum(values, 0.0)) @ half.T

    up, down = seen.up.sum(axis=0), seen.down.sum(axis=0)
    count = np.maximum(up + down, 1e-300)
    signed = (seen.up * seen.mean_up - seen.down * seen.mean_down).sum(axis=0) / count
    delta = np.maximum(signed, 0.0)
    tau2 = np.maximum(square.sum(axis=0) / count - 2 * delta * signed + delta**2, 0.0)
    total = m + null_genes
    new_up, new_down = np.zeros_like(at.up), np.zeros_like(at.down)
    new_delta, new_tau2 = np.zeros_like(at.delta), np.zeros_like(at.tau2)
    new_up[k], new_down[k], new_delta[k], new_tau2[k] = up / total, down / total, delta, tau2
    null = 1.0 - float(new_up.sum() + new_down.sum())
    return Contamination(
        at.beta + frame.W @ step, Psi, null, new_up, new_down, new_delta, new_tau2, k
    )
