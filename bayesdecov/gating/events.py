"""Events of a sample on the full scale, with names for their columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.algebra.terms import Array
from bayesdecov.checks import some
from bayesdecov.errors import InputError
from bayesdecov.gating import fcs
from bayesdecov.gating.gates import Axis
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.kmeans import Labels
from bayesdecov.gating.rules import nearest
from bayesdecov.gating.scales import CHANNELS, scatter, transformed
from bayesdecov.io.files import check_file
from bayesdecov.io.tables import EXACT, opened

FCS = (".fcs", ".lmd")  # endings of FCS files
_OFF_SCALE = 0.01  # a channel's $PnR is wrong if more than this share of events lies above it
_BEYOND = 1.5  # full scales
_FEW = 50  # events; fewer than DAFi accepts


@dataclass(frozen=True)
class Events:
    """Events of one sample.

    Attributes
    ----------
    name
        Of the sample.
    z
        (event, column), in units of the full scale: 0 to 1 for events on the scale.
    columns
        Names shown.
    names
        All names by which each column can be found, an alias first.
    aliased
        Columns that have an alias.
    rows, total
        Which events of the file these are (from 0), and how many it has; events with missing
        values are left out.
    facts
        How the file was read: version, compensation, transform.
    notes
        Notes for the user, each with the sample's name.
    """

    name: str
    z: Array
    columns: list[str]
    names: list[tuple[str, ...]]
    rows: Labels
    total: int
    aliased: tuple[int, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def column(self, axis: Axis) -> int:
        """The column that a gate means.

        Raises
        ------
        InputError
            There is none (the message gives the nearest name), or there are several.
        """
        if isinstance(axis, int):
            if axis > len(self.columns):
                raise InputError(
                    "files",
                    f"{self.name!r} has no column {axis}",
                    found=f"{len(self.columns)} columns",
                )
            return axis - 1
        for matches in (
            [i for i in self.aliased if self.names[i][0] == axis],
            [i for i, names in enumerate(self.names) if axis in (self.columns[i], *names)],
            [i for i, names in enumerate(self.names) if _plain(axis) in map(_plain, names)],
        ):
            if len(matches) == 1:
                return matches[0]
            if matches:
                raise InputError(
                    "files",
                    f"{axis!r} is the name of {len(matches)} channels of {self.name!r}",
                    fix="use their $PnN",
                )
        advice = nearest(axis, [name for names in self.names for name in names])
        said = [n[0] if len(n) == 1 else f"{n[0]} ({', '.join(n[1:])})" for n in self.names]
        if axis.casefold() == "time":
            advice = "Time is never clustered or gated."
        raise InputError(
            "files",
            f"{self.name!r} lacks the marker {axis!r}",
            found=some(said, 30),
            fix=f'{advice} Otherwise write "NAME IN THE FILE" = "{axis}" under [aliases]'.strip(),
        )


def _plain(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def read_events(source: str | Path | pd.DataFrame, hierarchy: Hierarchy, name: str = "") -> Events:
    """Events of an FCS file, of DAFi's event table (.txt .tsv .csv, also .gz), or of a DataFrame.

    FCS files are compensated and transformed according to ``hierarchy.reading``; tables are used
    as they are. A column called Time is left out.
    """
    if isinstance(source, pd.DataFrame):
        return _from_table(source, hierarchy, name or "events")
    path = Path(source)
    name = name or sample_name(path)
    if path.suffix.lower() in FCS:
        return _from_fcs(path, hierarchy, name)
    return _from_table(_table(path), hierarchy, name)


def sample_name(path: Path) -> str:
    """The file's name without its endings."""
    name = path.name
    for ending in (".gz", ".txt", ".tsv", ".csv", *FCS):
        if name.lower().endswith(ending) and len(name) > len(ending):
            name = name[: -len(ending)]
    return name


def _table(path: Path) -> pd.DataFrame:
    check_file(path, "files")
    kind = "".join(path.suffixes[-2:] if path.suffix.lower() == ".gz" else path.suffixes[-1:])
    if kind.lower().removesuffix(".gz") not in (".txt", ".tsv", ".csv"):
        raise InputError(
            "files",
            "must be FCS files or event tables (.txt, .tsv, .csv, also .gz)",
            found=repr(path.name),
        )
    try:
        separator = "," if ".csv" in kind.lower() else "\t"
        with opened(path, "files") as raw:
            return pd.read_csv(raw, sep=separator, encoding="utf-8-sig", **EXACT)
    except InputError:
        raise
    except Exception as error:  # unpacking and parsing fail in many ways
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise InputError(
            "files", f"{path.name!r} cannot be read as an event table", found=reason.rstrip(".")
        ) from None


def _from_table(table: pd.DataFrame, hierarchy: Hierarchy, name: str) -> Events:
    # DAFi drops exactly this name, and numbers the columns that are left
    frame = table.drop(columns="Time", errors="ignore")
    columns = [str(column).strip() for column in frame.columns]
    checks.check_plain_names(columns, f"files, {name!r}", "column")
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise InputError(
            "files",
            f"{name!r} must not have two columns with the same name",
            found=", ".join(twice),
        )
    if not columns or len(frame) == 0:
        raise InputError(
            "files",
            f"{name!r} contains no events",
            found=f"{len(frame)} rows, {len(columns)} columns",
        )
    text = [c for c in frame.columns if not pd.api.types.is_numeric_dtype(frame[c])]
    if text:
        raise InputError(
            "files",
            f"{name!r} must contain only numbers",
            found=f"text in column {text[0]!r}: {frame[text[0]].iloc[0]!r}",
            fix="a row per event, a column per marker, separated by tabs",
        )
    values = frame.to_numpy(dtype=np.float64)
    return _events(
        name,
        values,
        [(c,) for c in columns],
        hierarchy,
        {"format": "table", "compensation": "", "transform": "none"},
        [],
    )


