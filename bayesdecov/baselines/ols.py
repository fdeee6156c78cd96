"""Least squares with negative coefficients set to zero."""

from __future__ import annotations

import numpy as np

from bayesdecov.algebra.terms import Array
from bayesdecov.baselines.answer import Answer, Baseline


def ols(mu: Array, y: Array, variance: Array) -> Answer:
    r"""Minimise :math:`\|y - \mu b\|^2`, then set negative coefficients to zero.

    The rest is not solved again, as in the DeCovarT paper's comparison; ``negative`` counts them.
    """
    free = np.linalg.lstsq(mu, y.T, rcond=None)[0].T
    return Answer(np.maximum(free, 0.0), facts={"negative": (free < 0).sum(axis=1).astype(float)})


BASELINE = Baseline(
    name="ols",
    title="Least squares, negative coefficients set to zero (after Abbas et al. 2009)",
    doi="10.1371/journal.pone.0006098",
    scale="linear",
    returns="fractions of the known cell types",
    estimate=ols,
)
