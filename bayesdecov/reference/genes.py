"""Which genes a reference keeps: all, those given by name, or markers of every level."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesdecov import checks
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError, Notes
from bayesdecov.reference.hierarchy import levels
from bayesdecov.reference.markers import choose_markers
from bayesdecov.reference.variance import FALLBACK_CV, moderate

_OFFSET_SHARE = 0.02  # offset of the logarithm: this share of the mean (1 TPM of 20,000 genes)


def chosen_genes(
    table: pd.DataFrame,
    mean: pd.DataFrame,
    codes: NDArray[np.intp],
    genes: int | Sequence[str] | None,
    notes: Notes,
    *,
    counting: Array | None = None,
    parents: dict[str, str] | None = None,
) -> tuple[NDArray[np.intp], str]:
    """Row numbers of the genes to keep, and a sentence on how they were chosen.

    ``counting`` is the value of one count in each column of ``table``, where these are so few that
    markers must stand out from their noise. ``parents`` is a hierarchy of the cell types, every
    level of which gets an equal share of the markers: those of a lineage are markers of none of
    its cell types.
    """
    expressed = np.flatnonzero((mean > 0).any(axis=1))
    if genes is None:
        return expressed, f"all {len(expressed)} expressed genes"
    if isinstance(genes, (int, float, np.number)) and not isinstance(genes, bool):
        count = checks.check_whole(genes, "genes", at_least=mean.shape[1])
    else:
        if isinstance(genes, (str, bool)):
            raise InputError(
                "genes", "must be a number, a list of gene names or None", found=repr(genes)
            )
        wanted = pd.Index([str(name) for name in genes])
        checks.check_unique(wanted, "genes", "gene")
        absent = wanted.difference(mean.index)
        if len(absent):
            raise InputError(
                "genes", "must all be in the table", found=f"missing {checks.some(absent)}"
            )
        silent = wanted[(mean.loc[wanted] == 0).all(axis=1).to_numpy()]
        if len(silent):
            notes.warn(
                f"{len(silent)} genes are zero in every cell type and were left out: "
                f"{checks.some(silent)}"
            )
            wanted = wanted.drop(silent)
        if len(wanted) < mean.shape[1]:
            raise InputError(
                "genes",
                "needs at least as many genes as cell types",
                found=f"{len(wanted)} genes and {mean.shape[1]} cell types",
            )
        return mean.index.get_indexer(wanted), f"{len(wanted)} given by name"
    if count >= len(expressed):
        return expressed, f"all {len(expressed)} expressed genes"
    values = table.to_numpy()[expressed]
    partitions = [[*map(str, mean.columns)]]
    if parents is not None:
        partitions = [*levels(mean.columns, parents), *partitions]
    partitions = _different(partitions)
    share = -(-count // len(partitions))
    rows = np.zeros(0, dtype=np.intp)
    while True:  # markers of several levels may be the same: more of each, up to the number asked
        found = [_markers(values, codes, groups, share, counting) for groups in partitions]
        union = np.unique(np.concatenate(found))
        if len(rows) and len(union) > count:
            break
        rows = union
        if len(partitions) == 1 or share >= count or len(rows) >= count:
            break
        share = min(count, share + max(1, (count - len(rows)) // len(partitions)))
    of_levels = f", of {len(partitions)} levels" if len(partitions) > 1 else ""
    return expressed[rows], f"{len(rows)} markers of {len(expressed)} expressed genes{of_levels}"


def _different(partitions: list[list[str]]) -> list[list[str]]:
    """Levels that divide the cell types, each in its own way."""
    found: dict[tuple[int, ...], list[str]] = {}
    for groups in partitions:
        if len(set(groups)) > 1:
            found[tuple(pd.factorize(np.asarray(groups, dtype=object))[0].tolist())] = groups
    return list(found.values())


def _markers(
    values: Array, codes: NDArray[np.intp], groups: list[str], count: int, counting: Array | None
) -> NDArray[np.intp]:
    """Rows of markers of groups of cell types, whose profiles are the groups' replicates."""
    own, names = pd.factorize(np.asarray(groups, dtype=object)[codes], sort=True)
    n_groups, replicates = len(names), np.bincount(own)
    offset = _OFFSET_SHARE * values.mean()
    logs = np.log2(values + offset)
    log_means = np.stack([logs[:, own == j].mean(axis=1) for j in range(n_groups)], axis=1)
    means = np.stack([values[:, own == j].mean(axis=1) for j in range(n_groups)], axis=1)
    within = logs - log_means[:, own]
    df = logs.shape[1] - n_groups
    if df > 0:
        pooled = (within**2).sum(axis=1, keepdims=True) / df
        level = values.mean(axis=1, keepdims=True)
        variance = moderate(level, pooled, np.array([df + 1])).variances[:, 0]
    else:
        variance = np.full(len(values), (FALLBACK_CV / np.log(2)) ** 2)
    noise = None
    if counting is not None:
        noise = _counting_noise(values, means + offset, own, counting)
    return choose_markers(means, log_means, variance, replicates, count, noise=noise)


def _counting_noise(values: Array, level: Array, codes: NDArray[np.intp], counting: Array) -> Array:
    """Variance of the mean of log2(x + offset) by counting, (gene, cell_type)."""
    n_types = level.shape[1]
    of_value = counting * values + counting**2  # a count of 0 is uncertain too
    summed = np.stack([of_value[:, codes == j].sum(axis=1) for j in range(n_types)], axis=1)
    replicates = np.bincount(codes, minlength=n_types)
    return np.asarray(summed / (np.log(2) * replicates * level) ** 2)
