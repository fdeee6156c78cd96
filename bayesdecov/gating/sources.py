"""Sources by sample name, from the users' ``files`` argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.gating.events import FCS, sample_name


def sources_of(files: Any) -> dict[str, Any]:
    """Sources by sample name."""
    sources = _sources(files)
    checks.check_plain_names(sources, "files", "sample")
    return sources


def _sources(files: Any) -> dict[str, Any]:
    if isinstance(files, Mapping):
        return _named(files)
    if isinstance(files, pd.DataFrame):
        raise InputError(
            "files", "must give a sample name for a table of events", fix="give {'name': table}"
        )
    listed = [files] if isinstance(files, (str, Path)) else files
    if not isinstance(listed, Sequence):
        try:
            listed = list(listed)
        except TypeError:
            raise InputError(
                "files",
                "must be paths, or a mapping of names to paths or tables",
                found=type(files).__name__,
            ) from None
    paths = [path for entry in listed for path in _files(entry)]
    if not paths:
        raise InputError("files", "must name at least one file")
    resolved = [path.resolve() for path in paths]
    again = sorted({path.name for path in resolved if resolved.count(path) > 1})
    if again:
        raise InputError("files", "must each be given once", found=f"{checks.some(again)} twice")
    return dict(zip(_names(paths), paths, strict=True))


def _named(files: Mapping[Any, Any]) -> dict[str, Any]:
    """A mapping of names to paths or tables."""
    if not files:
        raise InputError("files", "must name at least one file")
    for name, source in files.items():
        if not isinstance(source, (str, Path, pd.DataFrame)):
            raise InputError(
                f"files[{name!r}]",
                "must be a path or a table of events",
                found=type(source).__name__,
            )
    named = [str(name) for name in files]
    if len(set(named)) < len(named):
        raise InputError("files", "sample names must be unique as text", found=checks.some(named))
    return dict(zip(named, files.values(), strict=True))


def _files(entry: Any) -> list[Path]:
    """A file, or the FCS files of a folder."""
    if not isinstance(entry, (str, Path)):
        raise InputError(
            "files",
            "must be paths, or a mapping of names to paths or tables",
            found=type(entry).__name__,
        )
    path = Path(entry)
    if not path.is_dir():
        return [path]
    inside = sorted(p for p in path.iterdir() if p.suffix.lower() in FCS)
    if not inside:
        raise InputError(
            "files",
            f"the folder {str(path)!r} contains no .fcs files",
            fix="name the files (FCS files or event tables) themselves",
        )
    return inside


def _names(paths: list[Path]) -> list[str]:
    """Names of the samples: those of their files, with the folders if needed."""
    names = [sample_name(path) for path in paths]
    if len(set(names)) < len(names):  # A01.fcs in the folders of several plates
        names = [
            f"{path.resolve().parent.name}_{name}" if names.count(name) > 1 else name
            for path, name in zip(paths, names, strict=True)
        ]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            "files",
            "sample names (file names without endings) must be unique",
            found=checks.some(twice),
            fix="give a mapping of names to files or rename the files",
        )
    return names
