"""FCS files, by flowio: events, channels, spillover. Lenient, with a note, if strict fails."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError
from bayesdecov.io import limits
from bayesdecov.io.files import check_file

_SPILL = ("spillover", "spill", "comp")
_TWELVE_BITS = 4096
_LENIENT = (
    {"ignore_offset_error": True},
    {"ignore_offset_discrepancy": True},
    {"use_header_offsets": True},
    {"ignore_offset_error": True, "use_header_offsets": True},
)


class Channel(NamedTuple):
    """$PnN, $PnS, $PnR, $PnG and the decades of $PnE of one parameter."""

    name: str
    marker: str
    top: float
    gain: float = 1.0
    decades: float = 0.0

    @property
    def kind(self) -> str:
        """scatter, time or fluorescence, by the name, as in FCSTrans."""
        name = self.name.strip().upper()
        if name.startswith(("FS", "SS")):
            return "scatter"
        return "time" if name.startswith("TIME") else "fluorescence"


class Raw(NamedTuple):
    """A file's contents: events (event, channel) as recorded, lower-case keywords without $."""

    values: Array
    channels: list[Channel]
    keywords: Mapping[str, str]
    version: str
    integer: bool
    notes: list[str]

    @property
    def displayed(self) -> bool:
        """Whether values are the instrument's own display channels, as old files have them.

        Integers that were amplified logarithmically, or all of no more than 12 bits. Integers of
        more bits on a linear scale are intensities like floating-point data.
        """
        light = [channel for channel in self.channels if channel.kind == "fluorescence"]
        narrow = all(channel.top <= _TWELVE_BITS for channel in light)
        return self.integer and (narrow or any(channel.decades > 0 for channel in light))


def read_raw(path: Path) -> Raw:
    """Parse a file.

    Raises
    ------
    InputError
        The file is missing, truncated or corrupt, or has several data sets or no events.
    """
    from flowio import FlowData
    from flowio.exceptions import MultipleDataSetsError

    check_file(path, "files")
    limits.require_file(path, "files")
    notes: list[str] = []
    first: Exception | None = None
    for options in ({}, *_LENIENT):
        with warnings.catch_warnings(), path.open("rb") as handle:
            warnings.simplefilter("ignore")  # reported below, with the file's name
            try:
                data = FlowData(handle, **options)
                values = np.asarray(data.as_array(preprocess=False), dtype=np.float64)
            except MultipleDataSetsError:
                raise InputError(
                    "files",
                    f"{path.name!r} contains several data sets",
                    fix="export each to a file of its own",
                ) from None
            except Exception as error:  # flowio raises many kinds of error
                first = first or error
                continue
        if options:
            notes.append(
                f"{path.name} violates the FCS standard ({_reason(first, path)}); it was read "
                f"leniently ({_said(options)}): check its events"
            )
        break
    else:
        raise InputError(
            "files",
            f"{path.name!r} cannot be read as an FCS file",
            found=_reason(first, path),
            fix="it may be truncated or corrupt: export it again",
        )
    if len(values) == 0:
        raise InputError("files", f"{path.name!r} contains no events")
    channels = [
        Channel(
            _name(c["pnn"]),
            _name(c["pns"]),
            float(c["pnr"] or 0),
            float(c["png"] or 1) or 1.0,
            float(c["pne"][0]) if c["pne"] else 0.0,
        )
        for _, c in sorted(data.channels.items())
    ]
    for channel in channels:
        checks.check_plain_names((channel.name, channel.marker), f"files, {path.name!r}", "channel")
    integer = str(data.data_type).upper() == "I"
    return Raw(values, channels, dict(data.text), str(data.version), integer, notes)


def _name(text: object) -> str:
    """A channel's name; some instruments pad it with NUL."""
    return str(text or "").strip().strip("\0").strip()


def _said(options: Mapping[str, bool]) -> str:
    """What was tolerated, in words."""
    words = {
        "ignore_offset_error": "end of data off by one byte",
        "ignore_offset_discrepancy": "offsets of the text segment",
        "use_header_offsets": "offsets of the header",
    }
    return ", ".join(words[option] for option in options)


