"""References as netCDF files: coordinates ``gene`` and ``cell_type``, numbers and text only."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesdecov.errors import InputError
from bayesdecov.io.netcdf import open_well
from bayesdecov.io.outputs import check_place
from bayesdecov.reference.structures import Covariance, DenseCovariance, FactorCovariance

if TYPE_CHECKING:
    from bayesdecov.reference.reference import Reference

_FORMAT = "bayesdecov reference 1"


def save(reference: Reference, path: Path) -> None:
    """Write ``path`` whole or not at all."""
    check_target(path, force=True)
    genes, types = _text(reference.genes), _text(reference.cell_types)
    coords: dict[str, Any] = {"gene": genes, "cell_type": types}
    variables: dict[str, Any] = {
        "mean": (("gene", "cell_type"), reference.mean.to_numpy()),
        "replicates": ("cell_type", reference.replicates.to_numpy()),
        "counting": ("cell_type", reference.counting.to_numpy()),
    }
    covariance = reference.covariance
    if isinstance(covariance, DenseCovariance):
        variables["covariance"] = (("cell_type", "gene", "gene_bis"), covariance.Sigma)
        coords["gene_bis"] = genes
    else:
        variables["diagonal"] = (("gene", "cell_type"), covariance.D)
        variables["loadings"] = (("gene", "factor"), covariance.U)
        variables["factor_cell_type"] = ("factor", covariance.owner)
        if covariance.multiplier is not None:
            variables["multiplier"] = ("cell_type", covariance.multiplier)
    if reference.transcriptome is not None:
        variables["transcriptome"] = (("any_gene", "cell_type"), reference.transcriptome.to_numpy())
        coords["any_gene"] = _text(reference.transcriptome.index)
    if reference.profiles is not None and reference.labels is not None:
        variables["profiles"] = (("gene", "purified_sample"), reference.profiles.to_numpy())
        variables["labels"] = ("purified_sample", _text(reference.labels))
        if reference.donors is not None:
            variables["donors"] = ("purified_sample", _text(reference.donors))
        coords["purified_sample"] = _text(reference.profiles.columns)
    dataset = xr.Dataset(variables, coords=coords, attrs={
        "format": _FORMAT, "scale": reference.scale,
        "settings": json.dumps(reference.settings, default=str),
        "notes": json.dumps(list(reference.notes)),
    })  # fmt: skip
    encoding = {  # checksums: a damaged number is an error, not another reference
        name: {"fletcher32": True}
        | ({"zlib": True, "complevel": 4} if variable.size > 1000 else {})
        for name, variable in dataset.data_vars.items()
        if variable.dtype.kind in "fi" and variable.size
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        dataset.to_netcdf(partial, engine="h5netcdf", encoding=encoding)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def check_target(path: Path, *, force: bool) -> None:
    """Refuse to write where a reference must not go; only a reference is ever replaced."""
    if path.suffix.lower() != ".nc":
        raise InputError("out", "the name of a reference must end in .nc", found=repr(path.name))
    if path.is_dir():
        raise InputError("out", f"{str(path)!r} is a folder; give the name of a file")
    check_place(path)
    if not path.exists():
        return
    if not force:
        raise InputError(
            "out", f"the file {str(path)!r} exists", fix="choose another or add --force"
        )
    try:
        open_well(path)
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            ours = opened.attrs.get("format") == _FORMAT
    except Exception:
        ours = False
    if not ours:
        raise InputError("out", f"{str(path)!r} is not a reference, so it is not overwritten",
                         fix="choose another name")  # fmt: skip


def load(path: Path) -> dict[str, Any]:
    """Fields of the `Reference` in ``path``."""
    if not path.is_file():
        raise InputError("reference", f"the file {str(path)!r} does not exist")
    try:
        open_well(path)
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            data = opened.load()
    except Exception as error:
        raise InputError(
            "reference", f"{str(path)!r} is not a readable netCDF file",
            found=str(error).split("\n")[0][:120],
            fix="write it anew with 'bayesdecov reference' or Reference.save",
        ) from error  # fmt: skip
    if data.attrs.get("format") != _FORMAT or "mean" not in data:
        raise InputError(
            "reference", f"{str(path)!r} is not a reference of this version",
            found=f"format {data.attrs.get('format')!r}",
            fix="write it anew with 'bayesdecov reference' or Reference.save",
        )  # fmt: skip
    try:
        return _fields(data)
    except Exception as error:
        raise InputError(
            "reference", f"{str(path)!r} is damaged",
            found=f"{type(error).__name__}: {error}".split("\n")[0][:120],
            fix="write it anew with 'bayesdecov reference' or Reference.save",
        ) from error  # fmt: skip


def _fields(data: xr.Dataset) -> dict[str, Any]:
    genes = pd.Index([str(name) for name in data["gene"].values], name="gene")
    types = pd.Index([str(name) for name in data["cell_type"].values])
    fields: dict[str, Any] = {
        "mean": pd.DataFrame(data["mean"].values, genes, types),
        "covariance": _covariance(data),
        "replicates": pd.Series(data["replicates"].values, types, name="replicates"),
        "counting": pd.Series(data["counting"].values, types, name="counting"),
        "scale": str(data.attrs["scale"]),
        "settings": json.loads(data.attrs["settings"]),
        "notes": tuple(json.loads(data.attrs["notes"])),
    }
    if "transcriptome" in data:
        fields["transcriptome"] = pd.DataFrame(
            data["transcriptome"].values, [str(name) for name in data["any_gene"].values], types
        )
    if "profiles" in data:
        samples = [str(name) for name in data["purified_sample"].values]
        fields["profiles"] = pd.DataFrame(data["profiles"].values, genes, samples)
        fields["labels"] = pd.Series(
            [str(name) for name in data["labels"].values], samples, name="cell_type"
        )
        if "donors" in data:
            fields["donors"] = pd.Series(
                [str(name) for name in data["donors"].values], samples, name="donor"
            )
    return fields


def _covariance(data: xr.Dataset) -> Covariance:
    if "covariance" in data:
        return DenseCovariance(data["covariance"].values)
    return FactorCovariance(
        D=data["diagonal"].values,
        U=data["loadings"].values,
        owner=data["factor_cell_type"].values.astype(np.intp),
        multiplier=data["multiplier"].values if "multiplier" in data else None,
    )


def _text(names: Any) -> np.ndarray:
    return np.array([str(name) for name in names], dtype=object)
