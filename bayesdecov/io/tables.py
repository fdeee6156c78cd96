"""Reading tables from files and AnnData, and writing them back."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayesdecov.checks import some
from bayesdecov.errors import InputError

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": None}
# The quicker parser of pandas 2 is inexact and crashes on "1e40038475397113199"; pandas 3 has only
# the exact one, and deprecates the option.
EXACT: dict[str, Any] = {"float_precision": "round_trip"} if pd.__version__ < "3" else {}
FORMATS = ".csv, .tsv, .txt (each also .gz), .parquet, .h5ad"


def read_table(path: str | Path, argument: str = "table", *, text: bool = False) -> pd.DataFrame:
    """Read a table whose first column holds the row names.

    Parameters
    ----------
    path
        A file ending in .csv, .tsv or .txt (each also .gz), .parquet or .h5ad. An .h5ad holds
        samples as observations and comes back as genes x samples.
    argument
        What the table is, for messages.
    text
        Keep the values of text formats as text ("NA" and "1" are labels).

    Raises
    ------
    InputError
        The file is missing, of another format, or cannot be parsed.
    """
    path = Path(path)
    check_file(path, argument)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] == ".gz"
    kind = suffixes[-2] if packed and len(suffixes) > 1 else (suffixes[-1] if suffixes else "")
    with readable(path, f"a {kind[1:]} table", argument):
        if kind in _SEPARATORS:
            return _read_text(path, kind, packed, argument, text=text)
        if kind == ".parquet":
            return _named_rows(pd.read_parquet(path))
        if kind == ".h5ad":
            return _read_h5ad(path)
    raise InputError(argument, f"tables are read from {FORMATS}", found=repr(path.name))


def check_file(path: Path, argument: str) -> None:
    """Raise an `InputError` where ``path`` is no file."""
    if not path.is_file():
        raise InputError(argument, f"the file {str(path)!r} does not exist" if not path.exists()
                         else f"{str(path)!r} is not a file")  # fmt: skip


@contextmanager
def readable(path: Path, kind: str, argument: str) -> Iterator[None]:
    """Turn whatever a damaged file makes a library raise into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise InputError(
            argument, f"{str(path)!r} cannot be read as {kind}", found=reason.rstrip("."),
            fix="check that the file is complete and has the format its name says",
        ) from error  # fmt: skip


def _read_text(
    path: Path, kind: str, packed: bool, argument: str, *, text: bool = False
) -> pd.DataFrame:
    with (gzip.open if packed else open)(path, "rt", encoding="utf-8-sig") as handle:
        lines, skipped = [handle.readline()], 0
        while lines[0] and (not lines[0].strip() or lines[0].startswith("#")):  # comments
            lines, skipped = [handle.readline()], skipped + 1
        lines += [handle.readline() for _ in range(2)]
    if not lines[0].strip():
        raise InputError(argument, f"{str(path)!r} is empty")
    separator = _SEPARATORS[kind] or _sniff(lines)
    if separator not in lines[0]:
        guess = _sniff(lines)
        raise InputError(
            argument,
            f"{str(path)!r} needs several columns separated by {separator!r}",
            found=f"the first line {lines[0].strip()[:60]!r}",
            fix=f"columns seem to be separated by {guess!r}: name the file .txt for any separator"
            if guess in lines[0]
            else "put names into the first column and values into the others",
        )
    header, first = (next(csv.reader([line], delimiter=separator), []) for line in lines[:2])
    if not first:
        raise InputError(argument, f"{str(path)!r} has a header but no rows")
    short = len(first) == len(header) + 1  # R's write.table leaves out the corner
    options: dict[str, Any] = {
        "sep": separator, "header": None, "skiprows": skipped + 1, "encoding": "utf-8-sig",
    }  # fmt: skip
    as_text: dict[str, Any] = {"dtype": str, "keep_default_na": False, "na_values": [""]}
    frame = pd.read_csv(path, low_memory=False, **options, **(as_text if text else EXACT))
    # Names are text: "007", "NA" and "1e5" are names, not numbers or gaps.
    names = pd.read_csv(path, usecols=[0], dtype=str, keep_default_na=False, **options)
    columns = header if short else header[1:]
    if frame.shape[1] != len(columns) + 1:
        raise ValueError(f"{len(header)} columns in the header, {frame.shape[1]} in the rows")
    corner = "gene" if short else header[0].strip()
    table = frame.iloc[:, 1:].set_axis([name.strip() for name in columns], axis=1)
    return table.set_axis(pd.Index([name.strip() for name in names.iloc[:, 0]], name=corner))


