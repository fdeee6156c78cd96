r"""Genes that distinguish the cell types: the rule for choosing markers.

On ``log2(x + offset)``, with pooled within-type variances moderated over genes, every gene gets
for each cell type its *smallest* t statistic against any other type,

.. math:: t_{gj} = \min_{k \ne j}
          \frac{\bar x_{gj} - \bar x_{gk}}{\sqrt{\tilde s_g^2 (1/n_j + 1/n_k) + v_{gj} + v_{gk}}} ,

with :math:`v` the variance by counting where profiles are sums of few counts (single cells).

Cell types choose in turn, each its best gene not yet chosen, as long as that gene is at least
1.5-fold above the nearest other type. When no such gene is left, the remaining places are filled,
again in turn, with the genes that best separate each *pair* of types. Only the reference is used.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra.terms import Array

_LEAST_FOLD = np.log2(1.5)


def choose_markers(
    means: Array,
    log_means: Array,
    log_variance: Array,
    replicates: NDArray[np.int64],
    count: int,
    *,
    noise: Array | None = None,
) -> NDArray[np.intp]:
    """Row numbers of ``count`` genes, in the order of the table.

    Parameters
    ----------
    means
        Mean expression on the linear scale (gene, cell_type); silent genes are never chosen.
    log_means
        Means of the log-expression (gene, cell_type).
    log_variance
        Moderated pooled variance of the log-expression (gene,).
    replicates
        Replicates of each type.
    noise
        Variance of the log-means by counting, (gene, cell_type), beside that between replicates.
    """
    n_genes, n_types = means.shape
    if count >= n_genes:
        return np.arange(n_genes)
    error = np.sqrt(log_variance)[:, None]
    added = np.zeros(means.shape) if noise is None else noise
    one_against_all, pairs = [], []
    for j in range(n_types):
        others = np.array([k for k in range(n_types) if k != j])
        difference = log_means[:, [j]] - log_means[:, others]
        between = error**2 * (1 / replicates[j] + 1 / replicates[others])
        t = difference / np.sqrt(between + added[:, [j]] + added[:, others])
        eligible = difference.min(axis=1) >= _LEAST_FOLD
        score = np.where(eligible, t.min(axis=1), -np.inf)
        order = np.argsort(-score, kind="stable")
        one_against_all.append(order[: int(eligible.sum())])
    for j, k in itertools.combinations(range(n_types), 2):
        difference = np.abs(log_means[:, j] - log_means[:, k])
        expressed = (means[:, j] > 0) | (means[:, k] > 0)
        pairs.append(
            np.argsort(
                -np.where(
                    expressed,
                    difference / np.sqrt(error[:, 0] ** 2 + added[:, j] + added[:, k]),
                    -np.inf,
                ),
                kind="stable",
            )
        )
    taken = _take_turns(one_against_all, count, set())
    taken = _take_turns(pairs, count, taken)
    return np.sort(np.fromiter(taken, dtype=np.intp))


def _take_turns(queues: list[NDArray[np.intp]], count: int, taken: set[int]) -> set[int]:
    """Round robin over ranked lists, skipping entries already taken."""
    chosen = set(taken)
    iterators = [iter(queue) for queue in queues]
    while iterators and len(chosen) < count:
        for iterator in list(iterators):
            gene = next((int(g) for g in iterator if int(g) not in chosen), None)
            if gene is None:
                iterators.remove(iterator)
                continue
            chosen.add(gene)
            if len(chosen) == count:
                break
    return chosen