def _from_fcs(path: Path, hierarchy: Hierarchy, name: str) -> Events:
    raw = fcs.read_raw(path)
    reading, notes, values = hierarchy.reading, list(raw.notes), raw.values
    finite = np.isfinite(values).all(axis=1)
    values[~finite] = 0.0  # replaced for now: the libraries need finite values
    facts = {"format": f"FCS {raw.version}", "transform": reading.transform, "compensation": ""}
    if raw.displayed and reading.transform != "none":
        # FCSTrans multiplies 10-bit channels by 4
        top = np.array([channel.top for channel in raw.channels])
        values = values * (CHANNELS / np.where(top > 0, top, CHANNELS))
        facts |= {"transform": "none (display channels)", "compensation": "none (display channels)"}
        if reading.compensate not in ("file", "none"):
            notes.append(
                f"{name} contains display channels (integers), which are not compensated: "
                f"{reading.compensate} is not used"
            )
    else:
        found = fcs.spillover(raw, reading.compensate)
        _undo_gain(values, raw.channels, name, notes)
        if isinstance(found, str):
            facts["compensation"] = f"none: {found}"
            if found.startswith("the file has no"):
                notes.append(f"{name} is not compensated: {found}")
        else:
            matrix, index = found
            values[:, index] = np.linalg.solve(matrix.T, values[:, index].T).T
            facts["compensation"] = "file" if reading.compensate == "file" else "table"
        if reading.transform != "none":
            _to_channels(values, raw.channels, hierarchy, name, notes)
    keep = [i for i, channel in enumerate(raw.channels) if channel.kind != "time"]
    if not keep:
        raise InputError("files", f"{path.name!r} has no channel other than time")
    names = [
        tuple(dict.fromkeys(n for n in (raw.channels[i].marker, raw.channels[i].name) if n))
        for i in keep
    ]
    values[~finite] = np.nan
    return _events(name, values[:, keep], names, hierarchy, facts, notes)


def _undo_gain(values: Array, channels: Sequence[fcs.Channel], name: str, notes: list[str]) -> None:
    """Divide linear values by the amplifier's gain ($PnG), with which they were recorded."""
    gained = [i for i, c in enumerate(channels) if c.gain != 1 and c.kind != "time"]
    for i in gained:
        values[:, i] /= channels[i].gain
    if gained:
        notes.append(
            f"{name}: values are divided by the gain ($PnG) of "
            f"{', '.join(channels[i].name for i in gained)}"
        )


def _to_channels(
    values: Array,
    channels: Sequence[fcs.Channel],
    hierarchy: Hierarchy,
    name: str,
    notes: list[str],
) -> None:
    reading, nonsense = hierarchy.reading, []
    for i, channel in enumerate(channels):
        column = values[:, i]
        if channel.kind == "time":
            continue
        top = reading.range or channel.top / channel.gain
        if reading.range is None and not (np.mean(column > top) <= _OFF_SCALE and top > 0):
            top = float(np.nanmax(column, initial=1.0))
            nonsense.append(channel.name)
        if channel.kind == "scatter":
            values[:, i] = scatter(column, top)
        else:
            values[:, i] = transformed(column, reading.transform, top, reading.parameters)
    if nonsense:
        notes.append(
            f"{name}: more than {_OFF_SCALE:.0%} of the events lie above the range that the file "
            f"gives for {', '.join(nonsense)}; their largest value was taken as the range"
        )


def _events(
    name: str,
    values: Array,
    names: Sequence[tuple[str, ...]],
    hierarchy: Hierarchy,
    facts: dict[str, Any],
    notes: list[str],
) -> Events:
    aliases = hierarchy.aliases
    names = [(*dict.fromkeys(aliases[n] for n in own if n in aliases), *own) for own in names]
    shown = [n[0] for n in names]
    columns = [
        own if shown.count(own) == 1 else f"{own} [{n[-1]}]"
        for own, n in zip(shown, names, strict=True)
    ]
    columns = [c if columns.count(c) == 1 else f"{c} ({i})" for i, c in enumerate(columns, 1)]
    finite = np.isfinite(values).all(axis=1)
    rows, total = np.flatnonzero(finite), len(values)
    if len(rows) < total:
        notes.append(
            f"{name}: {total - len(rows)} of {total} events have missing values and are left out"
        )
        values = values[rows]
    if len(rows) == 0:
        raise InputError("files", f"{name!r} contains no events without missing values")
    if len(rows) < _FEW:
        notes.append(f"{name} has only {len(rows)} events")
    z = np.divide(values, hierarchy.full_scale, order="C")  # a copy: the table is the user's
    high = z.max(axis=0)
    off = [f"{c} ({values[:, i].max():.4g})" for i, c in enumerate(columns) if high[i] > _BEYOND]
    if off and not isinstance(hierarchy.scale, str) and facts["transform"] == "none":
        notes.append(
            f"{name}: values lie far beyond the full scale of {hierarchy.full_scale:g}: "
            f'{some(off)}; set `range` of [read] with transform = "none", or scale = "raw"'
        )
    unused = [a for a in aliases if not any(a in own for own in names)]
    if unused:
        notes.append(f"{name} has no channel for the aliases of {some(unused)}")
    aliased = tuple(i for i, own in enumerate(names) if any(n in aliases for n in own))
    return Events(name, z, columns, list(names), rows, total, aliased, facts, notes)
