"""Parquet tables (genes x samples) that are read a few genes or a few samples at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from bayesdecov.errors import InputError


class Parquet:
    """A .parquet file whose values stay on disk.

    Names of genes are the index that pandas stored, or the first column if that is text, as
    `read_table` takes them. Genes come by row groups and within them in batches, so that a file
    of one row group is not read whole either.
    """

    def __init__(self, path: Path, argument: str) -> None:
        if not path.is_file():
            raise InputError(argument, f"the file {str(path)!r} does not exist")
        self.path, self.argument = path, argument
        with self._readable():
            import pyarrow.parquet

            self._file = pyarrow.parquet.ParquetFile(path)
            schema = self._file.schema_arrow
            stored = (schema.pandas_metadata or {}).get("index_columns", [])
            named = [name for name in stored if isinstance(name, str) and name in schema.names]
            if not named and schema.names and "string" in str(schema.types[0]):
                named = schema.names[:1]
            if len(named) > 1:
                raise InputError(argument, "needs one column of gene names", found=repr(named))
            self.columns = pd.Index([name for name in schema.names if name not in named])
            self.index: pd.Index = pd.RangeIndex(self._file.metadata.num_rows)
            if named:
                names = self._file.read(named).to_pandas(ignore_metadata=True).iloc[:, 0]
                unnamed = named[0].startswith("__index_level_")  # pandas' word for None
                self.index = pd.Index(names.tolist(), name=None if unnamed else named[0])

    def samples(self, start: int, stop: int) -> pd.DataFrame:
        """All genes of some of the samples."""
        chosen = list(self.columns[start:stop])
        with self._readable():
            frame = self._file.read(chosen).to_pandas(ignore_metadata=True)
        return frame[chosen].set_axis(self.index, axis=0)

    def batches(self, size: int) -> Iterator[pd.DataFrame]:
        """All samples of at most ``size`` genes at a time."""
        start = 0
        with self._readable():
            for batch in self._file.iter_batches(size, columns=list(self.columns)):
                frame = batch.to_pandas()[list(self.columns)]
                names = self.index[start : start + len(frame)]
                start += len(frame)
                yield frame.set_axis(names, axis=0)

    def genes(self, rows: slice | np.ndarray, size: int) -> pd.DataFrame:
        """All samples of some of the genes, numbers in increasing order."""
        wanted = np.arange(len(self.index))[rows]
        parts, start = [], 0
        for batch in self.batches(size):
            inside = wanted[(wanted >= start) & (wanted < start + len(batch))]
            parts.append(batch.iloc[inside - start])
            start += len(batch)
            if not len(wanted) or start > wanted[-1]:
                break
        return pd.concat(parts)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """What damaged files raise, in words."""
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            reason = str(error).strip().split("\n")[0] or type(error).__name__
            raise InputError(
                self.argument, f"{str(self.path)!r} cannot be read as a parquet table",
                found=reason.rstrip("."),
                fix="check that the file is complete and has the format its name says",
            ) from error  # fmt: skip