def _sniff(lines: list[str]) -> str:
    return next((separator for separator in ("\t", ";", ",") if separator in lines[0]), " ")


def _named_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Parquet: the index where it has names, otherwise the first column if that is text."""
    if isinstance(frame.index, pd.RangeIndex) and not pd.api.types.is_numeric_dtype(
        frame[frame.columns[0]]
    ):
        frame = frame.set_index(frame.columns[0])
    return frame


def _read_h5ad(path: Path) -> pd.DataFrame:
    return from_anndata(_anndata().read_h5ad(path))


def open_anndata(path: Path, argument: str) -> Any:
    """An AnnData (.h5ad or .zarr) whose values stay in the file."""
    if not path.exists():
        raise InputError(argument, f"the file {str(path)!r} does not exist")
    anndata = _anndata()
    with readable(path, f"{path.suffix[1:]} of AnnData", argument):
        if path.suffix.lower() == ".h5ad":
            return anndata.read_h5ad(path, backed="r")
        import zarr

        group = zarr.open_group(str(path), mode="r")
        names = {axis: anndata.io.read_elem(group[axis]) for axis in ("obs", "var")}
        X = group["X"]
        if "encoding-type" in X.attrs and "matrix" in str(X.attrs["encoding-type"]):
            X = anndata.io.sparse_dataset(X)
        return _Opened(X, names["obs"].index, names["var"].index, names["obs"])


class _Opened(NamedTuple):
    """What of an AnnData is needed, with values in a zarr store."""

    X: Any
    obs_names: pd.Index
    var_names: pd.Index
    obs: pd.DataFrame


def _anndata() -> Any:
    try:
        import anndata
    except ImportError:
        raise InputError(
            "table", "reading .h5ad needs the package anndata",
            fix="pip install 'bayesdecov[anndata]'",
        ) from None  # fmt: skip
    return anndata


def new_anndata(samples: pd.Index, genes: pd.Index | None = None) -> Any:
    """An AnnData without values, for results."""
    try:
        import anndata
    except ImportError:
        raise ImportError("to_anndata needs anndata: pip install 'bayesdecov[anndata]'") from None
    axes = {"obs": samples} | ({} if genes is None else {"var": genes})
    return anndata.AnnData(**{k: pd.DataFrame(index=v.astype(str)) for k, v in axes.items()})


def is_anndata(value: Any) -> bool:
    """Whether ``value`` is an AnnData, without importing the package."""
    return all(hasattr(value, name) for name in ("X", "obs_names", "var_names", "obs"))


def from_anndata(adata: Any) -> pd.DataFrame:
    """Genes x samples from an AnnData (samples in obs); sparse matrices are made dense."""
    values = adata.X
    if hasattr(values, "toarray"):
        values = values.toarray()
    return pd.DataFrame(np.asarray(values, dtype=float).T, adata.var_names, adata.obs_names)


def expression_frame(value: Any, argument: str) -> Any:
    """A DataFrame from what users hold: DataFrame, AnnData or the path of a table."""
    if is_anndata(value):
        return from_anndata(value)
    if isinstance(value, (str, Path)):
        return read_table(value, argument)
    return value


def read_labels(path: str | Path, argument: str = "labels") -> pd.Series:
    """Cell-type labels from a two-column table: sample, cell type.

    With more columns the one named ``cell_type``, ``celltype`` or ``label`` is taken.
    """
    frame = read_table(path, argument, text=True)
    if frame.shape[1] == 1:
        return frame.iloc[:, 0]
    known = [c for c in frame.columns if str(c).lower() in {"cell_type", "celltype", "label"}]
    if len(known) != 1:
        raise InputError(
            argument,
            "needs a column named cell_type (or just two columns: sample, cell type)",
            found=f"columns {some(frame.columns)}",
        )
    return frame[known[0]]


def read_donors(path: str | Path) -> pd.Series | None:
    """The column ``donor`` of a table of labels, if it has one."""
    frame = read_table(path, "labels", text=True)
    known = [name for name in frame.columns if str(name).lower() == "donor"]
    return frame[known[0]] if known and frame.shape[1] > 1 else None


def write_table(frame: pd.DataFrame, path: Path, *, index_label: str | None = None) -> None:
    """Write a CSV with enough digits to read the same numbers back."""
    frame.to_csv(path, index=index_label is not None, index_label=index_label, lineterminator="\n")
