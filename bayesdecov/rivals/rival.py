"""Inputs and results of all rivals."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra.terms import Array


class RivalData(NamedTuple):
    """One data set: ``Y`` (gene, sample), the design ``X`` (sample, column) of `fastmix`.

    ``cells`` (sample, cell_type) are the proportions, ``group`` (sample,) is membership of the
    second of two groups (None if covariates do not define two groups), ``products`` are the
    design's products of a cell type with the group, in the order of ``cells``.
    """

    Y: Array
    X: Array
    cells: Array
    group: NDArray[np.bool_] | None
    products: list[int]


class Effects(NamedTuple):
    """Effects and their tests, (gene, column); NaN if a method has none.

    ``fdr`` are the method's own false-discovery rates; None: Benjamini-Hochberg per column.
    """

    effects: Array
    sd: Array
    p_values: Array
    fdr: Array | None = None


class Rival(NamedTuple):
    """A method: its publication and its function."""

    name: str
    title: str
    doi: str
    needs_groups: bool
    estimate: Callable[[RivalData, np.random.Generator, int], Effects]
