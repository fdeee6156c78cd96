"""Proportions and noise in turn: each is fitted with the other held."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bayesdecov.algebra.terms import Array
from bayesdecov.platform.noise import (
    Law,
    Noise,
    Residuals,
    first_law,
    renew,
    variance,
    weights_of,
)
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

    def learned(noise: Noise, fitted: Residuals) -> Noise:
        return renew(noise, fitted, genes=genes, counts=counts)

    return _alternate(
        bulks, profiles, start, law, np.ones(bulks.y.shape[1]), learned, counts, rounds
    )


def fit_given(
    bulks: Expression, profiles: Profiles, law: Law, gene: Array, rounds: int = ROUNDS
) -> Mixture:
    """Fit every bulk on its own, with the law and the genes' own noise of its cohort."""

    def weighted(noise: Noise, fitted: Residuals) -> Noise:
        return noise._replace(weights=weights_of(law, gene, fitted, counts=True))

    return _alternate(bulks, profiles, None, law, gene, weighted, True, rounds)


def _alternate(
    bulks: Expression,
    profiles: Profiles,
    start: Array | None,
    law: Law | None,
    gene: Array,
    renewed: Callable[[Noise, Residuals], Noise],
    counts: bool,
    rounds: int,
) -> Mixture:
    """Coefficients and noise in turn, and the coefficients once more."""
    y = bulks.y
    log_q = rough(y, profiles.matrix) if start is None else start
    phi = bulks.phi if counts else np.zeros(len(y))

    def residuals(log_q: Array) -> Residuals:
        mean = np.exp(log_q) @ profiles.matrix.T
        structure = _structure(bulks, log_q, profiles.n_types)
        return Residuals(mean, y - mean, np.zeros(1), structure, phi)

    fitted = residuals(log_q)
    law = law or first_law(float(fitted.mean.mean()))
    noise = Noise(law, gene, weights_of(law, gene, fitted, counts=counts))
    for number in range(rounds + 1):
        V = noise.gene * variance(noise.law, fitted.mean, fitted.structure, phi)
        found = fit_positive(y, profiles, noise.weights / V, log_q, CONCENTRATION)
        log_q = found.log_q
        fitted = residuals(log_q)
        if number < rounds:
            q = np.exp(log_q)
            spread = np.linalg.inv(found.information) * q[:, :, None] * q[:, None, :]
            fitted = fitted._replace(uncertain=profiles.quadratic(spread))
            noise = renewed(noise, fitted)
    return Mixture(found, noise, fitted.mean, V)


def _structure(bulks: Expression, log_q: Array, n_types: int) -> Array | float:
    """What the reference's replicates say of the variance of a mixture."""
    if bulks.variances is None:
        return 0.0
    return np.asarray(np.exp(2 * log_q[:, :n_types]) @ bulks.variances.T)
