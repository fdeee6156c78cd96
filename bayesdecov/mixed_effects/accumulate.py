"""Least squares for expression that stays on disk: a few genes at a time, in double precision."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesdecov import checks
from bayesdecov.algebra.shared_design import LeastSquares, assembled, coefficients
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError, Notes
from bayesdecov.io.blocks import Blocks

_SOME = 5000  # genes read, evenly spaced


def some_genes(source: Blocks, samples: pd.Index) -> pd.DataFrame:
    """A subset of the genes, as a table in memory."""
    step = max(1, len(source.index) // _SOME)
    part = source.genes(np.arange(0, len(source.index), step))
    return checks.check_numeric(part, "expression")[list(samples)]


def accumulated(
    source: Blocks,
    samples: pd.Index,
    X: Array,
    root: Array | None,
    random: NDArray[np.intp],
    notes: Notes,
) -> tuple[LeastSquares, pd.Index]:
    """Least squares for all genes that vary, whitened by ``root``, and the genes' names.

    Only one part of the expression is in memory at a time.
    """
    if root is not None:
        X = root @ X
    b, rss, flat = [], [], []
    for part in source.by_genes():
        frame = checks.check_numeric(part, "expression")
        if not frame.columns.equals(samples):
            frame = frame[list(samples)]
        Y = frame.to_numpy()
        flat.append(Y.max(axis=1) == Y.min(axis=1))
        Y = Y[~flat[-1]]
        found = coefficients(X, Y if root is None else Y @ root)
        b.append(found[0])
        rss.append(found[1])
    left_out = np.concatenate(flat)
    names = pd.Index([str(name).strip() for name in source.index])
    say_flat(names[left_out], notes)
    if left_out.all():
        raise InputError(
            "expression",
            "must vary between samples",
            found="the same value in all samples, for every gene",
        )
    ls = assembled(X, np.concatenate(b), np.concatenate(rss), random)
    return ls, names[~left_out]


def say_flat(genes: pd.Index, notes: Notes) -> None:
    """Warn about genes left out because they have the same value in every sample."""
    if len(genes):
        notes.warn(
            f"{len(genes)} genes with the same value in every sample were left out: "
            f"{checks.some(genes)}"
        )
