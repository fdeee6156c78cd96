"""Expression that is read in blocks: from tables in memory or files that stay on disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayesdecov.errors import InputError
from bayesdecov.io import limits
from bayesdecov.io.anndata import ANNDATA, check_backed, dense, is_anndata, open_anndata
from bayesdecov.io.files import readable
from bayesdecov.io.parquet import Parquet
from bayesdecov.io.tables import expression_frame

if TYPE_CHECKING:
    import hashlib

_BYTES = 64_000_000  # of a block, as doubles
_OPENED = (*ANNDATA, ".parquet")


def stays_on_disk(table: Any) -> bool:
    """Whether ``table`` is read in blocks: AnnData or parquet files, sparse or lazy values."""
    if isinstance(table, Blocks):
        return True
    if isinstance(table, (str, Path)):
        return Path(table).suffix.lower() in _OPENED
    if not is_anndata(table):
        return False
    return not isinstance(table.X, np.ndarray)


class Blocks:
    """Genes x samples, read by samples or by genes.

    Parameters
    ----------
    table
        A DataFrame (genes x samples), an AnnData (samples in obs; in memory, backed, or with dask
        or zarr arrays), or a path: .h5ad, .zarr and .parquet are opened and stay on disk, other
        tables are read.
    argument
        What the table is, for messages.
    """

    def __init__(self, table: Any, argument: str) -> None:
        self.argument = argument
        self._path = Path(table) if isinstance(table, (str, Path)) else None
        if isinstance(table, (str, Path)):
            kind = Path(table).suffix.lower()
            if kind in ANNDATA:
                table = open_anndata(Path(table), argument)
            elif kind == ".parquet":
                table = Parquet(Path(table), argument)
        if isinstance(table, (str, Path)):
            table = expression_frame(table, argument)
        if is_anndata(table):
            check_backed(table, argument)
            self.columns, self.index = pd.Index(table.obs_names), pd.Index(table.var_names)
        elif isinstance(table, (pd.DataFrame, Parquet)):
            self.columns, self.index = table.columns, table.index
        else:
            raise InputError(
                argument,
                "must be a DataFrame (genes x samples), an AnnData or a path",
                found=type(table).__name__,
            )
        self._table = table
        if not self.n_samples or not len(self.index):
            raise InputError(
                argument,
                "must not be empty",
                found=f"{len(self.index)} genes x {self.n_samples} samples",
            )

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.columns)

    def take(self, start: int, stop: int) -> pd.DataFrame:
        """Genes x samples for a range of samples."""
        size = 8.0 * len(self.index) * (min(stop, self.n_samples) - start)
        limits.require(size, self.argument, f"{len(self.index)} genes of {stop - start} samples")
        if isinstance(self._table, pd.DataFrame):
            return self._table.iloc[:, start:stop]
        if isinstance(self._table, Parquet):
            return self._table.samples(start, stop)
        with self._readable():
            values = dense(self._table.X[start:stop], self.argument)
        return pd.DataFrame(values.T, self.index, self.columns[start:stop])

    def some(self, positions: np.ndarray) -> pd.DataFrame:
        """Genes x samples for samples at ascending positions."""
        if isinstance(self._table, pd.DataFrame):
            return self._table.iloc[:, positions]
        breaks = np.flatnonzero(np.diff(positions) != 1) + 1
        runs = np.split(positions, breaks)
        return pd.concat([self.take(int(run[0]), int(run[-1]) + 1) for run in runs], axis=1)

    def genes(self, rows: slice | np.ndarray) -> pd.DataFrame:
        """Genes x samples for some of the genes, with indices in increasing order."""
        if isinstance(self._table, pd.DataFrame):
            return self._table.iloc[rows]
        if isinstance(self._table, Parquet):
            return self._table.genes(rows, self._step)
        with self._readable():
            values = dense(self._table.X[:, rows], self.argument)
        return pd.DataFrame(values.T, self.index[rows], self.columns)

    def by_genes(self) -> Iterator[pd.DataFrame]:
        """All genes, in blocks of a few."""
        if isinstance(self._table, Parquet):
            yield from self._table.batches(self._step)
            return
        for start in range(0, len(self.index), self._step):
            yield self.genes(slice(start, start + self._step))

    def _readable(self) -> AbstractContextManager[None]:
        """Turn the errors of libraries that read the values of a damaged file into `InputError`."""
        if self._path is None:
            return nullcontext()
        return readable(self._path, "a table of numbers", self.argument)

    @property
    def _step(self) -> int:
        """Number of genes in a block."""
        return max(1, _BYTES // (8 * self.n_samples))

    def digest(self, into: hashlib._Hash) -> None:
        """Update a digest with all values."""
        step = max(1, _BYTES // (8 * len(self.index)))
        for start in range(0, self.n_samples, step):
            part = self.take(start, start + step)
            try:
                into.update(np.ascontiguousarray(part.to_numpy(dtype=float)).tobytes())
            except (TypeError, ValueError):  # text among the numbers, which is reported later
                into.update(part.to_csv().encode())
