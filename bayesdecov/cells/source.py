"""Where cells come from: AnnData in memory or in files, 10x files and folders.

``layer="auto"`` takes the first matrix that holds counts: X, layers["counts"], raw. Sparse values
stay sparse, and values in files stay there until they are added up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from bayesdecov import checks
from bayesdecov.errors import InputError, Notes
from bayesdecov.io.anndata import (
    ANNDATA,
    check_backed,
    dense,
    is_anndata,
    matrices_of,
    open_anndata,
)
from bayesdecov.io.tenx import is_tenx, open_tenx

_ARGUMENT = "cells"
_USUAL = ("X", "layers/counts", "raw/X")
_LOOKED_AT = 300  # cells, half of them from the middle
_OF_GENES = "Gene Expression"
_LARGEST_LOG = 30.0
_ENOUGH, _SAME = 20, 0.01  # cells, and the coefficient of variation of totals that were made alike


class Cells(NamedTuple):
    """Values (cell, gene), a table of the cells, and the names of the genes."""

    X: Any
    obs: pd.DataFrame
    genes: pd.Index
    kept: np.ndarray  # columns of X that are genes
    said: str


def open_cells(
    cells: Any, layer: str, gene_names: str | None, obs: pd.DataFrame | None, notes: Notes
) -> Cells:
    """One AnnData, file or folder, with the matrix that holds its counts."""
    path = Path(cells) if isinstance(cells, (str, Path)) else None
    if path is not None and not path.exists():
        raise InputError(_ARGUMENT, f"the file or folder {str(path)!r} does not exist")
    name = "the AnnData" if path is None else repr(path.name)
    if path is not None and path.suffix.lower() not in ANNDATA and is_tenx(path):
        counted = open_tenx(path, _ARGUMENT)
        X, var, said = counted.X, counted.genes, name
        table = pd.DataFrame(index=counted.cells)
        _require_counts(X, name)
    elif path is not None and path.suffix.lower() in ANNDATA:
        table, var, X, said = _chosen(_InFile(path), layer, name)
    elif path is None and is_anndata(cells):
        check_backed(cells, _ARGUMENT)
        table, var, X, said = _chosen(_InMemory(cells), layer, name)
    else:
        raise InputError(
            _ARGUMENT,
            "must be an AnnData, an .h5ad or .zarr, a 10x .h5 file or a folder with matrix.mtx",
            found=type(cells).__name__ if path is None else repr(str(path)),
        )
    if obs is not None:
        table = _joined(table, obs, name, notes)
    genes = _gene_names(var, gene_names, name)
    kept = np.ones(len(genes), dtype=bool)
    if "feature_types" in var:
        kinds = var["feature_types"].astype(str).to_numpy()
        if (kinds == _OF_GENES).any():
            kept = kinds == _OF_GENES
            if not kept.all():
                notes.info(f"{name}: {int((~kept).sum())} features that are no genes left out")
    return Cells(X, table, genes[kept], kept, said)


class _InMemory:
    """Matrices of an AnnData object, backed or not."""

    def __init__(self, adata: Any) -> None:
        self._adata = adata
        raw = getattr(adata, "raw", None)
        self.places = [
            *(["X"] if adata.X is not None else []),
            *(f"layers/{name}" for name in getattr(adata, "layers", {}) if name is not None),
            *(["raw/X"] if raw is not None else []),
        ]

    def open(self, place: str) -> tuple[pd.DataFrame, pd.DataFrame, Any]:
        """The cells' table, that of the genes, and the values."""
        adata = self._adata
        obs = pd.DataFrame(adata.obs)
        if place == "raw/X":
            return obs, pd.DataFrame(adata.raw.var), adata.raw.X
        X = adata.X if place == "X" else adata.layers[place.removeprefix("layers/")]
        return obs, pd.DataFrame(adata.var), X


class _InFile:
    """Matrices of an .h5ad or .zarr."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.places = matrices_of(path, _ARGUMENT)

    def open(self, place: str) -> tuple[pd.DataFrame, pd.DataFrame, Any]:
        """The cells' table, that of the genes, and the values."""
        opened = open_anndata(self._path, _ARGUMENT, place)
        return opened.obs, opened.var, opened.X


def _chosen(
    source: _InMemory | _InFile, layer: str, name: str
) -> tuple[pd.DataFrame, pd.DataFrame, Any, str]:
    """The matrix that is asked for, or the first of the usual ones that holds counts."""
    if layer != "auto":
        place = {"X": "X", "raw": "raw/X"}.get(layer, f"layers/{layer}")
        place = next(
            (each for each in (layer, place, f"layers/{layer}") if each in source.places), place
        )
        if place not in source.places:
            raise InputError(
                "layer",
                f"must be a matrix of {name}",
                found=f"{layer!r}; it has {checks.some(source.places, 20)}",
            )
        obs, var, X = source.open(place)
        _require_counts(X, f"{place} of {name}", argument="layer", whole=False)
        return obs, var, X, f"{place} of {name}"
    reasons = []
    for place in _USUAL:
        if place not in source.places:
            reasons.append(f"no {place}")
            continue
        obs, var, X = source.open(place)
        reason = not_counts(X)
        if reason is None:
            return obs, var, X, f"{place} of {name}"
        reasons.append(f"{place}: {reason}")
    others = [each for each in source.places if each not in _USUAL]
    fix = "keep the counts in layers['counts'] before normalising"
    if others:
        fix = f"name the layer with counts, one of {others}"
    elif any("fractions" in reason for reason in reasons):
        fix = "corrected counts are taken by name, such as layer='X' or layer='counts'"
    raise InputError(
        "layer",
        f"{name} must have counts in X, layers['counts'] or raw",
        found="; ".join(reasons),
        fix=fix,
    )


