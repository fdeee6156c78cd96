"""Parquet tables (genes x samples), read a few genes or a few samples at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pandas as pd

from bayesdecov.errors import InputError
from bayesdecov.io import limits
from bayesdecov.io.files import check_file, readable

_NAME = 64.0  # bytes of a name in memory


class Parquet:
    """A .parquet file whose values stay on disk.

    Names of genes are the index that pandas stored, or the first column if that is text, as in
    `read_table`. Genes are read by row groups and, within them, in batches, so that even a file
    with a single row group is not read all at once.
    """

    def __init__(self, path: Path, argument: str) -> None:
        check_file(path, argument)
        try:
            import pyarrow.parquet
        except ImportError:
            raise InputError(
                argument,
                "reading .parquet needs the package pyarrow",
                fix="pip install 'bayesdecov[parquet]'",
            ) from None
        self.path, self.argument = path, argument
        with self._readable():
            self._file = pyarrow.parquet.ParquetFile(path)
            schema = self._file.schema_arrow
            if len(set(schema.names)) < len(schema.names):
                raise InputError(
                    argument,
                    "must have unique column names",
                    found="the same name twice",
                )
            stored = (schema.pandas_metadata or {}).get("index_columns", [])
            named = [name for name in stored if isinstance(name, str) and name in schema.names]
            if not named and schema.names and not _is_number(schema.types[0]):
                named = schema.names[:1]
            if len(named) > 1:
                raise InputError(argument, "must have one column of gene names", found=repr(named))
            self._values = [name for name in schema.names if name not in named]
            nested = [name for name in self._values if not _is_plain(schema.field(name).type)]
            if nested:
                raise InputError(
                    argument,
                    "must contain only numbers and text",
                    found=f"{schema.field(nested[0]).type} in column {nested[0]!r}",
                )
            rows = self._file.metadata.num_rows
            limits.require(_NAME * rows, argument, f"the names of {rows} genes")
            self.columns = pd.Index(self._values)
            self.index = self._names(named, [item for item in stored if isinstance(item, dict)])

    def _names(self, named: list[str], ranges: list[dict[str, int]]) -> pd.Index:
        """Names of the genes: from a column, or the numbers that pandas stored."""
        if not named:
            start, step = (ranges[0]["start"], ranges[0]["step"]) if ranges else (0, 1)
            return pd.RangeIndex(start, start + step * self._file.metadata.num_rows, step)
        names = self._file.read(named).to_pandas(ignore_metadata=True).iloc[:, 0].tolist()
        names = [name.decode() if isinstance(name, bytes) else name for name in names]
        if any(isinstance(name, (list, dict, np.ndarray)) for name in names):
            raise InputError(
                self.argument,
                "must have one name for each gene",
                found=f"several in column {named[0]!r}",
            )
        unnamed = named[0].startswith("__index_level_")  # pandas' word for None
        return pd.Index(names, name=None if unnamed else named[0])

    def whole(self) -> pd.DataFrame:
        """The whole table, text included."""
        metadata = self._file.metadata
        stored = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
        size = max(stored, 8 * metadata.num_rows * metadata.num_columns)
        limits.require(size, self.argument, f"{metadata.num_rows} x {metadata.num_columns} values")
        return self.samples(0, len(self._values))

    def samples(self, start: int, stop: int) -> pd.DataFrame:
        """All genes for some of the samples."""
        chosen = self._values[start:stop]
        with self._readable():
            frame = self._file.read(chosen).to_pandas(ignore_metadata=True)
        return frame[chosen].set_axis(self.index, axis=0)

    def batches(self, size: int) -> Iterator[pd.DataFrame]:
        """All samples for at most ``size`` genes at a time."""
        start = 0
        with self._readable():
            for batch in self._file.iter_batches(size, columns=self._values):
                frame = batch.to_pandas(ignore_metadata=True)[self._values]
                names = self.index[start : start + len(frame)]
                start += len(frame)
                yield frame.set_axis(names, axis=0)

    def genes(self, rows: slice | np.ndarray, size: int) -> pd.DataFrame:
        """All samples for some of the genes, with indices in increasing order."""
        wanted = np.arange(len(self.index))[rows]
        parts, start = [], 0
        for batch in self.batches(size):
            inside = wanted[(wanted >= start) & (wanted < start + len(batch))]
            parts.append(batch.iloc[inside - start])
            start += len(batch)
            if not len(wanted) or start > wanted[-1]:
                break
        return pd.concat(parts)

    def _readable(self) -> AbstractContextManager[None]:
        return readable(self.path, "a parquet table", self.argument)


def _is_plain(kind: object) -> bool:
    """Whether values of an Arrow type are numbers, text or dates."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return _is_plain(kind.value_type)  # type: ignore[attr-defined]
    of = (
        types.is_primitive,
        types.is_decimal,
        types.is_null,
        types.is_string,
        types.is_large_string,
        types.is_string_view,
        types.is_binary,
    )
    return any(is_one(kind) for is_one in of)


def _is_number(kind: object) -> bool:
    """Whether values of an Arrow type are expression."""
    from pyarrow import types

    of = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean)
    return any(is_one(kind) for is_one in of)
