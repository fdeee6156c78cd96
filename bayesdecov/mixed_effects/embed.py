"""From the columns with random effects to all columns."""

from __future__ import annotations

import numpy as np

from bayesdecov.algebra.shared_design import LeastSquares
from bayesdecov.algebra.terms import Array


def embed(Psi: Array, ls: LeastSquares) -> Array:
    """Psi on all columns, zero where a column has no random effect."""
    full = np.zeros_like(ls.V)
    full[np.ix_(ls.random, ls.random)] = Psi
    return full