def not_counts(X: Any) -> str | None:
    """Why the values do not look like counts; None where they do."""
    if not min(X.shape):
        return f"{X.shape[0]} cells and {X.shape[1]} genes"
    values = _some_rows(X)
    positive = values[values != 0]
    if not np.isfinite(values).all():
        return "missing or infinite values"
    if not positive.size:
        return "only zeros"
    if positive.min() < 0:
        return "negative values (scaled or corrected)"
    totals = values.sum(axis=1)
    totals = totals[totals > 0]
    if len(totals) >= _ENOUGH and totals.std() < _SAME * totals.mean():
        return f"the same total in all cells, {totals.mean():.4g} (normalised or downsampled)"
    if (positive == np.rint(positive)).all():
        return "only zeros and ones" if positive.max() == 1 and len(totals) >= _ENOUGH else None
    if positive.max() < _LARGEST_LOG:
        return f"values that look like logarithms (up to {positive.max():.3g})"
    return f"fractions (such as {positive[positive != np.rint(positive)][0]:.4g})"


def _require_counts(X: Any, said: str, *, argument: str = _ARGUMENT, whole: bool = True) -> None:
    """Refuse what is no counts; fractions of corrected counts are allowed where asked for."""
    reason = not_counts(X)
    if reason is not None and (whole or not reason.startswith("fractions")):
        raise InputError(
            argument,
            f"{said} must hold counts (UMIs or reads), linear and not normalised",
            found=reason,
            fix="name the layer with counts",
        )


def _some_rows(X: Any) -> np.ndarray:
    """Values of a few cells from the beginning and the middle."""
    n = X.shape[0]
    half = _LOOKED_AT // 2
    if getattr(X, "format", "csr") == "csc" and not sp.issparse(X):
        values = dense(X[:, : min(X.shape[1], 2000)], _ARGUMENT)
        rows = np.flatnonzero(values.any(axis=1))[:_LOOKED_AT]
        return np.asarray(values[rows], dtype=float)
    parts = [X[:half]] if n <= 2 * half else [X[:half], X[n // 2 : n // 2 + half]]
    try:
        return np.concatenate([np.asarray(dense(each, _ARGUMENT), dtype=float) for each in parts])
    except (TypeError, ValueError):
        raise InputError(_ARGUMENT, "must contain numbers", found="other values") from None


def _joined(table: pd.DataFrame, obs: pd.DataFrame, name: str, notes: Notes) -> pd.DataFrame:
    """Annotations from another table, by the names of the cells."""
    obs = obs.set_axis(obs.index.astype(str), axis=0)
    names = table.index.astype(str)
    if not obs.index.is_unique:
        repeated = obs.index[obs.index.duplicated()]
        raise InputError("obs", "must name every cell once", found=checks.some(repeated))
    known = names.isin(obs.index)
    if not known.any():
        raise InputError(
            "obs",
            f"must have the names of the cells of {name} as row names",
            found=f"{checks.some(obs.index)} for cells such as {checks.some(names)}",
            fix="barcodes must be the same to the last character, with suffixes such as -1 and "
            "prefixes of samples",
        )
    if not known.all():
        notes.warn(f"{name}: {int((~known).sum())} of {len(known)} cells are not in obs")
    own = table[[column for column in table if column not in obs]].set_axis(names, axis=0)
    return (
        own.join(obs.reindex(names).set_axis(names, axis=0))
        if names.is_unique
        else obs.reindex(names)
    )


def _gene_names(var: pd.DataFrame, column: str | None, name: str) -> pd.Index:
    if column is None or column == var.index.name:
        names = pd.Index(var.index)
    elif isinstance(column, str) and column in var:
        names = pd.Index(var[column])
    else:
        raise InputError(
            "gene_names",
            f"must be a column of the genes' table (var) of {name}",
            found=f"{column!r}; its columns are {checks.some(var.columns, 20)}",
        )
    text = names.astype(str).where(~names.isna(), "")  # nameless ones are left out later
    if column is None and (text == pd.RangeIndex(len(text)).astype(str)).all():
        raise InputError(
            "gene_names",
            f"{name} numbers its genes, and their names are needed",
            found="0, 1, 2, ...",
            fix="give a column of the genes' table (var)"
            + (f": {checks.some(var.columns, 20)}" if len(var.columns) else ""),
        )
    return text
