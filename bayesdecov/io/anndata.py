"""AnnData in memory and in files (.h5ad, .zarr): only their values and names.

Files are examined before they are read: they must not point to other files, refer to code (pickles)
or contain sparse matrices with indices outside their shape.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayesdecov.errors import InputError
from bayesdecov.io import limits
from bayesdecov.io.files import check_file, readable, real
from bayesdecov.io.hdf5 import look_into

ANNDATA = (".h5ad", ".zarr")
_NEEDED = ("X", "obs", "var")
_CODECS = frozenset(
    {  # of zarr; others could run code (pickle) or read other files
        "bytes",
        "transpose",
        "sharding_indexed",
        "gzip",
        "zstd",
        "blosc",
        "crc32c",
        "vlen-utf8",
        "vlen-bytes",
        "zlib",
        "lz4",
        "bz2",
        "lzma",
        "delta",
        "shuffle",
        "bitround",
        "fixedscaleoffset",
        "fletcher32",
    }
)
_LARGEST = 16_000_000  # bytes of a zarr's description


class Opened(NamedTuple):
    """The required parts of an AnnData, with values that stay in their file."""

    X: Any
    obs_names: pd.Index
    var_names: pd.Index
    obs: pd.DataFrame


def is_anndata(value: Any) -> bool:
    """Whether ``value`` is an AnnData, without importing the package."""
    return all(hasattr(value, name) for name in ("X", "obs_names", "var_names", "obs"))


def open_anndata(path: Path, argument: str) -> Opened:
    """An AnnData (.h5ad or .zarr) whose values stay in the file.

    Raises
    ------
    InputError
        It is missing, is damaged, points to other files, or has no matrix of numbers.
    """
    anndata = _anndata(argument)
    is_zarr = path.suffix.lower() == ".zarr"
    what = "a .zarr of AnnData" if is_zarr else "an .h5ad of AnnData"
    if is_zarr:
        _check_zarr(path, argument)
    sizes = look_into(path, argument, f"cannot be read as {what}", *_NEEDED)
    with readable(path, what, argument):
        if not is_zarr:
            import h5py

            group = h5py.File(path, "r")
        else:
            import zarr

            group = zarr.open_group(str(path), mode="r")
        absent = [name for name in _NEEDED if name not in group]
        if absent:
            raise InputError(
                argument,
                f"{str(path)!r} has no {', '.join(absent)}",
                fix="it must be an AnnData with expression in X",
            )
        for axis in ("obs", "var"):
            limits.require(sizes[axis], argument, f"{axis} of {str(path)!r}")
        obs, var = (anndata.io.read_elem(group[axis]) for axis in ("obs", "var"))
        X = group["X"]
        if hasattr(X, "keys"):
            X = anndata.io.sparse_dataset(X)
        elif getattr(X.dtype, "kind", "O") not in "biuf":
            raise InputError(
                argument,
                f"{str(path)!r} must contain numbers in X",
                found=f"values of type {X.dtype}",
            )
        if X.shape != (len(obs.index), len(var.index)):
            raise InputError(
                argument,
                f"{str(path)!r} is damaged",
                found=f"X of shape {X.shape} "
                f"for {len(obs.index)} samples and {len(var.index)} genes",
            )
        return Opened(X, pd.Index(obs.index), pd.Index(var.index), obs)


def from_anndata(adata: Any, argument: str = "table") -> pd.DataFrame:
    """Genes x samples from an AnnData (samples in obs); sparse matrices are made dense."""
    n_samples, n_genes = len(adata.obs_names), len(adata.var_names)
    limits.require(8.0 * n_samples * n_genes, argument, f"{n_genes} genes x {n_samples} samples")
    values = adata.X
    if values is None:
        raise InputError(argument, "must have expression in X", found="an AnnData without X")
    if not isinstance(values, np.ndarray):
        values = dense(values[:] if isinstance(adata, Opened) else values, argument)
    try:
        values = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise InputError(argument, "must contain numbers in X") from None
    return pd.DataFrame(values.T, adata.var_names, adata.obs_names)


def dense(values: Any, argument: str) -> np.ndarray:
    """An array in memory from an h5py, zarr, dask or sparse part; sparse parts are checked."""
    if hasattr(values, "compute"):
        values = values.compute()
    if hasattr(values, "check_format"):
        try:
            values.check_format(full_check=True)
        except ValueError as error:
            raise InputError(
                argument,
                "must not contain a damaged sparse matrix",
                found=str(error).split("\n")[0],
            ) from None
    if hasattr(values, "toarray"):
        values = values.toarray()
    return np.asarray(values)


def check_backed(adata: Any, argument: str) -> None:
    """Examine the file behind a backed AnnData."""
    path = getattr(adata, "filename", None)
    if getattr(adata, "isbacked", False) and path is not None:
        look_into(Path(path), argument, "cannot be read as an .h5ad of AnnData", *_NEEDED)


def new_anndata(samples: pd.Index, genes: pd.Index | None = None) -> Any:
    """An AnnData without values, for results."""
    try:
        import anndata
    except ImportError:
        raise ImportError("to_anndata needs anndata: pip install 'bayesdecov[anndata]'") from None
    axes = {"obs": samples} | ({} if genes is None else {"var": genes})
    return anndata.AnnData(**{k: pd.DataFrame(index=v.astype(str)) for k, v in axes.items()})


def _anndata(argument: str) -> Any:
    try:
        import anndata
    except ImportError:
        raise InputError(
            argument,
            "reading .h5ad needs the package anndata",
            fix="pip install 'bayesdecov[anndata]'",
        ) from None
    return anndata


def _check_zarr(path: Path, argument: str) -> None:
    """Refuse a folder unless it has plain files with numbers and text, written by known codecs."""
    real(path, argument)
    if not path.is_dir():
        check_file(path, argument)
        raise InputError(argument, f"{str(path)!r} must be the folder of a zarr store")
    for place in _plain_files(path, argument):
        if place.name not in ("zarr.json", ".zarray", ".zmetadata"):
            continue
        try:
            if place.stat().st_size > _LARGEST:
                raise ValueError("too long")
            described = json.loads(place.read_text(encoding="utf-8"))
            unknown = sorted(set(_codecs(described)) - _CODECS)
        except (ValueError, RecursionError) as error:
            raise InputError(
                argument,
                f"{str(place)!r} does not describe a zarr array",
                found=str(error).split("\n")[0][:80],
            ) from None
        if unknown:
            raise InputError(
                argument,
                f"{str(path)!r} must contain plain numbers and text",
                found=f"the codec {unknown[0]!r}",
            )


def _plain_files(folder: Path, argument: str) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            each = Path(place) / name
            if each.is_symlink() or not (each.is_dir() or each.is_file()):
                raise InputError(
                    argument,
                    f"{str(folder)!r} must contain plain files",
                    found=f"a link or device at {str(each)!r}",
                )
            if name in files:
                yield each


def _codecs(described: Any, inside: str = "") -> Iterator[str]:
    """Names of all compressors, filters and codecs in a description."""
    if isinstance(described, list):
        for each in described:
            yield from _codecs(each, inside)
    elif isinstance(described, dict):
        key = "name" if inside in ("codecs", "index_codecs") else "id"
        if inside and key in described:
            yield str(described[key])
        for name, value in described.items():
            codecs = ("codecs", "index_codecs", "compressor", "filters")
            if name in codecs or isinstance(value, (dict, list)):
                yield from _codecs(value, name if name in codecs else "")
