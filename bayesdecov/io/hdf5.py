"""Safe reading and writing of HDF5: files are examined first, full disks raise errors."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bayesdecov.errors import InputError
from bayesdecov.io import limits
from bayesdecov.io.files import check_file

_PROBE = Path(__file__).with_name("probe.py")
_PATIENCE = 15.0  # seconds for any file
_SPEED = 20e6  # bytes a second of a slow disk
_SMALL = 65536  # bytes kept from a failed write
_looked_into: dict[tuple[Any, ...], dict[str, float]] = {}


def look_into(
    path: Path, argument: str, rule: str, *groups: str, fix: str = "check that the file is complete"
) -> dict[str, float]:
    """Examine a file in a separate process, and return the bytes that each group's values need.

    Links to other files, values stored in other files, and contents that make HDF5 fail, crash or
    hang raise an `InputError` (``rule`` states the kind of file). With ``groups`` only the values
    of these top-level groups are read, from an AnnData in HDF5 or in the folder of a zarr store;
    without ``groups`` the file is netCDF.
    """
    if path.is_dir():  # many files: examined every time
        key = None
        size = sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    else:
        check_file(path, argument)
        status = path.stat()
        size = status.st_size
        key = (str(path.absolute()), status.st_ino, size, status.st_mtime_ns, groups)
        if key in _looked_into:
            return _looked_into[key]
    found = _probed(path, size, groups)
    if "error" in found:
        raise InputError(
            argument, f"{str(path)!r} {rule}", fix=fix, found=str(found["error"]).rstrip(".")[:200]
        )
    if key is not None:
        _looked_into[key] = found["ok"]
    return dict(found["ok"])


def _probed(path: Path, size: int, groups: tuple[str, ...]) -> dict[str, Any]:
    """The result of ``probe.py`` for a file of ``size`` bytes."""
    given = [str(path.absolute()), *groups]
    patience = _PATIENCE + size / _SPEED
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(_PROBE), str(limits.limit()), *given],
            capture_output=True,
            timeout=patience,
            stdin=subprocess.DEVNULL,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        return {"error": f"the reader does not finish within {patience:.0f} seconds"}
    except (OSError, TypeError):  # Python embedded in another program cannot start a process
        from bayesdecov.io import probe

        return probe.main("inf", *given)
    try:
        return dict(json.loads(done.stdout))
    except ValueError:
        return {"error": f"the reader crashes (exit status {done.returncode})"}


@contextmanager
def written(path: Path) -> Iterator[DiskFile]:
    """A new file for HDF5 to write into.

    Raises
    ------
    OSError
        The disk is full, or another reason why the file could not be written.
    """
    with DiskFile(path) as file:
        yield file
        if file.error is None:
            file.sync()
    if file.error is not None:
        raise file.error


class DiskFile(io.RawIOBase):
    """A file that hides failed writes from HDF5.

    HDF5 crashes if it cannot write its buffers while closing a file. Here a write that fails is
    stored in ``error`` and appears to succeed; `written` raises it when HDF5 has finished.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.error: OSError | None = None
        self._file = path.open("w+b", buffering=0)
        self._at = self._end = 0
        self._lost: dict[int, bytes] = {}  # structure that HDF5 may read again

    def __reduce__(self) -> tuple[type, tuple[str]]:
        """Its path: with dask, xarray names a lock after its target."""
        return str, (str(self.path),)

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position."""
        self._at = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence] + offset
        return self._at

    def tell(self) -> int:
        """The position."""
        return self._at

    def write(self, content: Any) -> int:
        """Write, or store the error."""
        view = memoryview(content).cast("B")
        done = 0
        try:
            self._file.seek(self._at)
            while self.error is None and done < len(view):
                done += self._file.write(view[done:])
        except OSError as error:
            self.error = error
        if self.error is not None and len(view) < _SMALL:
            self._lost[self._at] = bytes(view)
        self._at += len(view)
        self._end = max(self._end, self._at)
        return len(view)

    def readinto(self, buffer: Any) -> int:
        """Read what was written."""
        view = memoryview(buffer).cast("B")
        length = max(0, min(len(view), self._end - self._at))
        self._file.seek(self._at)
        got = self._file.readinto(view[:length]) or 0
        view[got:length] = bytes(length - got)
        for start, content in self._lost.items():
            first, last = max(start, self._at), min(start + len(content), self._at + length)
            if first < last:
                view[first - self._at : last - self._at] = content[first - start : last - start]
        self._at += length
        return length

    def truncate(self, size: int | None = None) -> int:
        """Set the length."""
        self._end = self._at if size is None else size
        try:
            self._file.truncate(self._end)
        except OSError as error:
            self.error = self.error or error
        return self._end

    def sync(self) -> None:
        """Flush to disk."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            self.error = error

    def close(self) -> None:
        """Close the file."""
        if not self._file.closed:
            self._file.close()
        super().close()
