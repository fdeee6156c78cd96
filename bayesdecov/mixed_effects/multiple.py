"""False-discovery rates of many genes, each column on its own."""

from __future__ import annotations

import numpy as np
from scipy.stats import false_discovery_control

from bayesdecov.algebra.terms import Array


def benjamini_hochberg(p: Array) -> Array:
    """Adjusted p-values per column."""
    return np.asarray(false_discovery_control(np.clip(p, 0.0, 1.0), axis=0))


def bayesian_fdr(probability: Array) -> Array:
    """Expected share of false discoveries among the genes at least as probable, per column."""
    order = np.argsort(-probability, axis=0, kind="stable")
    miss = 1 - np.take_along_axis(probability, order, axis=0)
    rate = np.cumsum(miss, axis=0) / np.arange(1, len(probability) + 1)[:, None]
    result = np.empty_like(rate)
    np.put_along_axis(result, order, rate, axis=0)
    return result
