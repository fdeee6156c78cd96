"""Examine an HDF5 file before it is read; run as a program, in a separate process.

    python -I probe.py MEMORY FILE [GROUP ...]

HDF5 can crash or hang on damaged files, and follows links to other files. A file is therefore
opened here first: every object is visited, objects that point outside the file or are inconsistent
are refused, and all values are read once: those of the named places of an AnnData or 10x file (X,
layers/counts, raw/X, matrix), or those of a netCDF file. Zarr stores are read likewise. Prints one
line of JSON: ``{"ok": {place: bytes}}`` or ``{"error": why}``. Does not import bayesdecov, to start
quickly.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import h5py
import numpy as np

_PART = 8_000_000  # values at a time
_INTERPRETER = 2 << 30  # bytes of address space in addition to the values
_DEEPEST = 32
_MOST = 100_000  # objects
_TABLES = ("obs", "var", "raw/var")
_FILTERS = {1, 2, 3, 4, 5, 6, 32000, 32001, 32004, 32008, 32015}  # of HDF5, h5py and hdf5plugin


class Refused(Exception):
    """The reason why a file must not be read."""


def main(memory: str, path: str, *wanted: str) -> dict[str, Any]:
    """Visit and read a file within a limit of memory (bytes)."""
    bound(float(memory))
    try:
        if os.path.isdir(path):
            return {"ok": zarr_values(path, wanted)}
        sizes: dict[str, int] = {}
        with h5py.File(path, "r") as file:
            datasets = walk(file)
            for name, dataset in datasets.items():
                place = place_of(name, wanted)
                if place is not None:
                    sizes[place] = sizes.get(place, 0) + size_of(dataset)
                    if dataset.id.get_storage_size():  # otherwise no values were written
                        read(dataset)
            for place in wanted:
                if place not in _TABLES and isinstance(file.get(place), h5py.Group):
                    sparse(file[place])
        if not wanted:
            netcdf(path)
    except Refused as reason:
        return {"error": str(reason)}
    except MemoryError:
        return {"error": "more values than fit in memory"}
    except Exception as error:
        said = str(error).strip().split("\n")[0] or type(error).__name__
        return {"error": said[:200]}
    return {"ok": sizes}


def place_of(name: str, wanted: tuple[str, ...]) -> str | None:
    """Which of the wanted places has a dataset; all have one if none is named."""
    if not wanted:
        return name.split("/")[1]
    return next((place for place in wanted if f"{name}/".startswith(f"/{place}/")), None)


def bound(memory: float) -> None:
    """Limit the address space: more values than fit in memory must raise an error."""
    try:
        import resource
    except ImportError:  # not on this system
        return
    if memory != float("inf"):
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        size = int(memory) + _INTERPRETER
        resource.setrlimit(resource.RLIMIT_AS, (size if hard < 0 else min(size, hard), hard))


def netcdf(path: str) -> None:
    """Names, dimensions and attributes as h5netcdf reads them."""
    import h5netcdf

    with h5netcdf.File(path, "r") as file:
        left = [file]
        while left:
            group = left.pop()
            left += [group.groups[name] for name in group.groups]
            dict(group.attrs)
            for variable in group.variables.values():
                _ = variable.dimensions, variable.shape, dict(variable.attrs)


def zarr_values(path: str, wanted: tuple[str, ...]) -> dict[str, int]:
    """Bytes of the arrays of some groups of a zarr store; all of them are read."""
    import zarr

    store = zarr.open_group(path, mode="r")
    sizes = {}
    for name in wanted:
        left: list[Any] = [store[name]] if name in store else []
        sizes[name] = 0
        while left:
            place = left.pop()
            if hasattr(place, "keys"):
                left += [place[child] for child in place]
            else:
                sizes[name] += size_of(place)
                read(place)
    for name in wanted:
        if name not in _TABLES and name in store and hasattr(store[name], "keys"):
            sparse(store[name])
    return sizes


def size_of(array: Any) -> int:
    """Bytes of an array's values in memory."""
    return int(np.prod(array.shape or (), dtype=float)) * max(8, array.dtype.itemsize)


