"""A hierarchy to a file; the ending decides the format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bayesdecov.errors import InputError
from bayesdecov.gating.dafi_config import write_config
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
    for target in targets:
        check_place(target, "path")
        if target.exists() and not force:
            raise InputError("path", f"the file {str(target)!r} exists",
                             fix="choose another or add --force (force=True)")  # fmt: skip
    with whole_files(*targets) as partial:
        if kind == ".toml":
            write_toml(hierarchy, partial[0])
        elif kind == ".config":
            write_config(hierarchy, partial[0], partial[1] if exclusion else None, columns)
        elif kind == ".xml":
            write_gatingml(hierarchy, partial[0])
        else:
            raise InputError("path", "must end in .toml, .config or .xml", found=repr(path.name))
