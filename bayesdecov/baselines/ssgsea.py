"""Single-sample gene-set enrichment."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from bayesdecov.algebra.terms import Array
from bayesdecov.baselines.answer import Score

_WEIGHT = 0.25


def ssgsea(expression: Array, members: NDArray[np.bool_]) -> Array:
    r"""Enrichment of each set among a sample's highly expressed genes, (sample, set).

    Genes are ordered by expression, from high to low. The score is the sum over the order of the
    difference between the share of the set's ranks seen so far, weighted by rank to the power
    .25, and the share of the other genes seen so far. Only ranks matter.
    """
    n_genes = expression.shape[1]
    scores = np.empty((len(expression), len(members)))
    for i, values in enumerate(expression):
        ranks = rankdata(values)
        order = np.argsort(-values, kind="stable")
        weight = ranks[order] ** _WEIGHT
        inside = members[:, order]
        hits = np.cumsum(inside * weight, axis=1)
        misses = np.cumsum(~inside, axis=1)
        others = np.maximum(n_genes - inside.sum(axis=1), 1)
        scores[i] = (hits / hits[:, -1:] - misses / others[:, None]).sum(axis=1)
    return scores / n_genes


SCORE = Score(
    name="ssgsea",
    title="Single-sample gene-set enrichment of the user's sets (Barbie et al. 2009; as in xCell)",
    doi="10.1038/nature08460",
    scale="any that keeps the order of genes",
    returns="scores that compare samples, between -1 and 1",
    score=ssgsea,
)
