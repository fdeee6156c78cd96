"""Output folders that appear whole or not at all, and what a run writes into them."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesdecov.errors import InputError
from bayesdecov.io.tables import write_table

if TYPE_CHECKING:
    from bayesdecov.results import Deconvolution

_PACKAGES = ("bayesdecov", "numpy", "scipy", "pandas", "scikit-learn", "xarray", "arviz", "pymc")


def check_folder(folder: Path, *, force: bool) -> None:
    """Refuse a target that exists, before any work is done."""
    if folder.exists() and not folder.is_dir():
        raise InputError("out", f"{str(folder)!r} is a file, not a folder")
    if folder.is_dir() and any(folder.iterdir()):
        if not force:
            raise InputError(
                "out", f"the folder {str(folder)!r} exists", fix="choose another or add --force"
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
    folder = folder.absolute()
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
    command: str, settings: Mapping[str, Any], notes: tuple[str, ...], inputs: Mapping[str, Path]
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
        "arguments": sys.argv[1:],
        "versions": versions,
        "settings": dict(settings),
        "inputs": {
            name: {"path": str(path), "sha256": checksum(path)} for name, path in inputs.items()
        },
        "warnings": list(notes),
    }


def write_json(record: Mapping[str, Any], path: Path) -> None:
    """Readable JSON; anything that is not a number or a text is written as text."""
    path.write_text(json.dumps(record, indent=2, default=str) + "\n", encoding="utf-8")


def write_deconvolution(
    fit: Deconvolution,
    folder: Path,
    *,
    force: bool = False,
    prob: float = 0.95,
    inputs: Mapping[str, Path] | None = None,
) -> None:
    """``proportions.csv intervals.csv diagnostics.csv posterior.nc run.json`` in a new folder."""
    with whole_folder(folder, force=force) as partial:
        fill_deconvolution(fit, partial, prob=prob, inputs=inputs)


def fill_deconvolution(
    fit: Deconvolution,
    folder: Path,
    *,
    prob: float = 0.95,
    inputs: Mapping[str, Path] | None = None,
) -> None:
    """The files of `write_deconvolution` in an existing folder."""
    write_table(fit.proportions, folder / "proportions.csv", index_label="sample")
    write_table(fit.intervals(prob), folder / "intervals.csv")
    write_table(fit.diagnostics, folder / "diagnostics.csv", index_label="sample")
    if fit.draws is not None:
        from bayesdecov._arviz import save

        save(fit.to_inference_data(), folder / "posterior.nc")
    settings = dict(fit.settings) | {"quantity": fit.quantity, "interval_probability": prob}
    settings["reference"] = fit.reference.settings
    record = run_record("deconvolve", settings, fit.notes, inputs or {})
    record["timings"] = {"seconds": fit.settings.get("seconds")}
    write_json(record, folder / "run.json")
