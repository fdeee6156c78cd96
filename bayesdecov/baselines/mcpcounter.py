"""Mean logarithm of marker genes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra.terms import Array
from bayesdecov.baselines.answer import Score


def mcpcounter(expression: Array, members: NDArray[np.bool_]) -> Array:
    """Mean of log2(1 + expression) over each set's genes, (sample, set).

    Scores compare samples of one type with each other, not types with each other.
    """
    weights = members / members.sum(axis=1, keepdims=True)
    return np.asarray(np.log2(1.0 + expression) @ weights.T)


SCORE = Score(
    name="mcpcounter",
    title="Mean log2 expression of the user's markers (MCP-counter, Becht et al. 2016)",
    doi="10.1186/s13059-016-1070-5",
    scale="linear",
    returns="scores that compare samples",
    score=mcpcounter,
)
