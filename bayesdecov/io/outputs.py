"""Output folders: locked, written completely or not at all; only a run's files are replaced."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from bayesdecov import checks, faults
from bayesdecov.errors import InputError
from bayesdecov.io import records
from bayesdecov.io.files import check_place, hidden, real

finished: list[Path] = []  # finished folders, which the command line reports


def check_folder(folder: Path, *, force: bool, inputs: Iterable[Path] = ()) -> None:
    """Refuse a target that exists or contains the inputs, before any work is done.

    With ``force`` the target may be the folder of an earlier run that contains nothing else.
    """
    check_place(folder)
    given, folder = folder, real(folder)
    if folder in (here := Path.cwd(), *here.parents):
        raise InputError(
            "out",
            "must not be empty, the current folder, or one above it",
            found=repr(str(given)),
            fix="name a new folder",
        )
    for path in inputs:
        if folder in real(path, "inputs").parents:
            raise InputError(
                "out",
                f"the input {str(path)!r} lies inside {str(folder)!r}",
                fix="choose another folder for the results",
            )
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError("out", f"{str(folder)!r} is a file, not a folder")
    if not any(folder.iterdir()):
        return
    if not force:
        raise _exists(folder)
    if given.is_symlink():
        raise InputError(
            "out",
            f"{str(given)!r} is a link, which --force does not follow",
            fix="name the folder itself, or choose another",
        )
    _check_ours(folder, folder)


def _exists(folder: Path) -> InputError:
    return InputError(
        "out",
        f"the folder {str(folder)!r} exists",
        fix="choose another or add --force (force=True)",
    )


def _check_ours(folder: Path, named: Path) -> None:
    """Refuse a folder that contains anything that its run did not write."""
    try:
        others = ["a link in its place"] if folder.is_symlink() else records.not_ours(folder)
    except InputError as error:
        raise InputError(
            "out",
            f"{str(named)!r} is not the output of a run, so it is not overwritten",
            found=error.found or error.rule,
            fix="choose another folder",
        ) from None
    if others:
        raise InputError(
            "out",
            f"the folder {str(named)!r} contains files that its run did not write, so it is "
            "not overwritten",
            found=checks.some(others),
            fix="choose another folder, or move your files away",
        )


@contextmanager
def claimed(folder: Path, *, force: bool = False, inputs: Iterable[Path] = ()) -> Iterator[None]:
    """Lock ``folder`` for other runs until the block ends; checked as by `check_folder`.

    A run that has already locked the folder may lock it again, without another check.
    """
    folder = Path(folder)
    check_place(folder)
    target = real(folder)
    path = hidden(target, "lock")
    lock = FileLock(path, timeout=0, is_singleton=True)
    if lock.is_locked:  # by this run
        yield
        return
    made = [parent for parent in target.parents if not parent.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or (path.exists() and not _is_lock(path)):
            raise InputError(
                "out",
                f"{str(path)!r} is needed as a lock file but was not made by a run",
                fix="move it away",
            )
        try:
            lock.acquire()
        except Timeout:
            raise InputError(
                "out",
                f"another run is writing into {str(target)!r}",
                fix="wait until it has ended, or choose another folder",
            ) from None
        try:
            _recover(target)
            check_folder(folder, force=force, inputs=inputs)
            yield
        finally:
            path.unlink(missing_ok=True)  # while locked: waiting runs check again
            lock.release()
    finally:
        for parent in made:  # nothing was written
            with suppress(OSError):
                parent.rmdir()


def _is_lock(path: Path) -> bool:
    """Whether this is an empty file with a single name, as left behind by a killed run."""
    status = path.stat()
    return path.is_file() and status.st_size == 0 and status.st_nlink == 1


def _recover(folder: Path) -> None:
    """Restore the earlier output if a run was killed after moving it aside."""
    if folder.exists():
        return
    kept = re.compile(re.escape(hidden(folder, "old").name) + "-[0-9a-f]{8}")
    for name in sorted(os.listdir(folder.parent)):
        old = folder.with_name(name)
        if not kept.fullmatch(name) or old.is_symlink() or not old.is_dir():
            continue
        with suppress(InputError):
            if not records.not_ours(old):
                old.rename(folder)
                return


@contextmanager
def whole_folder(folder: Path, *, force: bool = False) -> Iterator[Path]:
    """A temporary folder next to ``folder``, renamed to it when the block succeeds.

    Its record lists its files (`bayesdecov.io.records`). A folder that is replaced is checked again
    after it has been moved aside, and restored if other files were added to it.
    """
    folder = Path(folder)
    with claimed(folder, force=force):
        target = real(folder)
        token = uuid.uuid4().hex[:8]
        partial = hidden(target, f"partial-{token}")
        partial.mkdir()
        try:
            yield partial
            records.seal(partial)
            faults.check()
            old = hidden(target, f"old-{token}")
            if target.exists() and any(target.iterdir()):
                if not force:
                    raise _exists(target)
                target.rename(old)
                try:
                    _check_ours(old, target)
                    partial.rename(target)
                except BaseException:
                    old.rename(target)
                    raise
                records.remove(old)
            else:
                if target.exists():
                    target.rmdir()
                partial.rename(target)
            finished.append(folder)
        finally:
            if partial.exists():
                shutil.rmtree(partial, ignore_errors=True)
