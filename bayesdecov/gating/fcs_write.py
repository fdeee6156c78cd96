"""Writing FCS files: new files of events, and existing files with added parameters."""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from bayesdecov.algebra.terms import Array
from bayesdecov.gating.fcs import read_raw

_FLAG_RANGE = "2"
# keywords that the writer sets itself or that describe only the old bytes
_STRUCTURE = re.compile(
    r"(begin|end)(analysis|data|stext)|byteord|datatype|mode|nextdata|par|tot|p\d+[bnse]"
)


def write_fcs(
    path: Path,
    values: Array,
    channels: Sequence[str],
    markers: Sequence[str],
    keywords: Mapping[str, str],
) -> None:
    """Write events (event, channel) as FCS 3.1, single precision."""
    import flowio

    flat = array("f", np.ascontiguousarray(values, dtype="<f4").tobytes())
    with path.open("wb") as handle:
        flowio.create_fcs(handle, flat, list(channels), list(markers), dict(keywords))


def is_integer(path: Path) -> bool:
    """Whether a file contains integer data, whose channels a float file would not keep."""
    return read_raw(path).integer


def add_parameters(source: Path, members: pd.DataFrame, path: Path) -> None:
    """The events of a file as recorded, with a parameter of 0 and 1 for every population."""
    raw = read_raw(source)
    first = len(raw.channels) + 1
    kept = {
        key: value for key, value in raw.keywords.items() if not _STRUCTURE.fullmatch(key) and value
    }
    kept |= {f"p{first + i}r": _FLAG_RANGE for i in range(members.shape[1])}
    names = [channel.name for channel in raw.channels]
    flags: list[str] = []
    for name in members.columns:
        own = str(name).replace(",", ";")  # commas separate names in spillover keywords
        while own in names or own in flags:
            own = f"population {own}"
        flags.append(own)
    values = np.column_stack([raw.values, members.to_numpy(dtype=np.float64)])
    markers = [channel.marker for channel in raw.channels] + [""] * len(flags)
    write_fcs(path, values, names + flags, markers, kept)
