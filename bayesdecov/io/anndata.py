"""AnnData in memory and in files (.h5ad, .zarr): only their values and names.

Files are examined before they are read: they must not point to other files, refer to code (pickles)
or contain sparse matrices with indices outside their shape.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayesdecov.errors import InputError
from bayesdecov.io import limits
from bayesdecov.io.files import readable
from bayesdecov.io.hdf5 import look_into
from bayesdecov.io.zarr_store import check_zarr

ANNDATA = (".h5ad", ".zarr")
_NEEDED = ("X", "obs", "var")


class Opened(NamedTuple):
    """The required parts of an AnnData, with values that stay in their file."""

    X: Any
    obs_names: pd.Index
    var_names: pd.Index
    obs: pd.DataFrame
    var: pd.DataFrame


def is_anndata(value: Any) -> bool:
    """Whether ``value`` is an AnnData, without importing the package."""
    return all(hasattr(value, name) for name in ("X", "obs_names", "var_names", "obs"))


def matrices_of(path: Path, argument: str) -> list[str]:
    """Where an AnnData file has matrices: of "X", "layers/NAME" and "raw/X"."""
    group = _group(path, argument, "obs", "var")
    layers = [f"layers/{name}" for name in group["layers"]] if "layers" in group else []
    raw = ["raw/X"] if "raw" in group and "X" in group["raw"] else []
    return [*(["X"] if "X" in group else []), *layers, *raw]


def open_anndata(path: Path, argument: str, place: str = "X") -> Opened:
    """An AnnData (.h5ad or .zarr) whose values stay in the file.

    ``place`` is one of `matrices_of`.

    Raises
    ------
    InputError
        It is missing, is damaged, points to other files, or has no matrix of numbers.
    """
    anndata = _anndata(argument)
    genes = "raw/var" if place.startswith("raw/") else "var"
    group = _group(path, argument, place, "obs", genes)
    with readable(path, _kind(path), argument):
        obs, var = (anndata.io.read_elem(group[axis]) for axis in ("obs", genes))
        X = group[place]
        if hasattr(X, "keys"):
            X = anndata.io.sparse_dataset(X)
        elif getattr(X.dtype, "kind", "O") not in "biuf":
            raise InputError(
                argument,
                f"{str(path)!r} must contain numbers in {place}",
                found=f"values of type {X.dtype}",
            )
        if X.shape != (len(obs.index), len(var.index)):
            raise InputError(
                argument,
                f"{str(path)!r} is damaged",
                found=f"{place} of shape {X.shape} "
                f"for {len(obs.index)} samples and {len(var.index)} genes",
            )
        return Opened(X, pd.Index(obs.index), pd.Index(var.index), obs, var)


def _kind(path: Path) -> str:
    return "a .zarr of AnnData" if path.suffix.lower() == ".zarr" else "an .h5ad of AnnData"


def _group(path: Path, argument: str, *needed: str) -> Any:
    """The opened file or store, after an examination of the values at the needed places."""
    _anndata(argument)
    is_zarr = path.suffix.lower() == ".zarr"
    if is_zarr:
        check_zarr(path, argument)
    sizes = look_into(path, argument, f"cannot be read as {_kind(path)}", *needed)
    with readable(path, _kind(path), argument):
        if not is_zarr:
            import h5py

            group = h5py.File(path, "r")
        else:
            import zarr

            group = zarr.open_group(str(path), mode="r")
        absent = [name for name in needed if name not in group]
        if absent:
            raise InputError(
                argument,
                f"{str(path)!r} has no {', '.join(absent)}",
                fix="it must be an AnnData with expression in X",
            )
        for axis in ("obs", "var", "raw/var"):
            if axis in needed:
                limits.require(sizes[axis], argument, f"{axis} of {str(path)!r}")
        return group


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
