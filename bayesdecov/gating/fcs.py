"""FCS files by flowio: raw events, channels, spillover. Strictly first, leniently with a note."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayesdecov.errors import InputError
from bayesdecov.gating.kmeans import Array

_SPILL = ("spill", "spillover", "comp")
_LENIENT = (
    {"ignore_offset_error": True},
    {"ignore_offset_discrepancy": True},
    {"use_header_offsets": True},
    {"ignore_offset_error": True, "use_header_offsets": True},
)


class Channel(NamedTuple):
    """$PnN, $PnS and $PnR of one parameter."""

    name: str
    marker: str
    top: float

    @property
    def kind(self) -> str:
        """scatter, time or fluorescence, by the name, as FCSTrans has it."""
        name = self.name.strip().upper()
        if name.startswith(("FS", "SS")):
            return "scatter"
        return "time" if name.startswith("TIME") else "fluorescence"


class Raw(NamedTuple):
    """A file as it is: events (event, channel) as recorded, keywords without $ in lower case."""

    values: Array
    channels: list[Channel]
    keywords: Mapping[str, str]
    version: str
    integer: bool
    notes: list[str]


def read_raw(path: Path) -> Raw:
    """Parse a file.

    Raises
    ------
    InputError
        The file is missing, truncated, corrupt, of several data sets or without events.
    """
    from flowio import FlowData
    from flowio.exceptions import MultipleDataSetsError

    if not path.is_file():
        raise InputError("files", f"the file {str(path)!r} does not exist")
    notes: list[str] = []
    first: Exception | None = None
    for options in ({}, *_LENIENT):
        with warnings.catch_warnings(), path.open("rb") as handle:
            warnings.simplefilter("ignore")  # repeated below in our words, with the file's name
            try:
                data = FlowData(handle, **options)
                values = np.asarray(data.as_array(preprocess=False), dtype=np.float64)
            except MultipleDataSetsError:
                raise InputError("files", f"{path.name!r} holds several data sets",
                                 fix="export them to one file each") from None  # fmt: skip
            except Exception as error:  # flowio raises whatever its parsing meets
                first = first or error
                continue
        if options:
            notes.append(f"{path.name} breaks the FCS standard ({_reason(first, path)}); read with "
                         f"{', '.join(options)}: look at its events")  # fmt: skip
        break
    else:
        raise InputError("files", f"{path.name!r} is no readable FCS file",
                         found=_reason(first, path),
                         fix="it may be truncated or corrupt: export it again")  # fmt: skip
    if len(values) == 0:
        raise InputError("files", f"{path.name!r} holds no events")
    channels = [
        Channel(str(c["pnn"]).strip(), str(c["pns"] or "").strip(), float(c["pnr"] or 0))
        for _, c in sorted(data.channels.items())
    ]
    integer = str(data.data_type).upper() == "I"
    return Raw(values, channels, dict(data.text), str(data.version), integer, notes)


def _reason(error: Exception | None, path: Path) -> str:
    text = str(error).replace(str(path), path.name).strip().split("\n")[0].rstrip(".")
    known = {"invalid literal for int()": "no valid header", "buffer": "fewer events than promised",
             "greater than file size": "the data section is longer than the file"}  # fmt: skip
    for sign, said in known.items():
        if sign in text:
            return said
    return text or type(error).__name__


def spillover(raw: Raw, how: str) -> tuple[Array, list[int]] | str:
    """Spillover matrix (rows: dyes) and its channels, or why there is none."""
    if how == "none":
        return "not asked for"
    matrix, names = _table(Path(how)) if how != "file" else _keyword(raw)
    if matrix is None:
        return "the file has no spillover matrix"
    known = {channel.name: i for i, channel in enumerate(raw.channels)}
    known = {channel.marker: i for i, channel in enumerate(raw.channels) if channel.marker} | known
    absent = [name for name in names if name not in known]
    if how == "file" and absent and all(name.isdigit() for name in names):
        known = {str(i + 1): i for i in range(len(raw.channels))}
        absent = [name for name in names if name not in known]
    if absent:
        raise InputError("compensate", "every dye of the spillover matrix must be a channel",
                         found=f"no {', '.join(map(repr, absent[:5]))}")  # fmt: skip
    index = [known[name] for name in names]
    if all(raw.channels[i].name.upper().startswith(("COMP-", "<")) for i in index):
        return "its channels are compensated already"
    if np.array_equal(matrix, np.eye(len(matrix))):
        return "its matrix is the identity"
    if not np.isfinite(matrix).all() or np.linalg.cond(matrix) > 1e12:
        raise InputError("compensate", "the spillover matrix must be invertible",
                         fix='give another one, or compensate = "none"')  # fmt: skip
    return matrix, index


def _keyword(raw: Raw) -> tuple[Array | None, list[str]]:
    """The matrix in the file's keywords: n, n names, n * n numbers by rows."""
    text = next((raw.keywords[name] for name in _SPILL if raw.keywords.get(name, "").strip()), None)
    if text is None:
        return None, []
    cells = [cell.strip() for cell in text.replace("\n", "").split(",")]
    try:
        count = int(cells[0])
        matrix = np.array(cells[1 + count :][: count**2], dtype=np.float64).reshape(count, count)
    except ValueError:
        raise InputError("compensate", "the file's spillover matrix cannot be read",
                         found=repr(text[:40]), fix='set compensate = "none"'
                         ) from None  # fmt: skip
    return (matrix if count else None), cells[1 : 1 + count]


def _table(path: Path) -> tuple[Array, list[str]]:
    from bayesdecov import checks
    from bayesdecov.io.tables import read_table

    table = checks.numeric(read_table(path, "compensate"), "compensate")
    checks.unique(table.columns, "compensate", "channel")
    if set(table.index) != set(table.columns):
        rows = pd.Index(table.index).symmetric_difference(table.columns)
        raise InputError("compensate", "rows and columns must be the same channels",
                         found=f"{checks.some(rows)} on one side only")  # fmt: skip
    names = [str(name) for name in table.columns]
    return table.loc[names, names].to_numpy(dtype=np.float64), names
