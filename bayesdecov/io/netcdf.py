"""One netCDF file from several consecutive parts, one part at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np

from bayesdecov.io.hdf5 import written

_ALONG = 64  # samples of a chunk


def concatenate(parts: Sequence[Path], target: Path, dim: str) -> None:
    """Join files along ``dim`` in ``target``; variables without ``dim`` come from the first file.

    Only one part is in memory at a time. Variables are copied as they are stored.
    """
    length = sum(_length(part, dim) for part in parts)
    start = 0
    with written(target) as file, h5netcdf.File(file, "w") as whole:
        for number, part in enumerate(parts):
            with h5netcdf.File(part, "r") as piece:
                for name, group in _groups(piece):
                    if number == 0:
                        _declare(whole, name, group, dim, length)
                    _copy(whole[name] if name else whole, group, dim, start, first=number == 0)
            start += _length(part, dim)


def _length(path: Path, dim: str) -> int:
    with h5netcdf.File(path, "r") as file:
        for _, group in _groups(file):
            if dim in group.dimensions:
                return int(group.dimensions[dim].size)
    raise ValueError(f"{path} has no dimension {dim!r}")


def _groups(group: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The root and all groups below it, with their paths."""
    yield name, group
    for child in group.groups:
        yield from _groups(group.groups[child], f"{name}/{child}")


def _declare(whole: Any, name: str, group: Any, dim: str, length: int) -> None:
    """Dimensions, attributes and empty variables of a group."""
    target = whole.create_group(name) if name else whole
    own = {key: length if key == dim else value.size for key, value in group.dimensions.items()}
    target.dimensions = own
    target.attrs.update(dict(group.attrs))
    for key, variable in group.variables.items():
        sizes = [own[d] for d in variable.dimensions]
        chunks = None
        if dim in variable.dimensions:
            chunks = tuple(
                min(_ALONG, n) if d == dim else n
                for d, n in zip(variable.dimensions, sizes, strict=True)
            )
        attrs = dict(variable.attrs)
        made = target.create_variable(
            key,
            variable.dimensions,
            variable.dtype,
            fillvalue=attrs.pop("_FillValue", None),
            chunks=chunks if chunks and min(chunks) > 0 else None,
        )
        made.attrs.update(attrs)


def _copy(target: Any, group: Any, dim: str, start: int, *, first: bool) -> None:
    """Write the values of one part at their position."""
    for key, variable in group.variables.items():
        dimensions = variable.dimensions
        if dim not in dimensions:
            if first:
                target.variables[key][...] = variable[...]
            continue
        values = np.asarray(variable[...])
        place = tuple(
            slice(start, start + values.shape[i]) if d == dim else slice(None)
            for i, d in enumerate(dimensions)
        )
        target.variables[key][place] = values
