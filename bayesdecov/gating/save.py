"""A hierarchy to a file; the ending decides the format."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from bayesdecov.errors import InputError
from bayesdecov.gating.dafi_config import read_rows, write_config
from bayesdecov.gating.gatingml import write_gatingml
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.toml_format import write_toml
from bayesdecov.io.files import check_place, whole_files


def save(
    hierarchy: Hierarchy, path: Path, exclusion: Path | None, columns: Any, force: bool
) -> None:
    """See `Hierarchy.write`; files appear whole or not at all."""
    kind = path.suffix.lower()
    targets = [path] + ([exclusion] if exclusion is not None else [])
    if exclusion is not None and kind != ".config":
        raise InputError("exclusion", "only a .config file has an exclusion file")
    if exclusion is not None and path.absolute() == exclusion.absolute():
        raise InputError("exclusion", "needs a file of its own", found=repr(str(exclusion)))
    for target in targets:
        check_place(target, "path")
        if not target.exists():
            continue
        if not force:
            raise InputError("path", f"the file {str(target)!r} exists",
                             fix="choose another or add --force (force=True)")  # fmt: skip
        if not _holds_gates(target, is_exclusion=target == exclusion):
            raise InputError("path", f"{str(target)!r} holds no gates, so it is not overwritten",
                             fix="choose another name")  # fmt: skip
    with whole_files(*targets) as partial:
        if kind == ".toml":
            write_toml(hierarchy, partial[0])
        elif kind == ".config":
            write_config(hierarchy, partial[0], partial[1] if exclusion else None, columns)
        elif kind == ".xml":
            write_gatingml(hierarchy, partial[0])
        else:
            raise InputError("path", "must end in .toml, .config or .xml", found=repr(path.name))


def _holds_gates(path: Path, *, is_exclusion: bool) -> bool:
    """Whether a file can be read as what will be written in its place."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if is_exclusion:
                read_rows(path, "exclusion")
            else:
                Hierarchy.read(path)
    except InputError:
        return False
    return True
