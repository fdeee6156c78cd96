r"""What all samples share of their uncertainty.

Draw ``k`` of the level and of the genes' factors is the same in every sample,

.. math:: \delta\beta^k \sim N(0, L), \qquad
   \delta\alpha^k = -\kappa\,\frac{\partial\log f}{\partial\log q}\,\delta\beta^k
                    + N(0, \kappa v), \qquad
   \delta\log q_i^k = -B_i^{-1} X_i^\top W_i f_i\,\delta\alpha^k ,

so that differences between samples, taken draw by draw, are free of it. What a cell type yields
relative to the others (mRNA per cell, efficiency of extraction) multiplies its ``q`` in all samples
and shows in no gene: it has a log-normal distribution of its own.
"""

from __future__ import annotations

import numpy as np

from bayesdecov.algebra.terms import Array
from bayesdecov.platform.cut import Platform
from bayesdecov.platform.rounds import Mixture

_CHUNK_FLOATS = 4_000_000


def draw_factors(platform: Platform, count: int, rng: np.random.Generator) -> Array:
    """Draws of the genes' log-factors around their estimate, (draw, gene)."""
    shifts, level = platform.shifts, platform.level
    if level is None:
        return np.zeros((count, len(shifts.log)))
    root = np.linalg.cholesky(level.covariance)
    beta = rng.standard_normal((count, len(level.log_q))) @ root.T
    own = rng.standard_normal((count, len(shifts.log))) * shifts.sd
    return np.asarray(own - (beta @ level.share.T) * shifts.kept)


def draw_yields(n_types: int, count: int, sd: float, rng: np.random.Generator) -> Array:
    """Draws of the log-yields of cell types, (draw, cell_type)."""
    return np.asarray(rng.normal(0.0, sd, (count, n_types)))


def moved_by(factors: Array, platform: Platform, mixture: Mixture) -> Array:
    """How draws of log-factors (draw, gene) move log-coefficients: (draw, sample, column)."""
    matrix = platform.profiles.matrix
    log_q, information = mixture.coefficients
    n, size = log_q.shape
    weights = mixture.noise.weights / mixture.variance * mixture.mean
    q = np.exp(log_q)
    moved = np.empty((len(factors), n, size))
    step = max(1, _CHUNK_FLOATS // (matrix.size + len(factors) * size))
    for i in range(0, n, step):
        rows = slice(i, i + step)
        slope = (weights[rows, :, None] * matrix).transpose(0, 2, 1) * q[rows, :, None]
        moved[:, rows] = response(information[rows], slope, factors)
    return moved


def response(information: Array, slope: Array, factors: Array) -> Array:
    """Moves of log-coefficients (draw, sample, column) of least squares to first order.

    ``information`` is (sample, column, column), ``slope`` (sample, column, gene) the derivative of
    the mean in log-coefficients, weighted and times the mean; ``factors`` (draw, gene) are changes
    of the logarithms of the profiles.
    """
    moved = -np.linalg.solve(information, slope) @ factors.T
    return np.moveaxis(moved, 2, 0)
