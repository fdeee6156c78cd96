"""Files that are damaged at random, and the readers that have to say so."""

from __future__ import annotations

import gzip
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import bayesdecov as bd
from bayesdecov.errors import InputError
from bayesdecov.gating.files import read_hierarchy, write_hierarchy

_BITS = [b"0", b"-1", b"99999999999", b"nan", b"inf", b"1e400", b"\x00", b"\xff\xfe", b'"', b",",
         b"\t", b"\n", b"\r\n", b"[", b"]", b"{", b"=", b"#", b"<", b">", b"&", b"%s", b"../", b"'",
         b"\xe2\x80\xae", b" " * 200]  # fmt: skip
_HANG = 40  # seconds


class Reader(NamedTuple):
    """A file that can be read, and what reads it."""

    seed: bytes
    suffix: str
    read: Callable[[Path], Any]


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The content with one to five random changes."""
    made = bytearray(content)
    for _ in range(rng.integers(1, 6)):
        if not made:
            return bytes(made)
        at = int(rng.integers(len(made)))
        if rng.uniform() < 0.5:  # most structure is at the beginning
            at = int(rng.integers(min(len(made), 400)))
        length = int(rng.integers(1, 40))
        kind = rng.integers(6)
        if kind == 0:
            made[at] = int(rng.integers(256))
        elif kind == 1:
            del made[at : at + length]
        elif kind == 2:
            made[at:at] = _BITS[rng.integers(len(_BITS))]
        elif kind == 3:
            made[at : at + length] = _BITS[rng.integers(len(_BITS))]
        elif kind == 4:
            made[at:at] = made[at : at + length]
        else:
            del made[at:]
    return bytes(made)


def readers(folder: Path) -> dict[str, Reader]:
    """All formats that are read, each with a small valid file."""
    import anndata
    import scipy.sparse

    from bayesdecov._arviz import load
    from bayesdecov.gating.events import read_events
    from bayesdecov.gating.fcs import read_raw
    from bayesdecov.io.blocks import Blocks
    from bayesdecov.io.gene_sets import read_gmt
    from bayesdecov.io.tables import read_labels, read_table

    cohort = bd.simulate.convolution(n_samples=4, n_genes=30, n_types=3, seed=1)
    table = cohort.bulk.to_csv(index_label="gene").encode()
    hierarchy = bd.simulate.blood_hierarchy(k=20)
    bd.simulate.cytometry(1, 200, seed=1).write(folder)
    write_hierarchy(hierarchy, folder / "gates.toml")
    bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal").save(folder / "r.nc")
    cohort.bulk.to_parquet(folder / "t.parquet")
    adata = anndata.AnnData(cohort.bulk.T)
    adata.obs["batch"] = pd.Categorical(["a", "b", "a", "b"])
    adata.write_h5ad(folder / "dense.h5ad")
    adata.X = scipy.sparse.csr_matrix(adata.X)
    adata.write_h5ad(folder / "sparse.h5ad", compression="gzip")
    fit = bd.deconvolve(
        cohort.bulk, folder / "r.nc", "laplace", seed=1, sampling=bd.Sampling(draws=20)
    )
    fit.write(folder / "run")
    fcs = (folder / "donor01.fcs").read_bytes()
    events = pd.DataFrame(np.random.default_rng(0).integers(0, 4096, (50, 4)), columns=list("abcd"))
    found = {
        "csv": Reader(table, ".csv", read_table),
        "tsv.gz": Reader(gzip.compress(table.replace(b",", b"\t")), ".tsv.gz", read_table),
        "txt": Reader(table.replace(b",", b" "), ".txt", read_table),
        "parquet": Reader((folder / "t.parquet").read_bytes(), ".parquet", read_table),
        "parquet parts": Reader((folder / "t.parquet").read_bytes(), ".parquet",
                                lambda path: list(Blocks(path, "bulk").by_genes())),
        "labels": Reader(cohort.labels.to_csv(index_label="sample").encode(), ".csv", read_labels),
        "bulk": Reader(table, ".csv", lambda path: bd.deconvolve(path, folder / "r.nc", "nnls")),
        "reference.nc": Reader((folder / "r.nc").read_bytes(), ".nc", bd.Reference.load),
        "posterior.nc": Reader((folder / "run" / "posterior.nc").read_bytes(), ".nc", load),
        "dense.h5ad": Reader((folder / "dense.h5ad").read_bytes(), ".h5ad", read_table),
        "sparse.h5ad": Reader((folder / "sparse.h5ad").read_bytes(), ".h5ad", read_table),
        "h5ad parts": Reader((folder / "sparse.h5ad").read_bytes(), ".h5ad",
                             lambda path: list(Blocks(path, "bulk").by_genes())),
        "run.json": Reader((folder / "run" / "run.json").read_bytes(), ".json", _record(folder)),
        "gmt": Reader(b"set1\tabout\ta\tb\tc\nset2\tabout\td\te\n", ".gmt", read_gmt),
        "fcs": Reader(fcs, ".fcs", read_raw),
        "fcs events": Reader(fcs, ".fcs", lambda path: read_events(path, hierarchy)),
        "event table": Reader(events.to_csv(sep="\t", index=False).encode(), ".txt",
                              lambda path: read_events(path, hierarchy)),
        "gates.toml": Reader((folder / "gates.toml").read_bytes(), ".toml",
                             read_hierarchy),
        "DAFi config": Reader(
            b"1\t1\t3\t38\t200\t5\t200\t0\t0\t1\t1\tCells\n2\t2\t3\t0\t99\t0\t99\t1\t0\t1\t2\tT\n",
            ".config", read_hierarchy,
        ),
    }  # fmt: skip
    return found


def _record(folder: Path) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        from bayesdecov.results.run import run_of

        (folder / "run" / "run.json").write_bytes(path.read_bytes())
        return run_of(folder / "run")

    return read


class Hang(BaseException):
    """A reader took too long."""


def _alarm(*_: Any) -> None:
    raise Hang


def attack(
    reader: Reader, folder: Path, rng: np.random.Generator, *, count: int | None = None,
    seconds: float = np.inf,
) -> tuple[int, dict[str, bytes]]:  # fmt: skip
    """Damage and read until ``count`` or ``seconds`` are over: tries, and failures by traceback.

    Reading well or with an `InputError` is right; anything else is a failure.
    """
    failures: dict[str, bytes] = {}
    path, tries = folder / f"damaged{reader.suffix}", 0
    until = time.monotonic() + seconds
    packed = reader.suffix.endswith(".gz")
    old = signal.signal(signal.SIGALRM, _alarm)
    try:
        while (count is None or tries < count) and time.monotonic() < until:
            tries += 1
            content = reader.seed
            if packed and rng.uniform() < 0.5:  # damage within, or of the archive
                content = gzip.compress(damaged(gzip.decompress(content), rng))
            else:
                content = damaged(content, rng)
            path.write_bytes(content)
            signal.alarm(_HANG)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    reader.read(path)
            except InputError:
                pass
            except (Exception, Hang) as error:
                frames = traceback.extract_tb(error.__traceback__)[-3:]
                where = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in frames[::-1])
                failures.setdefault(
                    f"{type(error).__name__}: {str(error)[:120]} at {where}", content
                )
            finally:
                signal.alarm(0)
    finally:
        signal.signal(signal.SIGALRM, old)
    return tries, failures
