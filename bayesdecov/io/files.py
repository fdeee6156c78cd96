"""Paths and names of files: where files can be written, and files written completely."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bayesdecov import faults
from bayesdecov.errors import InputError
from bayesdecov.io import limits

_LONGEST = 100  # bytes of a name used in a file name; file systems allow 255 with endings
_RESERVED = frozenset(  # on Windows, whatever the ending
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))]
)


def cut(text: str, longest: int = _LONGEST) -> str:
    """``text`` if it is short, otherwise its beginning and a digest, of ``longest`` bytes at most.

    >>> cut("名" * 300) == cut("名" * 301)
    False
    >>> len(cut("名" * 300).encode()) <= 100
    True
    """
    encoded = text.encode("utf-8", "surrogatepass")
    if len(encoded) <= longest:
        return text
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    return encoded[: longest - 9].decode("utf-8", "ignore") + "~" + digest


def file_names(names: Iterable[str]) -> dict[str, str]:
    """A file name for every name: plain letters, not too long, all different."""
    given: dict[str, str] = {}
    taken: set[str] = set()
    for name in map(str, names):
        stem = "".join(c if c.isalnum() or c in "-_+." else "_" for c in name)
        stem = cut(stem.rstrip(".") or "_")
        if stem.split(".")[0].casefold() in _RESERVED:
            stem = f"_{stem}"
        own, number = stem, 2
        while own.casefold() in taken:
            own, number = f"{stem}~{number}", number + 1
        taken.add(own.casefold())
        given[name] = own
    return given


def hidden(path: Path, kind: str) -> Path:
    """A hidden name next to ``path``, for unfinished files."""
    return path.with_name(f".{cut(path.name)}.{kind}")


def real(path: Path, argument: str = "out") -> Path:
    """The absolute path without links.

    Raises
    ------
    InputError
        Links form a cycle, or the name is too long for the file system.
    """
    try:
        os.stat(path)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENAMETOOLONG):
            raise InputError(
                argument,
                f"{str(path)[:80]!r} cannot be used",
                found=(error.strerror or "an error").lower(),
            ) from None
    except ValueError:  # NUL
        raise InputError(
            argument, "must not contain NUL characters", found=repr(str(path))
        ) from None
    return path.resolve()


def check_place(path: Path, argument: str = "out") -> None:
    """Refuse a path that cannot be written, before any work is done."""
    parent = real(path, argument).parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise InputError(argument, f"{str(parent)!r} is a file, not a folder")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(
            argument, f"nothing can be written into {str(parent)!r}", fix="choose another folder"
        )


@contextmanager
def whole_files(*paths: Path) -> Iterator[list[Path]]:
    """Temporary files next to ``paths``, renamed to them when the block succeeds.

    A link is replaced, not followed.
    """
    token = uuid.uuid4().hex[:8]
    partial = [hidden(path, f"partial-{token}") for path in paths]
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        for part in partial:
            part.stat()  # all files or none
        faults.check()
        for part, path in zip(partial, paths, strict=True):
            part.replace(path)
    finally:
        for part in partial:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def check_file(path: Path, argument: str) -> None:
    """Raise an `InputError` if ``path`` is not a file."""
    real(path, argument)
    if not path.is_file():
        raise InputError(
            argument,
            f"the file {str(path)!r} does not exist"
            if not path.exists()
            else f"{str(path)!r} is not a file",
        )


def read_lines(path: Path, argument: str) -> list[str]:
    """The lines of a text file."""
    check_file(path, argument)
    limits.require_file(path, argument)
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise InputError(argument, f"{str(path)!r} is not a text file") from None


@contextmanager
def readable(path: Path, kind: str, argument: str) -> Iterator[None]:
    """Turn the errors of libraries that read a damaged file into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise InputError(
            argument,
            f"{str(path)!r} cannot be read as {kind}",
            found=reason.rstrip("."),
            fix="check that the file is complete and has the format that its name states",
        ) from error
