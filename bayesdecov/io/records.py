"""The record of a run, ``run.json``: its options, and every file that was written.

The record lists the files of its folder with their SHA-256 and contains a digest of itself. The
files of a run can therefore be distinguished from other files in the folder, and changes to a file
after the run are detected when it is read.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bayesdecov._version import __version__
from bayesdecov.errors import InputError
from bayesdecov.io.files import whole_files

RECORD = "run.json"
FORMAT = "bayesdecov run 1"
_PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "xarray", "arviz", "pymc")
_LARGEST = 64_000_000  # bytes of a record
_DROPPINGS = frozenset({".DS_Store", "Thumbs.db"})  # of file browsers


def checksum(path: Path) -> str:
    """SHA-256 of a file, or of all files of a folder (zarr) with their names."""
    if path.is_dir():
        digest = hashlib.sha256()
        for name, mode in sorted(_entries(path)):
            if stat.S_ISREG(mode):
                digest.update(f"{name} {checksum(path / name)}\n".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def run_record(
    command: str,
    settings: Mapping[str, Any],
    notes: tuple[str, ...],
    inputs: Mapping[str, Path],
    arguments: Sequence[str] = (),
) -> dict[str, Any]:
    """Contents of ``run.json``: versions, options, input checksums, timings, warnings."""
    versions = {"python": platform.python_version(), "bayesdecov": __version__}
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
    """Readable JSON; values that are neither finite numbers nor text are written as text."""
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


def seal(folder: Path) -> None:
    """List the files of a finished folder in its record; runs within it first."""
    names = [name for name, mode in _entries(folder) if stat.S_ISREG(mode) and name != RECORD]
    for name in names:
        if Path(name).name == RECORD:
            seal((folder / name).parent)
    record = _parsed(folder / RECORD) if (folder / RECORD).is_file() else {}
    _write(folder, record, {name: checksum(folder / name) for name in names})


def register(path: Path) -> None:
    """Add a file that was written to the folder of a run to the run's record.

    If the run lies within another run, the record of that run is updated too.
    """
    changed = [path.absolute()]
    for folder in path.absolute().parents:
        try:
            record = _stored(folder)
        except InputError:
            return
        files = {each.relative_to(folder).as_posix(): checksum(each) for each in changed}
        _write(folder, record, record["files"] | files)
        changed.append(folder / RECORD)


def _write(folder: Path, record: Mapping[str, Any], files: Mapping[str, str]) -> None:
    whole = {"format": FORMAT, **record, "files": dict(sorted(files.items()))}
    plain = json.loads(json.dumps(_plain(whole), default=str))  # as it will be read back
    with whole_files(folder / RECORD) as (partial,):
        write_json({**plain, "digest": _digest(plain)}, partial)


def _digest(record: Mapping[str, Any]) -> str:
    content = {key: value for key, value in record.items() if key != "digest"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _parsed(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _LARGEST:
        raise ValueError(f"{path.stat().st_size / 1e6:.0f} MB")
    record = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(record, dict):
        raise ValueError("not a mapping")
    return record


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a run, checked against its digest.

    Raises
    ------
    InputError
        There is none, it is damaged, or it was changed.
    """
    record = _stored(folder)
    wrong = ""
    if not isinstance(record.get("command"), str):
        wrong = "no command"
    elif not isinstance(record.get("settings"), dict):
        wrong = "no settings"
    elif not isinstance(record.setdefault("warnings", []), list):
        wrong = "warnings that are not a list"
    for key in ("inputs", "versions", "timings"):
        if not isinstance(record.setdefault(key, {}), dict):
            wrong = f"{key} that are not a mapping"
    if wrong:
        raise InputError(
            "run",
            f"{str(folder / RECORD)!r} is not the record of a run",
            found=wrong,
            fix="run it again",
        )
    return record


def _stored(folder: Path) -> dict[str, Any]:
    """The record as stored in a folder, with the digest that it states."""
    path = folder / RECORD
    if not path.is_file():
        raise InputError(
            "run",
            f"must be the folder of a finished run, with its {RECORD}",
            found=f"no {RECORD} in {str(folder)!r}",
        )
    try:
        record = _parsed(path)
    except (ValueError, RecursionError) as error:
        raise InputError(
            "run",
            f"{str(path)!r} is not the record of a run",
            found=str(error).splitlines()[0][:120],
        ) from None
    if record.get("format") != FORMAT:
        raise InputError(
            "run",
            f"{str(path)!r} is not the record of a run of this version",
            found=f"format {record.get('format')!r}, no list of files with digests",
            fix="run it again",
        )
    files = record.get("files")
    if (
        not isinstance(files, dict)
        or not all(map(_is_inside, files))
        or record.get("digest") != _digest(record)
    ):
        raise InputError(
            "run",
            f"{str(path)!r} was changed since the run",
            found="a digest that differs from the stated one",
            fix="run it again",
        )
    return record


def verify(folder: Path, record: Mapping[str, Any], name: str) -> None:
    """Raise an `InputError` if a file of a run was changed after the run."""
    known = record["files"].get(name)
    if known is None or checksum(folder / name) != known:
        raise InputError(
            "run",
            f"{str(folder / name)!r} was changed since the run",
            found="a digest that differs from its record",
            fix="run it again, or give the table itself instead of the folder",
        )


def not_ours(folder: Path) -> list[str]:
    """Files in a run's folder that the run did not write or that were changed after the run.

    Links are not followed. The folder must have a record that lists its files.

    Raises
    ------
    InputError
        There is no such record.
    """
    record = _stored(folder)
    files = record["files"]
    folders = {parent.as_posix() for name in files for parent in Path(name).parents}
    found = []
    for name, mode in _entries(folder):
        if stat.S_ISDIR(mode):
            if name not in folders:
                found.append(f"{name}/")
        elif not stat.S_ISREG(mode):
            found.append(name)
        elif name != RECORD and Path(name).name not in _DROPPINGS:
            known = files.get(name)
            if known is None:
                found.append(name)
            elif checksum(folder / name) != known:
                found.append(f"{name} (changed since)")
    return found


def remove(folder: Path) -> None:
    """Remove the files of a run, and its folder if nothing else is in it.

    Only files inside the folder are removed, whatever names the record lists.
    """
    files = {*_stored(folder)["files"], RECORD}
    entries = list(_entries(folder))
    for name, mode in entries:
        if stat.S_ISREG(mode) and (name in files or Path(name).name in _DROPPINGS):
            (folder / name).unlink(missing_ok=True)
    folders = [name for name, mode in entries if stat.S_ISDIR(mode)]
    for each in [*sorted(folders, key=lambda name: -name.count("/")), ""]:
        with suppress(OSError):  # a file was just added: the folder stays
            (folder / each).rmdir()


def _entries(folder: Path) -> Iterator[tuple[str, int]]:
    """Everything below a folder, with its kind; links are not followed."""
    left = [""]
    while left:
        inside = left.pop()
        for entry in sorted(os.scandir(folder / inside), key=lambda entry: entry.name):
            name = f"{inside}/{entry.name}" if inside else entry.name
            mode = entry.stat(follow_symlinks=False).st_mode
            yield name, mode
            if stat.S_ISDIR(mode):
                left.append(name)


def _is_inside(name: str) -> bool:
    """Whether a listed name is a plain path below the folder."""
    parts = name.split("/")
    return not ({"", ".", ".."} & set(parts)) and "\\" not in name and ":" not in parts[0][:2]
