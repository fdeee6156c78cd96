"""Hierarchies from files and to files; the file extension determines the format."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.gating import interchange
from bayesdecov.gating.dafi_config import read_config, read_rows, write_config
from bayesdecov.gating.gatingml import write_gatingml
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.toml_format import read_toml, write_toml
from bayesdecov.io.files import check_place, whole_files


def read_hierarchy(
    path: str | Path, exclusion: str | Path | None = None, **options: Any
) -> Hierarchy:
    """Read a gating hierarchy from a file.

    Parameters
    ----------
    path
        ``.toml`` (this package's format), ``.config`` (DAFi's tab-separated table), ``.xml``
        (Gating-ML 2.0) or ``.wsp`` (a FlowJo workspace); the last two need flowkit.
    exclusion
        DAFi's exclusion file, for a ``.config``.
    **options
        Of ``.config``: those of `bayesdecov.gating.dafi_config.read_config`. Of ``.xml`` and
        ``.wsp``: ``mode``, ``range``; of ``.wsp`` also ``sample`` and ``group``.

    Returns
    -------
    Hierarchy

    Raises
    ------
    InputError
        A rule is broken; the message names the gate and the field.

    Examples
    --------
    >>> import tempfile
    >>> import bayesdecov as bd
    >>> from bayesdecov.gating import read_hierarchy, write_hierarchy
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_hierarchy(bd.simulate.blood_hierarchy(), folder + "/gates.toml")
    ...     read_hierarchy(folder + "/gates.toml") == bd.simulate.blood_hierarchy()
    True
    """
    if not isinstance(path, (str, Path)):
        raise InputError(
            "hierarchy", "must be a Hierarchy or the path of a file", found=type(path).__name__
        )
    path = Path(path)
    if not path.is_file():
        raise InputError("hierarchy", f"the file {str(path)!r} does not exist")
    if exclusion is not None:
        options["exclusion"] = exclusion
    kind = path.suffix.lower()
    if kind == ".toml":
        if options:
            raise InputError(
                "hierarchy", "a .toml file contains its own settings", found=checks.some(options)
            )
        return read_toml(path)
    if kind in (".config", ".txt", ".tsv"):
        return read_config(path, **options)
    if kind in (".xml", ".wsp"):
        return interchange.read(path, **options)
    raise InputError(
        "hierarchy", "must be a .toml, .config, .xml or .wsp file", found=repr(path.name)
    )


def write_hierarchy(
    hierarchy: Hierarchy,
    path: str | Path,
    exclusion: str | Path | None = None,
    *,
    columns: Any = None,
    force: bool = False,
) -> None:
    """Write a hierarchy; files are written completely or not at all.

    Parameters
    ----------
    hierarchy
        The gates.
    path
        ``.toml``, ``.config`` (DAFi's) or ``.xml`` (Gating-ML 2.0).
    exclusion
        For ``.config``: the file of excluded regions.
    columns
        For ``.config``: names of the event table's columns in order, without Time, if gates
        refer to columns by name.
    force
        Replace an existing file of gates.

    Raises
    ------
    InputError
        The file exists, or the format cannot express these gates.
    """
    path = Path(path)
    exclusion = None if exclusion is None else Path(exclusion)
    kind = path.suffix.lower()
    targets = [path] + ([exclusion] if exclusion is not None else [])
    if exclusion is not None and kind != ".config":
        raise InputError("exclusion", "only a .config file has an exclusion file")
    if exclusion is not None and path.absolute() == exclusion.absolute():
        raise InputError("exclusion", "must be a different file", found=repr(str(exclusion)))
    for target in targets:
        _check_target(target, is_exclusion=target == exclusion, force=force)
    with whole_files(*targets) as partial:
        if kind == ".toml":
            write_toml(hierarchy, partial[0])
        elif kind == ".config":
            write_config(hierarchy, partial[0], partial[1] if exclusion else None, columns)
        elif kind == ".xml":
            write_gatingml(hierarchy, partial[0])
        else:
            raise InputError("path", "must end in .toml, .config or .xml", found=repr(path.name))


def _check_target(target: Path, *, is_exclusion: bool, force: bool) -> None:
    check_place(target, "path")
    if not target.exists():
        return
    if not force:
        raise InputError(
            "path",
            f"the file {str(target)!r} exists",
            fix="choose another or add --force (force=True)",
        )
    if not _holds_gates(target, is_exclusion=is_exclusion):
        raise InputError(
            "path",
            f"{str(target)!r} contains no gates, so it is not overwritten",
            fix="choose another name",
        )


def _holds_gates(path: Path, *, is_exclusion: bool) -> bool:
    """Whether a file can be read in the format that will replace it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if is_exclusion:
                read_rows(path, "exclusion")
            else:
                read_hierarchy(path)
    except InputError:
        return False
    return True