def _reason(error: Exception | None, path: Path) -> str:
    text = str(error).replace(str(path), path.name).strip().split("\n")[0]
    text = text.split(" Set `")[0].rstrip(".")  # advice about flowio's own options
    known = {
        "invalid literal for int()": "no valid header",
        "buffer": "fewer events than its header states",
        "greater than file size": "the data section is longer than the file",
    }
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
    if np.array_equal(matrix, np.eye(len(matrix))):
        return "its matrix is the identity"
    known: dict[str, int] = {}
    for i, channel in reversed(list(enumerate(raw.channels))):
        known |= {_bare(name): i for name in (channel.marker, channel.name) if name}
    known |= {channel.name: i for i, channel in enumerate(raw.channels)}
    absent = [name for name in names if _bare(name) not in known and name not in known]
    if how == "file" and absent and all(name.isdigit() for name in names):
        known = {str(i + 1): i for i in range(len(raw.channels))}
        absent = [name for name in names if name not in known]
    if absent:
        raise InputError(
            "compensate",
            "every dye of the spillover matrix must be a channel",
            found=f"no {', '.join(map(repr, absent[:5]))}",
        )
    index = [known[name] if name in known else known[_bare(name)] for name in names]
    if all(raw.channels[i].name != _bare(raw.channels[i].name) for i in index):
        return "its channels are compensated already"
    if not np.isfinite(matrix).all() or np.linalg.cond(matrix) > 1e12:
        raise InputError(
            "compensate",
            "the spillover matrix must be invertible",
            fix='give another one, or compensate = "none"',
        )
    return matrix, index


def _bare(name: str) -> str:
    """A channel's name without the marks of compensated data."""
    if name.upper().startswith("COMP-"):
        return name[5:]
    return name[1:-1] if name.startswith("<") and name.endswith(">") else name


def _keyword(raw: Raw) -> tuple[Array | None, list[str]]:
    """The matrix in the file's keywords: n, n names, n * n numbers by rows.

    $COMP of old files has no names: it refers to the first n fluorescence channels.
    """
    for keyword in _SPILL:
        text = raw.keywords.get(keyword, "").replace("\n", "")
        cells = [cell.strip() for cell in text.split(",")]
        if cells == [""] or cells == ["0"]:
            continue
        try:
            count = int(cells[0])
            nameless = len(cells) == 1 + count**2
            at = 1 if nameless else 1 + count
            matrix = np.array(cells[at:], dtype=np.float64).reshape(count, count)
        except ValueError:
            raise InputError(
                "compensate",
                "the file's spillover matrix cannot be read",
                found=repr(text[:40]),
                fix='set compensate = "none"',
            ) from None
        light = [c.name for c in raw.channels if c.kind == "fluorescence"]
        return matrix, light[:count] if nameless else cells[1 : 1 + count]
    return None, []


def _table(path: Path) -> tuple[Array, list[str]]:
    from bayesdecov.io.tables import read_table

    try:
        table = checks.check_numeric(read_table(path, "compensate"), "compensate")
    except InputError:  # a file of gates can name any file: its contents are not shown
        raise InputError(
            "compensate",
            "must be a table of numbers (channels x channels)",
            found=f"no such table at {str(path)!r}",
        ) from None
    checks.check_unique(table.columns, "compensate", "channel")
    checks.check_unique(table.index, "compensate", "channel")
    if set(table.index) != set(table.columns):
        rows = pd.Index(table.index).symmetric_difference(table.columns)
        raise InputError(
            "compensate",
            "must have the same channels as rows and columns",
            found=f"{len(rows)} channels on one side only",
            fix="the first column names the dyes, the header the detectors",
        )
    names = [str(name) for name in table.columns]
    matrix = table.loc[names, names].to_numpy(dtype=np.float64)
    if np.abs(np.diag(matrix) - 1).max() > 1e-6:
        raise InputError(
            "compensate",
            "a spillover matrix must have ones on its diagonal",
            found=f"{np.diag(matrix)[0]:g}",
            fix="divide percentages by 100",
        )
    if matrix.min() < 0:
        raise InputError(
            "compensate",
            "spillover must not be negative",
            found=f"{matrix.min():g}",
            fix="give the spillover matrix, not its inverse",
        )
    return matrix, names
