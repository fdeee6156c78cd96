"""Output folders that appear whole or not at all, and the record of a run."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bayesdecov.errors import InputError

_PACKAGES = ("bayesdecov", "numpy", "scipy", "pandas", "scikit-learn", "xarray", "arviz", "pymc")


def check_place(path: Path, argument: str = "out") -> None:
    """Refuse a place where nothing can be written, before any work is done."""
    parent = path.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise InputError(argument, f"{str(parent)!r} is a file, not a folder")
    if not os.access(parent, os.W_OK):
        raise InputError(argument, f"nothing can be written into {str(parent)!r}",
                         fix="choose another folder")  # fmt: skip


def check_folder(folder: Path, *, force: bool, inputs: Iterable[Path] = ()) -> None:
    """Refuse a target that exists or holds the inputs, before any work is done."""
    folder = folder.resolve()
    check_place(folder)
    for path in inputs:
        if folder in path.resolve().parents:
            raise InputError(
                "out", f"the input {str(path)!r} lies inside of {str(folder)!r}",
                fix="choose another folder for the results",
            )  # fmt: skip
    if folder.exists() and not folder.is_dir():
        raise InputError("out", f"{str(folder)!r} is a file, not a folder")
    if folder.is_dir() and any(folder.iterdir()):
        if not force:
            raise InputError(
                "out",
                f"the folder {str(folder)!r} exists",
                fix="choose another or add --force (force=True)",
            )
        if not (folder / "run.json").is_file():
            raise InputError(
                "out",
                f"the folder {str(folder)!r} is not the output of a run (it has no run.json), "
                "so it is not overwritten",
                fix="choose another folder",
            )


@contextmanager
def whole_folder(folder: Path, *, force: bool = False) -> Iterator[Path]:
    """A temporary folder beside ``folder`` that takes its name when the block ends well."""
    check_folder(folder, force=force)
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    token = uuid.uuid4().hex[:8]
    partial = folder.with_name(f".{folder.name}.partial-{token}")
    partial.mkdir()
    try:
        yield partial
        if folder.exists():
            old = folder.with_name(f".{folder.name}.old-{token}")
            folder.rename(old)
            partial.rename(folder)
            shutil.rmtree(old)
        else:
            partial.rename(folder)
    finally:
        if partial.exists():
            shutil.rmtree(partial, ignore_errors=True)


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def run_record(
    command: str,
    settings: Mapping[str, Any],
    notes: tuple[str, ...],
    inputs: Mapping[str, Path],
    arguments: Sequence[str] = (),
) -> dict[str, Any]:
    """What ``run.json`` holds: versions, options, input checksums, timings, warnings."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "command": command,
        "arguments": list(arguments),
        "versions": versions,
        "settings": dict(settings),
        "inputs": {
            name: {"path": str(path), "sha256": checksum(path)} for name, path in inputs.items()
        },
        "warnings": list(notes),
    }


def write_json(record: Mapping[str, Any], path: Path) -> None:
    """Readable JSON; anything that is not a finite number or a text is written as text."""
    text = json.dumps(_plain(record), indent=2, default=str, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """JSON has no infinity and no NaN: they become "inf", "-inf" and null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value
