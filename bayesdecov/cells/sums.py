"""Sums of counts over groups of cells, a part of the matrix at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError
from bayesdecov.io.anndata import dense

_PART = 60_000_000  # values of a part, if they were dense
_FEWEST = 64  # rows or columns of a part


class GroupSums(NamedTuple):
    """Sums (group, gene), which cells have counts, and whether all values were whole numbers."""

    values: Array
    heard: NDArray[np.bool_]
    whole: bool


def group_sums(matrix: Any, codes: NDArray[np.intp], n_groups: int, argument: str) -> GroupSums:
    """Add up the rows of ``matrix`` (cell, gene) by group; cells with the code -1 are left out.

    Raises
    ------
    InputError
        A value is negative, missing or infinite.
    """
    found = np.zeros((n_groups, matrix.shape[1]))
    whole = True
    heard = np.zeros(matrix.shape[0], dtype=bool)
    for rows, columns, part in parts_of(matrix):
        data = part.data if sp.issparse(part) else part
        if data.size and not (np.isfinite(data).all() and data.min() >= 0):
            raise InputError(
                argument,
                "must contain counts: no negative, missing or infinite values",
                found=f"{data.min():g}"
                if np.isfinite(data).all()
                else "missing or infinite values",
                fix="scaled or corrected values cannot be added up: name the layer with counts",
            )
        whole = whole and bool((data == np.rint(data)).all())
        heard[rows] |= np.asarray(part.sum(axis=1)).ravel() > 0
        _add(found[:, columns], part, codes[rows])
    return GroupSums(found, heard, whole)


def parts_of(matrix: Any) -> Iterator[tuple[slice, slice, Any]]:
    """Rows, columns and values of the parts of a matrix, along its compressed axis."""
    n, size = matrix.shape
    if getattr(matrix, "format", "csr") == "csc":
        step = max(_FEWEST, _PART // max(n, 1))
        for start in range(0, size, step):
            columns = slice(start, min(start + step, size))
            yield slice(0, n), columns, _sparse(matrix[:, columns])
        return
    step = max(_FEWEST, _PART // max(size, 1))
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        yield rows, slice(0, size), _sparse(matrix[rows])


def _sparse(part: Any) -> Any:
    """A checked sparse matrix, or an array."""
    if sp.issparse(part):
        part.sum_duplicates()
        return part
    try:
        return np.asarray(dense(part, "cells"), dtype=float)
    except (TypeError, ValueError):
        raise InputError("cells", "must contain numbers", found="other values") from None


def _add(into: Array, part: Any, codes: NDArray[np.intp]) -> None:
    """Add a part's rows to those of their groups."""
    kept = codes >= 0
    if not kept.any():
        return
    groups, own = np.unique(codes[kept], return_inverse=True)
    size = part.shape[1]
    if not sp.issparse(part):
        rows = np.flatnonzero(kept)
        ones = np.ones(len(rows))
        indicator = sp.csr_matrix((ones, (own, rows)), shape=(len(groups), len(codes)))
        into[groups] += indicator @ np.asarray(part, dtype=float)
        return
    of_row = np.full(len(codes), -1, dtype=np.int64)
    of_row[kept] = own * size
    if part.format == "csc":
        place = of_row[part.indices]
        columns = np.repeat(np.arange(size), np.diff(part.indptr))
    else:
        place = np.repeat(of_row, np.diff(part.indptr))
        columns = part.indices
    used = place >= 0
    if used.all():
        place, data = place + columns, part.data
    else:
        place, data = place[used] + columns[used], part.data[used]
    summed = np.bincount(place, weights=data, minlength=len(groups) * size)
    into[groups] += summed.reshape(len(groups), size)
