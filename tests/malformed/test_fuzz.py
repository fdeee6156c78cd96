"""Readers on damaged files: right, or an `InputError`; ``benchmarks/fuzz.py`` takes longer."""

from __future__ import annotations

import gc

import numpy as np
import pytest

from tests.malformed.fuzz import attack, readers

NAMES = ("csv", "tsv.gz", "txt", "parquet", "labels", "bulk", "reference.nc",
         "posterior.nc", "dense.h5ad", "sparse.h5ad", "h5ad parts", "run.json", "gmt", "fcs",
         "fcs events", "event table", "gates.toml", "DAFi config")  # fmt: skip


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return readers(tmp_path_factory.mktemp("seeds"))


# h5netcdf leaves half an object behind where HDF5 can be opened and then not be understood
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", NAMES)
def test_damaged_files(name, known, tmp_path):
    count = 10 if name.endswith(".nc") or "h5ad" in name else 60  # a process for each of these
    tries, failures = attack(known[name], tmp_path, np.random.default_rng(7), count=count)
    gc.collect()  # what is left behind, while it is ignored
    assert tries == count
    assert not failures, "\n".join(failures)


def test_a_reader_that_fails_is_noticed(known, tmp_path):
    broken = known["gmt"]._replace(read=lambda path: path.read_text("utf-8").index("set1"))
    assert attack(broken, tmp_path, np.random.default_rng(0), count=60)[1]
