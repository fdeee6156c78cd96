"""Bulks as the model of a learned platform predicts them.

All quantities are on the scale on which the platform was learned: bulks divided by their size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from bayesdecov.algebra.counting import counting_variance
from bayesdecov.algebra.terms import Array
from bayesdecov.platform.cut import Platform
from bayesdecov.platform.noise import MULTIPLICATIVE
from bayesdecov.reference.structures import Covariance


class Predicted(NamedTuple):
    """Means of bulks and the parts of their variances, all (draw, gene)."""

    mean: Array
    multiplicative: Array  # of the scatter learned, without the reference's covariances
    additive: Array


def predict(platform: Platform, q: Array, background: Array, phi: Array) -> Predicted:
    """For coefficients ``q`` (draw, cell_type); ``background`` and ``phi`` are (draw,)."""
    matrix, law = platform.profiles.matrix, platform.law
    mean = np.column_stack([q, background]) @ matrix.T
    return Predicted(mean, law.c2 * mean**2, counting_variance(phi, mean) + law.b2)


def draw_bulks(
    platform: Platform, covariance: Covariance, q: Array, found: Predicted, rng: np.random.Generator
) -> Array:
    """Replicated bulks (draw, gene)."""
    shape = found.mean.shape
    heavy = rng.standard_t(platform.law.nu, shape)
    noise = covariance.draw(q, rng) + np.sqrt(found.multiplicative) * heavy
    noise += np.sqrt(found.additive) * rng.standard_normal(shape)
    return np.asarray(found.mean + np.sqrt(platform.gene) * noise)


def gene_densities(
    platform: Platform, covariance: Covariance, q: Array, found: Predicted, y: Array
) -> tuple[Array, Array]:
    """Log-density of every gene on its own and its standardised residual, (draw, gene)."""
    heavy = found.multiplicative + q**2 @ covariance.variances().T
    V = heavy + found.additive
    z = (y - found.mean) / np.sqrt(platform.gene * V)
    tailed = heavy / V > MULTIPLICATIVE
    value = np.where(tailed, student.logpdf(z, platform.law.nu), norm.logpdf(z))
    return value - 0.5 * np.log(platform.gene * V), z
