"""Files as an attacker writes them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import scipy.sparse

import bayesdecov as bd

SECRET = "the secret of another file"
Craft = Callable[[Path, Path], None]


def inputs(folder: Path) -> bd.Reference:
    """bulk.csv, bulk.h5ad (sparse), reference.nc, and a secret that nothing may show."""
    cohort = bd.simulate.convolution(n_samples=6, n_genes=40, n_types=3, seed=1)
    cohort.bulk.to_csv(folder / "bulk.csv", index_label="gene")
    h5ad(cohort.bulk).write_h5ad(folder / "bulk.h5ad")
    reference = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal")
    reference.save(folder / "reference.nc")
    (folder / "secret").write_bytes((SECRET * 100).encode())
    return reference


def h5ad(bulk: pd.DataFrame) -> anndata.AnnData:
    """An AnnData with a sparse matrix."""
    return anndata.AnnData(
        scipy.sparse.csr_matrix(bulk.T.to_numpy()),
        obs=pd.DataFrame(index=bulk.columns),
        var=pd.DataFrame(index=bulk.index),
    )


def _values(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Craft:
    def craft(path: Path, _: Path) -> None:
        with h5py.File(path, "a") as file:
            values = file[name][:]
            del file[name]
            file[name] = change(values)

    return craft


def _attribute(name: str, key: str, value: object) -> Craft:
    def craft(path: Path, _: Path) -> None:
        with h5py.File(path, "a") as file:
            file[name].attrs[key] = value

    return craft


def _first(value: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values[0] = value
        return values

    return change


def _replaced(name: str, make: Callable[[h5py.File, str, Path], None]) -> Craft:
    def craft(path: Path, secret: Path) -> None:
        with h5py.File(path, "a") as file:
            del file[name]
            make(file, name, secret)

    return craft


def external(file: h5py.File, name: str, secret: Path) -> None:
    """Values whose bytes lie in another file."""
    file.create_dataset(name, (40,), "f8", external=[(str(secret), 0, 320)])


def external_matrix(file: h5py.File, name: str, secret: Path) -> None:
    file.create_dataset(name, (40, 3), "f8", external=[(str(secret), 0, 960)])


def linked(file: h5py.File, name: str, secret: Path) -> None:
    """A link to another file."""
    other = secret.with_name("other.h5")
    with h5py.File(other, "w") as target:
        target["x"] = np.ones((40, 3))
    file[name] = h5py.ExternalLink(str(other), "/x")


def fifo(file: h5py.File, name: str, secret: Path) -> None:
    """A link to a pipe that never gives anything."""
    place = secret.with_name("pipe.h5")
    os.mkfifo(place)
    file[name] = h5py.ExternalLink(str(place), "/x")


def virtual(file: h5py.File, name: str, secret: Path) -> None:
    """Values put together from another file."""
    other = secret.with_name("source.h5")
    with h5py.File(other, "w") as target:
        target["x"] = np.ones((40, 3))
    layout = h5py.VirtualLayout((40, 3), "f8")
    layout[:] = h5py.VirtualSource(str(other), "x", (40, 3))
    file.create_virtual_dataset(name, layout)


def soft_loop(file: h5py.File, name: str, _: Path) -> None:
    file[name] = h5py.SoftLink(f"/{name}")


def soft_nowhere(file: h5py.File, name: str, _: Path) -> None:
    file[name] = h5py.SoftLink("/nowhere/at/all")


def through_external(file: h5py.File, name: str, secret: Path) -> None:
    """A soft link whose way leads through an external one."""
    other = secret.with_name("group.h5")
    with h5py.File(other, "w") as target:
        target["x"] = np.ones((40, 3))
    file["door"] = h5py.ExternalLink(str(other), "/")
    file[name] = h5py.SoftLink("/door/x")


def bomb(file: h5py.File, name: str, _: Path) -> None:
    """Terabytes of a fill value."""
    file.create_dataset(name, (10**6, 10**6), "f8", chunks=(1000, 1000), fillvalue=1.0)


def objects(file: h5py.File, name: str, _: Path) -> None:
    file.create_dataset(name, data=np.zeros((40, 3), dtype="V16"))


# what is wrong with bulk.h5ad, and what is said of it
H5AD: dict[str, tuple[Craft, str]] = {
    "indices far out": (_values("X/indices", _first(10**7)), "out of bounds"),
    "indices just out": (_values("X/indices", _first(40)), "out of bounds"),
    "negative indices": (_values("X/indices", _first(-1)), "out of bounds"),
    "pointers too large": (_values("X/indptr", lambda p: p * 1000), "pointers"),
    "pointers down": (_values("X/indptr", lambda p: p[::-1]), "pointers"),
    "pointers negative": (_values("X/indptr", _first(-5)), "pointers"),
    "pointers too few": (_values("X/indptr", lambda p: p[:-1]), "pointers"),
    "data too short": (_values("X/data", lambda d: d[:3]), "pointers"),
    "indices that are fractions": (_values("X/indices", lambda i: i + 0.5), "types"),
    "data of text": (_values("X/data", lambda d: d.astype("S8")), "types"),
    "shape too small": (_attribute("X", "shape", [3, 2]), "pointers|out of bounds"),
    "shape too large": (_attribute("X", "shape", [6, 10**12]), "shape|memory|larger"),
    "shape negative": (_attribute("X", "shape", [-6, 40]), "shape"),
    "no indices": (_replaced("X/indices", lambda *_: None), "without"),
    "external values": (_replaced("X/data", external), "another file"),
    "external link": (_replaced("X", linked), "another file"),
    "link to a pipe": (_replaced("X", fifo), "another file"),
    "virtual": (_replaced("X", virtual), "other files"),
    "soft loop": (_replaced("X", soft_loop), "a broken link"),
    "soft link to nothing": (_replaced("X", soft_nowhere), "a broken link"),
    "soft link through an external one": (_replaced("X", through_external),
                                          "another file|elsewhere"),
    "bomb": (_replaced("X", bomb), "memory|shape"),
    "objects": (_replaced("X", objects), "neither numbers nor text"),
    "no X": (_replaced("X", lambda *_: None), "no X"),
    "no obs": (_replaced("obs", lambda *_: None), "no obs"),
    "external link elsewhere": (
        _replaced("uns", lambda f, n, s: linked(f, n, s)), "another file"),
}  # fmt: skip

# what is wrong with reference.nc; "reference 1" has no digest that would tell
old = _attribute("/", "format", "bayesdecov reference 1")


def _old(craft: Craft) -> Craft:
    def both(path: Path, secret: Path) -> None:
        old(path, secret)
        craft(path, secret)

    return both


def _set(name: str, place: tuple[int, ...] | int, value: float) -> Craft:
    def craft(path: Path, _: Path) -> None:
        with h5py.File(path, "a") as file:
            file[name][place] = value

    return craft


NETCDF: dict[str, tuple[Craft, str]] = {
    "external values": (_replaced("diagonal", external_matrix), "another file"),
    "external link": (_replaced("mean", linked), "another file"),
    "link to a pipe": (_replaced("mean", fifo), "another file"),
    "virtual": (_replaced("mean", virtual), "other files"),
    "soft loop": (_replaced("mean", soft_loop), "a broken link"),
    "bomb": (_replaced("mean", bomb), "memory|readable|damaged|changed|not a reference"),
    "a number": (_set("mean", (0, 0), 7.0), "was changed since it was written"),
    "a missing mean": (_old(_set("mean", (0, 0), np.nan)), "means that are missing"),
    "an infinite mean": (_old(_set("mean", (3, 1), np.inf)), "means that are missing"),
    "a negative mean": (_old(_set("mean", (0, 0), -1.0)), "means that are missing"),
    "no variance": (_old(_set("diagonal", (0, 0), 0.0)), "not positive"),
    "a negative variance": (_old(_set("diagonal", (0, 0), -1.0)), "negative"),
    "negative replicates": (_old(_set("replicates", 0, -3)), "negative"),
}  # fmt: skip


def indefinite(path: Path) -> None:
    """A reference of version 0.1 whose covariances have a negative eigenvalue."""
    cohort = bd.simulate.convolution(n_samples=2, n_genes=20, n_types=3, seed=1)
    bd.Reference.from_samples(cohort.purified, cohort.labels, "glasso").save(path)
    with h5py.File(path, "a") as file:
        file.attrs["format"] = "bayesdecov reference 1"
        if "covariance" in file:
            file["covariance"][0, 0, 1] = file["covariance"][0, 1, 0] = 1e9
        else:
            file["diagonal"][0, 0] = -1.0