def walk(file: h5py.File) -> dict[str, h5py.Dataset]:
    """All datasets by path. Hard links only; soft ones may point within the file."""
    found: dict[str, h5py.Dataset] = {}
    soft: dict[str, str] = {}
    seen = set()
    left = [("", file, 0)]
    while left:
        path, group, depth = left.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            continue
        seen.add(address)
        if depth > _DEEPEST or len(seen) + len(found) > _MOST:
            raise Refused("too many objects, or groups nested too deeply")
        list(group.attrs.items())
        for name in group:
            link, here = group.get(name, getlink=True), f"{path}/{name}"
            if isinstance(link, h5py.ExternalLink):
                raise Refused(f"a link to another file at {here!r}")
            if isinstance(link, h5py.SoftLink):
                soft[here] = target_of(file, path, link.path, here)
                continue
            child = group[name]
            if isinstance(child, h5py.Group):
                left.append((here, child, depth + 1))
            elif isinstance(child, h5py.Dataset):
                check(child, here)
                list(child.attrs.items())
                found[here] = child
    for here, target in soft.items():
        for name in list(found):
            if f"{name}/".startswith(f"{target}/"):
                found[here + name[len(target) :]] = found[name]
    return found


def target_of(file: h5py.File, path: str, target: str, here: str) -> str:
    """The target of a soft link, which must be an object of this file, reached by hard links."""
    whole = target if target.startswith("/") else f"{path}/{target}"
    steps = [part for part in whole.split("/") if part not in ("", ".")]
    place = file
    for step in steps:
        link = place.get(step, getlink=True) if isinstance(place, h5py.Group) else None
        if not isinstance(link, h5py.HardLink):
            raise Refused(f"a broken link or a link to another file at {here!r}")
        place = place[step]
    return "".join(f"/{step}" for step in steps)


def check(dataset: h5py.Dataset, here: str) -> None:
    """Refuse values that are in other files, compressed by unknown filters, or not plain."""
    if dataset.external:
        raise Refused(f"values in another file at {here!r}")
    if dataset.is_virtual:
        raise Refused(f"values assembled from other files at {here!r}")
    plist = dataset.id.get_create_plist()
    for number in range(plist.get_nfilters()):
        if plist.get_filter(number)[0] not in _FILTERS:
            raise Refused(f"an unknown compression at {here!r}")
    kind = dataset.dtype
    known = (h5py.check_string_dtype(kind), h5py.check_ref_dtype(kind), h5py.check_vlen_dtype(kind))
    if kind.names is None and kind.kind in "OV" and all(each is None for each in known):
        raise Refused(f"values that are neither numbers nor text at {here!r}")


def read(array: Any) -> None:
    """Read all values, a part at a time."""
    if array.shape is None or 0 in array.shape:
        return
    if not array.shape:
        array[()]
        return
    rows = max(1, _PART // int(np.prod(array.shape[1:], dtype=float)))
    for start in range(0, array.shape[0], rows):
        array[start : start + rows]


def sparse(group: Any) -> None:
    """Check that rows and columns lie within the shape that an AnnData or 10x file states.

    Raises
    ------
    Refused
        They do not: making such a matrix dense would write outside its memory.
    """
    if not {"data", "indices", "indptr"} <= set(group):
        raise Refused("a sparse matrix without data, indices or indptr")
    data, indices, indptr = (group[part] for part in ("data", "indices", "indptr"))
    attrs = dict(group.attrs)
    kind = str(attrs.get("encoding-type", attrs.get("h5sparse_format", "")))
    stated: Any = attrs.get("shape", attrs.get("h5sparse_shape", ()))
    if not kind and "shape" in group:  # of 10x: genes x cells
        kind, stated = "csc", group["shape"][:]
    shape = [int(n) for n in np.ravel(stated)]
    if len(shape) != 2 or min(shape) < 0 or kind[:3] not in ("csr", "csc"):
        raise Refused("a sparse matrix of unknown shape or kind")
    for part, kinds in ((data, "biuf"), (indices, "iu"), (indptr, "iu")):
        if len(part.shape) != 1 or part.dtype.kind not in kinds:
            raise Refused("a sparse matrix of wrong types")
    rows, columns = shape if kind[:3] == "csr" else shape[::-1]
    pointers = np.asarray(indptr[:]).astype(np.int64)
    length = data.shape[0]
    if (
        len(pointers) != rows + 1
        or pointers[0] != 0
        or (np.diff(pointers) < 0).any()
        or pointers[-1] != length
        or length != indices.shape[0]
    ):
        raise Refused("pointers of a sparse matrix that do not fit its values")
    for start in range(0, length, _PART):
        part = np.asarray(indices[start : start + _PART])
        if int(part.min()) < 0 or int(part.max()) >= columns:
            raise Refused("indices of a sparse matrix that are out of bounds")


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
