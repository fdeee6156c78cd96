"""References as netCDF files: coordinates ``gene`` and ``cell_type``, numbers and text only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import xarray as xr

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.io import limits
from bayesdecov.io.files import check_place, whole_files
from bayesdecov.io.hdf5 import look_into, written
from bayesdecov.reference.hierarchy import as_hierarchy
from bayesdecov.reference.structures import Covariance, DenseCovariance, FactorCovariance

_FORMAT = "bayesdecov reference 2"
_WITHOUT_DIGEST = "bayesdecov reference 1"
_AGAIN = "write it again with 'bayesdecov reference' or Reference.save"
_BEHIND = ("cells", "counts")  # numbers behind a profile of single cells
_NO_FILE = "is not a readable netCDF file"


def save(fields: Mapping[str, Any], path: Path) -> None:
    """Write the fields of a `Reference`, as `load` returns them; whole or not at all."""
    check_target(path, force=True)
    mean, covariance = fields["mean"], fields["covariance"]
    genes = _text(mean.index)
    coords: dict[str, Any] = {"gene": genes, "cell_type": _text(mean.columns)}
    variables: dict[str, Any] = {
        "mean": (("gene", "cell_type"), mean.to_numpy()),
        "replicates": ("cell_type", fields["replicates"].to_numpy()),
        "counting": ("cell_type", fields["counting"].to_numpy()),
    }
    if isinstance(covariance, DenseCovariance):
        variables["covariance"] = (("cell_type", "gene", "gene_bis"), covariance.Sigma)
        coords["gene_bis"] = genes
    else:
        variables["diagonal"] = (("gene", "cell_type"), covariance.D)
        variables["loadings"] = (("gene", "factor"), covariance.U)
        variables["factor_cell_type"] = ("factor", covariance.owner)
        if covariance.multiplier is not None:
            variables["multiplier"] = ("cell_type", covariance.multiplier)
    transcriptome = fields.get("transcriptome")
    if transcriptome is not None:
        variables["transcriptome"] = (("any_gene", "cell_type"), transcriptome.to_numpy())
        coords["any_gene"] = _text(transcriptome.index)
    profiles, labels = fields.get("profiles"), fields.get("labels")
    if profiles is not None and labels is not None:
        variables["profiles"] = (("gene", "purified_sample"), profiles.to_numpy())
        variables["labels"] = ("purified_sample", _text(labels))
        if fields.get("donors") is not None:
            variables["donors"] = ("purified_sample", _text(fields["donors"]))
        coords["purified_sample"] = _text(profiles.columns)
        behind = fields.get("profile_cells")
        if behind is not None:
            for name in _BEHIND:
                variables[f"profile_{name}"] = ("purified_sample", behind[name].to_numpy(float))
    if fields.get("mrna_per_cell") is not None:
        variables["mrna_per_cell"] = ("cell_type", fields["mrna_per_cell"].to_numpy())
    dataset = xr.Dataset(
        variables,
        coords=coords,
        attrs={
            "format": _FORMAT,
            "scale": fields["scale"],
            "settings": json.dumps(fields["settings"], default=str),
            "notes": json.dumps(list(fields["notes"])),
            "hierarchy": json.dumps(fields.get("hierarchy") or {}),
        },
    )
    dataset.attrs["digest"] = _digest(dataset)
    encoding = {  # checksums: a damaged number raises an error
        name: {"fletcher32": True}
        | ({"zlib": True, "complevel": 4} if variable.size > 1000 else {})
        for name, variable in dataset.data_vars.items()
        if variable.dtype.kind in "fi" and variable.size
    }
    with whole_files(path) as (partial,), written(partial) as file:
        dataset.to_netcdf(file, engine="h5netcdf", encoding=encoding)


def check_target(path: Path, *, force: bool) -> None:
    """Check the path of a new reference; only a reference is ever replaced."""
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
        look_into(path, "out", _NO_FILE)
        with h5py.File(path, "r") as opened:
            ours = str(opened.attrs.get("format")) in (_FORMAT, _WITHOUT_DIGEST)
    except Exception:
        ours = False
    if not ours:
        raise InputError(
            "out",
            f"{str(path)!r} is not a reference, so it is not overwritten",
            fix="choose another name",
        )


def load(path: Path) -> dict[str, Any]:
    """Fields of the `Reference` in ``path``."""
    sizes = look_into(path, "reference", _NO_FILE, fix=_AGAIN)
    limits.require(sum(sizes.values()), "reference", f"the reference {str(path)!r}")
    try:
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            data = opened.load()
    except Exception as error:
        raise InputError(
            "reference",
            f"{str(path)!r} {_NO_FILE}",
            fix=_AGAIN,
            found=str(error).split("\n")[0][:120],
        ) from error
    kind = data.attrs.get("format")
    if kind not in (_FORMAT, _WITHOUT_DIGEST) or "mean" not in data:
        raise InputError(
            "reference",
            f"{str(path)!r} is not a reference of this version",
            found=f"format {kind!r}",
            fix=_AGAIN,
        )
    damaged = f"{str(path)!r} is damaged"
    try:
        stated = data.attrs.pop("digest", None)
        if kind == _FORMAT and stated != _digest(data):
            raise InputError(
                "reference",
                f"{str(path)!r} was changed since it was written",
                found="a digest that differs from the recorded one",
                fix=_AGAIN,
            )
        fields = _fields(data)
        _check(fields)
    except _Wrong as wrong:
        raise InputError("reference", damaged, found=str(wrong), fix=_AGAIN) from None
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            "reference",
            damaged,
            fix=_AGAIN,
            found=f"{type(error).__name__}: {error}".split("\n")[0][:120],
        ) from error
    return fields


class _Wrong(Exception):
    """Content that a reference cannot have."""


def _check(fields: dict[str, Any]) -> None:
    """Check that the numbers of a file are possible in a reference."""
    mean, covariance = fields["mean"], fields["covariance"]
    for axis, what in ((mean.index, "gene"), (mean.columns, "cell type")):
        checks.check_plain_names(axis, "reference", what)
        if not axis.is_unique:
            raise _Wrong(f"the {what} {axis[axis.duplicated()][0]!r} twice")
    tables = {"means": mean.to_numpy(), "variances": covariance.variances()}
    for name in ("transcriptome", "profiles"):
        if name in fields:
            tables[name] = fields[name].to_numpy()
    for name, values in tables.items():
        if values.dtype.kind != "f" or not np.isfinite(values).all() or (values < 0).any():
            raise _Wrong(f"{name} that are missing, infinite or negative")
    counts, counting = fields["replicates"].to_numpy(), fields["counting"].to_numpy()
    if not np.isfinite(counts).all() or (counts < 0).any() or (counting < 0).any():
        raise _Wrong("negative or missing numbers of replicates or counts")
    if "mrna_per_cell" in fields and not (fields["mrna_per_cell"].dropna() > 0).all():
        raise _Wrong("mRNA per cell that is not positive")
    n_genes, n_types = mean.shape
    if isinstance(covariance, DenseCovariance):
        if covariance.Sigma.shape != (n_types, n_genes, n_genes):
            raise _Wrong(f"covariances of shape {covariance.Sigma.shape}")
        for name, matrix in zip(mean.columns, covariance.Sigma, strict=True):
            try:
                np.linalg.cholesky(matrix)
                symmetric = np.allclose(matrix, matrix.T, rtol=1e-6)
            except np.linalg.LinAlgError:
                symmetric = False
            if not symmetric:
                raise _Wrong(f"a covariance of {name!r} that is not positive definite")
    elif not (covariance.D > 0).all() or not np.isfinite(covariance.U).all():
        raise _Wrong("variances that are not positive, or loadings that are missing")
    elif (
        len(covariance.owner)
        and not 0 <= covariance.owner.min() <= covariance.owner.max() < n_types
    ):
        raise _Wrong("factors of unknown cell types")


def _digest(data: xr.Dataset) -> str:
    """SHA-256 of names, numbers and texts, whatever types the file stores them in."""
    digest = hashlib.sha256()
    for name in sorted(map(str, data.variables)):
        variable = data[name]
        values = np.asarray(variable.values)
        digest.update(f"{name} {variable.dims} {values.shape}\0".encode())
        if values.dtype.kind in "biuf":
            digest.update(np.ascontiguousarray(values, dtype="<f8").tobytes())
        else:
            digest.update("\0".join(map(str, values.ravel())).encode("utf-8", "surrogatepass"))
    for name in ("format", "scale", "settings", "notes", "hierarchy"):
        if name not in data.attrs:  # of earlier versions
            continue
        digest.update(f"{name} {data.attrs[name]}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


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
    parents = json.loads(data.attrs.get("hierarchy", "{}"))
    if parents:
        fields["hierarchy"] = as_hierarchy(parents, types)
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
    if "mrna_per_cell" in data:
        fields["mrna_per_cell"] = pd.Series(
            data["mrna_per_cell"].values, types, name="mrna_per_cell"
        )
    if "profile_cells" in data:
        behind = {name: data[f"profile_{name}"].values for name in _BEHIND}
        fields["profile_cells"] = pd.DataFrame(behind, fields["profiles"].columns)
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
