"""The folders of zarr stores: plain files with numbers and text, written by known codecs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bayesdecov.errors import InputError
from bayesdecov.io.files import check_file, real

_CODECS = frozenset(
    {  # of zarr; others could run code (pickle) or read other files
        "bytes",
        "transpose",
        "sharding_indexed",
        "gzip",
        "zstd",
        "blosc",
        "crc32c",
        "vlen-utf8",
        "vlen-bytes",
        "zlib",
        "lz4",
        "bz2",
        "lzma",
        "delta",
        "shuffle",
        "bitround",
        "fixedscaleoffset",
        "fletcher32",
    }
)
_LARGEST = 16_000_000  # bytes of a zarr's description


def check_zarr(path: Path, argument: str) -> None:
    """Refuse a folder unless it has plain files with numbers and text, written by known codecs."""
    real(path, argument)
    if not path.is_dir():
        check_file(path, argument)
        raise InputError(argument, f"{str(path)!r} must be the folder of a zarr store")
    for place in _plain_files(path, argument):
        if place.name not in ("zarr.json", ".zarray", ".zmetadata"):
            continue
        try:
            if place.stat().st_size > _LARGEST:
                raise ValueError("too long")
            described = json.loads(place.read_text(encoding="utf-8"))
            unknown = sorted(set(_codecs(described)) - _CODECS)
        except (ValueError, RecursionError) as error:
            raise InputError(
                argument,
                f"{str(place)!r} does not describe a zarr array",
                found=str(error).split("\n")[0][:80],
            ) from None
        if unknown:
            raise InputError(
                argument,
                f"{str(path)!r} must contain plain numbers and text",
                found=f"the codec {unknown[0]!r}",
            )


def _plain_files(folder: Path, argument: str) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            each = Path(place) / name
            if each.is_symlink() or not (each.is_dir() or each.is_file()):
                raise InputError(
                    argument,
                    f"{str(folder)!r} must contain plain files",
                    found=f"a link or device at {str(each)!r}",
                )
            if name in files:
                yield each


def _codecs(described: Any, inside: str = "") -> Iterator[str]:
    """Names of all compressors, filters and codecs in a description."""
    if isinstance(described, list):
        for each in described:
            yield from _codecs(each, inside)
    elif isinstance(described, dict):
        key = "name" if inside in ("codecs", "index_codecs") else "id"
        if inside and key in described:
            yield str(described[key])
        for name, value in described.items():
            codecs = ("codecs", "index_codecs", "compressor", "filters")
            if name in codecs or isinstance(value, (dict, list)):
                yield from _codecs(value, name if name in codecs else "")
