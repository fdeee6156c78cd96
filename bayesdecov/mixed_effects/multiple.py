"""Adjusted p-values of many genes, each column on its own."""

from __future__ import annotations

import numpy as np
from scipy.stats import false_discovery_control

from bayesdecov.algebra.terms import Array


def benjamini_hochberg(p: Array) -> Array:
    """Adjusted p-values per column."""
    return np.asarray(false_discovery_control(np.clip(p, 0.0, 1.0), axis=0))
