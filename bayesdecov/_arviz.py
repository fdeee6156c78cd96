"""The one place that knows which generation of ArviZ is installed.

ArviZ 0.23 (Python 3.11) keeps results in ``InferenceData``, ArviZ 1.x in ``xarray.DataTree``. Users
get the native type of theirs; files are written and read the same way in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import xarray as xr

from bayesdecov._version import __version__
from bayesdecov.io import limits
from bayesdecov.io.hdf5 import look_into, written

IS_TREE = int(az.__version__.split(".")[0]) >= 1


def from_groups(groups: Mapping[str, xr.Dataset], attrs: Mapping[str, Any]) -> Any:
    """The native container from datasets by group name; empty groups are left out.

    Attributes of files hold numbers and strings only, so anything else becomes its text.
    """
    attrs = {"inference_library": "bayesdecov", "inference_library_version": __version__} | {
        key: value
        if isinstance(value, (int, float, str)) and not isinstance(value, bool)
        else str(value)
        for key, value in attrs.items()
    }
    kept = {name: data for name, data in groups.items() if data.data_vars}
    if IS_TREE:
        tree = xr.DataTree.from_dict({f"/{name}": data for name, data in kept.items()})
        tree.attrs.update(attrs)
        return tree
    arguments: dict[str, Any] = {"attrs": attrs, **kept}
    return az.InferenceData(**arguments)


def as_tree(data: Any) -> xr.DataTree:
    """A DataTree of either container."""
    return data if isinstance(data, xr.DataTree) else data.to_datatree()


def dataset(group: Any) -> xr.Dataset:
    """The Dataset of a group of either container."""
    return group.to_dataset() if isinstance(group, xr.DataTree) else group


def psis(log_weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pareto-smoothed log-weights along the last axis, and the Pareto shape of each row.

    Mind the sign: ArviZ 0.23 takes log-weights, 1.x takes minus them.
    """
    if IS_TREE:
        from arviz_stats.base import array_stats

        smoothed, shape = array_stats.psislw(-log_weights)
    else:
        smoothed, shape = az.psislw(log_weights)
    return np.asarray(smoothed), np.asarray(shape)


def save(data: Any, path: Path) -> None:
    """Write all groups to one netCDF file."""
    with written(path) as file:
        as_tree(data).to_netcdf(file, engine="h5netcdf")


def load(path: Path) -> Any:
    """Read what `save` wrote into the native container."""
    sizes = look_into(path, "run", "is not a readable netCDF file", fix="run it again")
    limits.require(sum(sizes.values()), "run", f"the posterior in {str(path)!r}")
    groups, attrs = {}, {}
    for name, data in xr.open_groups(path, engine="h5netcdf").items():
        with data:
            loaded = data.load()
        if name == "/":
            attrs = {str(key): value for key, value in loaded.attrs.items()}
        else:
            groups[name.strip("/")] = loaded
    return from_groups(groups, attrs)
