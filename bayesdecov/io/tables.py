"""Reading tables from files and AnnData, and writing them back."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.io import limits
from bayesdecov.io.anndata import from_anndata, is_anndata, open_anndata
from bayesdecov.io.files import check_file, readable
from bayesdecov.io.parquet import Parquet

_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": None}
# The faster parser of pandas 2 is inexact and crashes on "1e40038475397113199"; pandas 3 has only
# the exact one, and deprecates the option.
EXACT: dict[str, Any] = {"float_precision": "round_trip"} if pd.__version__ < "3" else {}
_FORMULA = ("=", "+", "-", "@")  # first characters of spreadsheet formulas
FORMATS = ".csv, .tsv, .txt (each also .gz), .parquet, .h5ad"


def read_table(path: str | Path, argument: str = "table", *, text: bool = False) -> pd.DataFrame:
    """Read a table with row names in its first column.

    Parameters
    ----------
    path
        A file ending in .csv, .tsv or .txt (each also .gz), .parquet or .h5ad. An .h5ad has
        samples as observations and is returned as genes x samples.
    argument
        What the table is, for messages.
    text
        Keep the values of text formats as text ("NA" and "1" are labels).

    Raises
    ------
    InputError
        The file is missing, has another format, or cannot be parsed.
    """
    path = Path(path)
    check_file(path, argument)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = bool(suffixes) and suffixes[-1] == ".gz"
    kind = suffixes[-2] if packed and len(suffixes) > 1 else (suffixes[-1] if suffixes else "")
    with readable(path, f"a {kind[1:]} table", argument):
        if kind in _SEPARATORS:
            return _read_text(path, kind, argument, text=text)
        if kind == ".parquet":
            return Parquet(path, argument).whole()
        if kind == ".h5ad":
            return from_anndata(open_anndata(path, argument), argument)
    raise InputError(argument, f"tables are read from {FORMATS}", found=repr(path.name))


def _read_text(path: Path, kind: str, argument: str, *, text: bool = False) -> pd.DataFrame:
    with opened(path, argument) as raw:
        handle = io.TextIOWrapper(raw, encoding="utf-8-sig")
        lines, skipped = [handle.readline()], 0
        while lines[0] and (not lines[0].strip() or lines[0].startswith("#")):  # comments
            lines, skipped = [handle.readline()], skipped + 1
        lines += [handle.readline() for _ in range(2)]
    if not lines[0].strip():
        raise InputError(argument, f"{str(path)!r} is empty")
    if lines[0].count('"') % 2:
        raise InputError(
            argument,
            f"{str(path)!r} must not have names with line breaks",
            found=f"the first line {lines[0].strip()[:60]!r}",
        )
    separator = _SEPARATORS[kind] or _sniff(lines)
    if separator not in lines[0]:
        guess = _sniff(lines)
        raise InputError(
            argument,
            f"{str(path)!r} must have several columns separated by {separator!r}",
            found=f"the first line {lines[0].strip()[:60]!r}",
            fix=f"columns seem to be separated by {guess!r}: name the file .txt for any separator"
            if guess in lines[0]
            else "put names in the first column and values in the others",
        )
    header, first = (next(csv.reader([line], delimiter=separator), []) for line in lines[:2])
    if not first:
        raise InputError(argument, f"{str(path)!r} has a header but no rows")
    short = len(first) == len(header) + 1  # R's write.table leaves out the corner
    options: dict[str, Any] = {
        "sep": separator,
        "header": None,
        "skiprows": skipped + 1,
        "encoding": "utf-8-sig",
    }
    as_text: dict[str, Any] = {"dtype": str, "keep_default_na": False, "na_values": [""]}
    with opened(path, argument) as raw:
        frame = pd.read_csv(raw, low_memory=False, **options, **(as_text if text else EXACT))
    # Names are text: "007", "NA" and "1e5" are names, not numbers or gaps.
    with opened(path, argument) as raw:
        names = pd.read_csv(raw, usecols=[0], dtype=str, keep_default_na=False, **options)
    columns = header if short else header[1:]
    if frame.shape[1] != len(columns) + 1:
        raise ValueError(f"{len(header)} columns in the header, {frame.shape[1]} in the rows")
    corner = "gene" if short else header[0].strip()
    rows, columns = ([str(name).strip() for name in part] for part in (names.iloc[:, 0], columns))
    checks.check_plain_names(columns, argument, "column")
    checks.check_plain_names(rows, argument, "row")
    table = frame.iloc[:, 1:].set_axis(columns, axis=1)
    return table.set_axis(pd.Index(rows, name=corner))


@contextmanager
def opened(path: Path, argument: str) -> Iterator[BinaryIO]:
    """The uncompressed bytes of a text table; an error if they exceed the limit."""
    packed = path.suffix.lower() == ".gz"
    with gzip.open(path, "rb") if packed else path.open("rb") as stream:
        counted = limits.Counted(stream, argument, f"the table {str(path)!r}")
        yield io.BufferedReader(counted)


def _sniff(lines: list[str]) -> str:
    return next((separator for separator in ("\t", ";", ",") if separator in lines[0]), " ")


def expression_frame(value: Any, argument: str) -> Any:
    """A DataFrame from a DataFrame, an AnnData or the path of a table."""
    if is_anndata(value):
        return from_anndata(value, argument)
    if isinstance(value, (str, Path)):
        return read_table(value, argument)
    return value


def read_labels(path: str | Path, argument: str = "labels") -> pd.Series:
    """Cell-type labels from a two-column table: sample, cell type.

    With more columns, the one named ``cell_type``, ``celltype`` or ``label`` is used.
    """
    frame = read_table(path, argument, text=True)
    if frame.shape[1] == 1:
        return frame.iloc[:, 0]
    known = [c for c in frame.columns if str(c).lower() in {"cell_type", "celltype", "label"}]
    if len(known) != 1:
        raise InputError(
            argument,
            "must have a column named cell_type (or only two columns: sample, cell type)",
            found=f"columns {checks.some(frame.columns)}",
        )
    return frame[known[0]]


def read_donors(path: str | Path) -> pd.Series | None:
    """The column ``donor`` of a table of labels, if it has one."""
    frame = read_table(path, "labels", text=True)
    known = [name for name in frame.columns if str(name).lower() == "donor"]
    return frame[known[0]] if known and frame.shape[1] > 1 else None


def write_table(frame: pd.DataFrame, path: Path, *, index_label: str | None = None) -> None:
    """Write a CSV with enough digits to read the same numbers back.

    The index is written if it has a name or ``index_label`` is given.

    Names are written as they are. If one begins like a formula (= + - @), all texts are quoted, so
    that spreadsheets can be set to read quoted cells as text.
    """
    label = frame.index.name if index_label is None else index_label
    kept = label is not None
    texts = [
        frame.columns,
        *([frame.index] if kept else []),
        *(frame[name] for name in frame.columns if frame[name].dtype.kind not in "biuf"),
    ]
    risky = any(str(text)[:1] in _FORMULA for part in texts for text in part)
    frame.to_csv(
        path,
        index=kept,
        index_label=label,
        lineterminator="\n",
        quoting=csv.QUOTE_NONNUMERIC if risky else csv.QUOTE_MINIMAL,
    )
