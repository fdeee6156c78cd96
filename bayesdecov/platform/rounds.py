"""Proportions and noise in turn: each is fitted with the other held."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayesdecov.algebra.terms import Array
from bayesdecov.platform.noise import Law, Noise, Residuals, first_law, renew, tails, variance
from bayesdecov.platform.positive import Positive, Profiles, fit_positive, rough

ROUNDS = 12
CONCENTRATION = 0.5  # Jeffreys: a prior of 1 in every type lets none of many dominate


class Mixture(NamedTuple):
    """Bulks as mixtures: coefficients with their information, noise, and the fit (sample, gene)."""

    coefficients: Positive
    noise: Noise
    mean: Array
    variance: Array  # with the genes' own factors, without the weights


class Expression(NamedTuple):
    """What is fitted: ``y`` (sample, gene).

    ``variances`` (gene, cell_type) are the reference's, None without replicates; ``phi`` (sample,)
    is the counting noise, None where it is unknown.
    """

    y: Array
    variances: Array | None
    phi: Array | None


def fit_mixtures(
    bulks: Expression,
    profiles: Profiles,
    *,
    start: Array | None = None,
    law: Law | None = None,
    genes: bool = True,
    counts: bool = True,
    rounds: int = ROUNDS,
) -> Mixture:
    """Fit coefficients and noise in turn, ``rounds`` times, and the coefficients once more."""
    y = bulks.y
    log_q = rough(y, profiles.matrix) if start is None else start
    mean = np.exp(log_q) @ profiles.matrix.T
    noise = Noise(law or first_law(float(mean.mean())), np.ones(y.shape[1]), np.ones_like(y))
    phi = bulks.phi if counts else np.zeros(len(y))
    for number in range(rounds + 1):
        structure = _structure(bulks, log_q, profiles.n_types)
        V = noise.gene * variance(noise.law, mean, structure, phi)
        if number == 0:  # outliers are none to begin with
            share = (noise.law.c2 * mean**2 + structure) / V if counts else np.ones_like(V)
            noise = noise._replace(weights=tails(noise.law.nu, (y - mean) ** 2 / V, share))
        found = fit_positive(y, profiles, noise.weights / V, log_q, CONCENTRATION)
        log_q = found.log_q
        q = np.exp(log_q)
        mean = q @ profiles.matrix.T
        if number == rounds:
            break
        spread = np.linalg.inv(found.information) * q[:, :, None] * q[:, None, :]
        fitted = Residuals(
            mean, y - mean, profiles.quadratic(spread),
            _structure(bulks, log_q, profiles.n_types), phi,
        )  # fmt: skip
        noise = renew(noise, fitted, genes=genes, counts=counts)
    return Mixture(found, noise, mean, V)


def _structure(bulks: Expression, log_q: Array, n_types: int) -> Array | float:
    """What the reference's replicates say of the variance of a mixture."""
    if bulks.variances is None:
        return 0.0
    return np.asarray(np.exp(2 * log_q[:, :n_types]) @ bulks.variances.T)
