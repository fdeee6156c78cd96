"""Public files: from the folder that ``BAYESDECOV_DATA`` names, or downloaded once and cached.

Either way a file is used only if its SHA-256 is the published one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from bayesdecov.errors import InputError
from bayesdecov.io.records import checksum

VARIABLE = "BAYESDECOV_DATA"


class PublicFile(NamedTuple):
    """A file's name, the folder that it is kept in, where it is published, and its SHA-256."""

    folder: str
    name: str
    address: str
    sha256: str


def data_folder() -> Path | None:
    """The folder that ``BAYESDECOV_DATA`` names."""
    place = os.environ.get(VARIABLE)
    return Path(place) if place else None


def in_folder(folder: str, filename: str) -> Path | None:
    """A file in the folder that ``BAYESDECOV_DATA`` names."""
    place = data_folder()
    if place:
        for path in (place / folder / filename, place / filename):
            if path.is_file():
                return path
    return None


def at_hand(file: PublicFile) -> bool:
    """Whether a file can be had without a network."""
    if in_folder(file.folder, file.name) is not None:
        return True
    import pooch

    return bool((pooch.os_cache("bayesdecov") / file.folder / file.name).is_file())


def fetch(file: PublicFile, argument: str) -> Path:
    """The local path of a file; errors are those of ``argument``."""
    path = in_folder(file.folder, file.name)
    if path is not None:
        found = checksum(path)
        if found != file.sha256:
            raise InputError(
                VARIABLE,
                f"{str(path)!r} is not the published file",
                found=f"SHA-256 {found[:16]}...",
                fix="delete it and load again",
            )
        return path
    import pooch

    try:
        return Path(
            pooch.retrieve(
                file.address,
                known_hash=f"sha256:{file.sha256}",
                fname=file.name,
                path=pooch.os_cache("bayesdecov") / file.folder,
                progressbar=False,
            )
        )
    except Exception as error:
        raise InputError(
            argument,
            f"{file.name!r} could not be downloaded from {file.address}",
            found=str(error).split("\n")[0][:150],
            fix=f"connect to the network, or set {VARIABLE} to a folder that contains "
            f"{file.folder}/{file.name}",
        ) from error
