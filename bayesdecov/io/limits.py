"""Limit of the memory for one file: by default half of the machine's memory.

The limit is read from the environment (``BAYESDECOV_MAX_MEMORY``), so that it also applies to
worker processes; the command line's ``--max-memory`` sets it for one command.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bayesdecov.errors import InputError

VARIABLE = "BAYESDECOV_MAX_MEMORY"
_UNITS = {
    "": 1,
    "K": 1000,
    "M": 1000**2,
    "G": 1000**3,
    "T": 1000**4,
    "KI": 1024,
    "MI": 1024**2,
    "GI": 1024**3,
    "TI": 1024**4,
}
_CGROUP = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_GROWTH = 4  # two characters of a text become eight bytes of a number
_UNKNOWN = 8 * 1000**3  # if the machine's memory is unknown


def size_of(text: str, argument: str = "max-memory") -> float:
    """Bytes of a size such as "8GB", "500M" or "2GiB"; "none" is infinite.

    >>> size_of("1.5GB")
    1500000000.0
    """
    if text.strip().lower() in ("none", "inf"):
        return float("inf")
    match = re.fullmatch(r"\s*(\d+\.?\d*(?:[eE]\d+)?)\s*([KMGT]?I?)B?\s*", text, re.IGNORECASE)
    if match is None or match[2].upper() not in _UNITS or not float(match[1]) > 0:
        raise InputError(
            argument, "must be a size such as 8GB or 500M, or 'none'", found=repr(text)
        )
    return float(match[1]) * _UNITS[match[2].upper()]


def limit() -> float:
    """The limit in bytes."""
    given = os.environ.get(VARIABLE)
    return machine_memory() / 2 if not given else size_of(given, VARIABLE)


def machine_memory() -> float:
    """Bytes of memory available to this process in total."""
    found = [float(_UNKNOWN)]
    with suppress(AttributeError, ValueError, OSError):  # not on this system
        found = [float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))]
    for path in _CGROUP:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        if text.isdigit():
            found.append(float(text))
    try:
        import resource

        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        if soft != resource.RLIM_INFINITY:
            found.append(float(soft))
    except ImportError:  # not on this system
        pass
    return min(found)


@contextmanager
def at_most(size: str | None) -> Iterator[None]:
    """Set the limit until the block ends; None leaves it as it is."""
    if size is None:
        yield
        return
    size_of(size)
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = size
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def require(size: float, argument: str, what: str) -> None:
    """Raise an `InputError` if ``size`` bytes for ``what`` exceed the limit."""
    if size > (most := limit()):
        raise InputError(
            argument,
            f"{what} would need more memory than is allowed",
            found=f"{_readable(size)}, the limit is {_readable(most)}",
            fix=f"allow more with --max-memory (or {VARIABLE}), or give a smaller file",
        )


def require_file(path: Path, argument: str) -> None:
    """As `require`, for a file that is read completely."""
    require(_GROWTH * path.stat().st_size, argument, f"the file {str(path)!r}")


def _readable(size: float) -> str:
    unit = next((name for name in "TGMK" if size >= _UNITS[name]), "")
    return f"{size / _UNITS[unit]:.3g} {unit}B"


class Counted(io.RawIOBase):
    """The bytes of a text; exceeding the limit, or a NUL, raises an `InputError`."""

    def __init__(self, stream: Any, argument: str, what: str) -> None:
        self._stream, self._argument, self._what = stream, argument, what
        self._count, self._lines, self._most = 0, 0, limit()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer, counting."""
        content = self._stream.read(len(buffer))
        buffer[: len(content)] = content
        if (nul := content.find(b"\0")) >= 0:  # parsers end a name at NUL
            line = self._lines + content.count(b"\n", 0, nul) + 1
            before = content[max(0, nul - 20) : nul].decode("utf-8", "replace")
            raise InputError(
                self._argument,
                f"{self._what} cannot be read as text",
                found=f"a NUL character in line {line}, after {before!r}",
                fix="save it as plain text in UTF-8",
            )
        self._lines += content.count(b"\n")
        self._count += _GROWTH * len(content)
        if self._count > self._most:
            require(self._count, self._argument, self._what)
        return len(content)

    def close(self) -> None:
        """Close the stream too."""
        self._stream.close()
        super().close()
