"""Crafted .h5ad and .nc: one message, no byte of another file, no crash, no hang."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
from typer.testing import CliRunner

import bayesdecov as bd
from bayesdecov.cli import app
from bayesdecov.errors import InputError
from bayesdecov.io.blocks import Blocks
from bayesdecov.io.tables import read_table
from tests.hostile import craft

pytestmark = pytest.mark.slow  # HDF5 is the same below every interpreter


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clean")
    craft.inputs(folder)
    return folder


@pytest.fixture
def folder(clean, tmp_path):
    shutil.copytree(clean, tmp_path / "work")
    return tmp_path / "work"


def _refused(folder, said, bulk="bulk.h5ad"):
    result = CliRunner().invoke(app, [
        "deconvolve", str(folder / bulk), "--reference", str(folder / "reference.nc"),
        "--out", str(folder / "out"),
    ])  # fmt: skip
    shown = " ".join(result.stderr.split())
    assert result.exit_code == 2, result.output
    assert "Traceback" not in shown
    assert "unexpected" not in shown
    assert craft.SECRET not in result.output + shown
    assert said in shown
    assert not (folder / "out").exists()


def test_the_clean_files_are_read(folder):
    table = read_table(folder / "bulk.h5ad")
    expected = read_table(folder / "bulk.csv")
    assert np.allclose(table.loc[expected.index, expected.columns], expected)
    fit = bd.deconvolve(folder / "bulk.h5ad", folder / "reference.nc")
    assert np.isfinite(fit.proportions.to_numpy()).all()


@pytest.mark.parametrize("name", craft.H5AD)
def test_crafted_h5ad(name, folder):
    change, said = craft.H5AD[name]
    change(folder / "bulk.h5ad", folder / "secret")
    with pytest.raises(InputError, match=said):
        read_table(folder / "bulk.h5ad", "bulk")
    with pytest.raises(InputError, match=said):
        Blocks(folder / "bulk.h5ad", "bulk").take(0, 6)
    _refused(folder, "bulk: ")


@pytest.mark.parametrize("name", craft.NETCDF)
def test_crafted_reference(name, folder):
    change, said = craft.NETCDF[name]
    change(folder / "reference.nc", folder / "secret")
    with pytest.raises(InputError, match=said):
        bd.Reference.load(folder / "reference.nc")
    _refused(folder, "reference: ")


def test_covariances_that_are_not_positive_definite(folder):
    craft.indefinite(folder / "reference.nc")
    with pytest.raises(InputError, match=r"reference: .*(positive definite|negative|not positive)"):
        bd.Reference.load(folder / "reference.nc")
    _refused(folder, "reference: ")


def test_references_of_version_0_1_are_still_read(folder):
    new = bd.Reference.load(folder / "reference.nc")
    craft.old(folder / "reference.nc", folder)
    assert bd.Reference.load(folder / "reference.nc").mean.equals(new.mean)


@pytest.mark.parametrize("kind", ["csr", "csc"])
def test_damaged_matrices_in_memory(kind, folder):
    adata = craft.h5ad(read_table(folder / "bulk.csv"))
    adata.X = scipy.sparse.csr_matrix(adata.X).asformat(kind)
    adata.X.indices[0] = 10**7
    with pytest.raises(InputError, match=r"bulk: .*damaged sparse matrix"):
        bd.deconvolve(adata, folder / "reference.nc")


def test_a_backed_anndata_is_looked_into(folder):
    import anndata

    craft.H5AD["indices far out"][0](folder / "bulk.h5ad", folder / "secret")
    backed = anndata.read_h5ad(folder / "bulk.h5ad", backed="r")
    with pytest.raises(InputError, match="out of bounds"):
        Blocks(backed, "bulk")


def test_soft_links_within_the_file_are_followed(folder):
    import h5py

    expected = read_table(folder / "bulk.h5ad")
    with h5py.File(folder / "bulk.h5ad", "a") as file:
        file.move("X", "layers/counts")
        file["X"] = h5py.SoftLink("/layers/counts")
    assert read_table(folder / "bulk.h5ad").equals(expected)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of anndata, on what it will do one day
@pytest.mark.parametrize("version", [2, 3])
def test_zarr_with_code_or_links_is_refused(version, folder):
    import json

    import anndata

    adata = craft.h5ad(read_table(folder / "bulk.csv"))
    with anndata.settings.override(zarr_write_format=version):
        adata.write_zarr(folder / "bulk.zarr")
    assert Blocks(folder / "bulk.zarr", "bulk").take(0, 2).shape == (40, 2)
    place = next(
        p
        for p in sorted((folder / "bulk.zarr").rglob("*"))
        if p.name in (".zarray", "zarr.json") and "data" in str(p)
    )
    before = place.read_text()
    described = json.loads(before)
    if place.name == ".zarray":
        described["filters"] = [{"id": "pickle", "protocol": 5}]
    else:
        described["codecs"] = [{"name": "numcodecs.pickle", "configuration": {}}]
    place.write_text(json.dumps(described))
    with pytest.raises(InputError, match=r"codec '.*pickle'"):
        Blocks(folder / "bulk.zarr", "bulk")
    place.write_text("[" * 100000)
    with pytest.raises(InputError, match="does not describe"):
        Blocks(folder / "bulk.zarr", "bulk")
    place.write_text(before)
    (place.parent / "extra").symlink_to(folder / "secret")
    with pytest.raises(InputError, match="a link or device"):
        Blocks(folder / "bulk.zarr", "bulk")


def test_a_reader_that_breaks_down_is_said(folder, monkeypatch):
    from bayesdecov.io import hdf5

    crash = folder / "crash.py"
    crash.write_text("import os; os.abort()")
    monkeypatch.setattr(hdf5, "_PROBE", crash)
    with pytest.raises(InputError, match="the reader crashes"):
        bd.Reference.load(folder / "reference.nc")
    crash.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(hdf5, "_PATIENCE", 0.5)
    with pytest.raises(InputError, match="the reader does not finish within"):
        bd.Reference.load(folder / "reference.nc")


def test_where_no_process_can_be_started(folder, monkeypatch):
    monkeypatch.setattr(sys, "executable", None)
    assert bd.Reference.load(folder / "reference.nc").mean.shape == (40, 3)
    craft.H5AD["indices far out"][0](folder / "bulk.h5ad", folder / "secret")
    with pytest.raises(InputError, match="out of bounds"):
        read_table(folder / "bulk.h5ad", "bulk")


def test_a_full_disk_is_an_error_and_no_crash(tmp_path):
    """In a process whose files may not grow: HDF5 itself would crash at the end."""
    program = f"""
import resource, numpy as np, xarray as xr
from pathlib import Path
from bayesdecov.io.hdf5 import written
data = xr.Dataset({{"x": (("a", "b"), np.random.default_rng(0).normal(size=(2000, 300)))}})
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
try:
    with written(Path({str(tmp_path / "x.nc")!r})) as file:
        data.to_netcdf(file, engine="h5netcdf")
except OSError as error:
    print("said:", error.strerror)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "said: File too large\n"
    assert not done.stderr


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("changed", "chunk"),
    [({}, b""), ({}, b"\x02\x01"), ({}, b"\x02\x01\x21\x08" + b"\xff" * 200),
     ({"chunks": [0, 0]}, None), ({"chunks": [-1, 5]}, None), ({"shape": [6, 10**15]}, None),
     ({"dtype": "|O"}, None), ({"fill_value": [[]]}, None), ({"order": "Z"}, None)],
)  # fmt: skip
def test_damaged_zarr(changed, chunk, folder):
    import json

    import anndata

    with anndata.settings.override(zarr_write_format=2):
        anndata.AnnData(read_table(folder / "bulk.csv").T).write_zarr(folder / "bulk.zarr")
    (folder / "bulk.zarr" / ".zmetadata").unlink(missing_ok=True)
    place = folder / "bulk.zarr" / "X" / ".zarray"
    place.write_text(json.dumps(json.loads(place.read_text()) | changed))
    if chunk is not None:
        (folder / "bulk.zarr" / "X" / "0.0").write_bytes(chunk)
    with pytest.raises(InputError, match="bulk: "):
        Blocks(folder / "bulk.zarr", "bulk").take(0, 6)
    _refused(folder, "bulk: ", "bulk.zarr")


def test_names_that_take_more_memory_than_is_allowed(folder):
    import h5py

    from bayesdecov.io.limits import at_most

    with h5py.File(folder / "bulk.h5ad", "a") as file:
        attrs = dict(file["obs/sample"].attrs) if "sample" in file["obs"] else {}
        index = file["obs"].attrs["_index"]
        del file["obs"][index]
        made = file["obs"].create_dataset(index, (10**7,), h5py.string_dtype(), chunks=(1000,))
        made.attrs.update(attrs)
    with at_most("50MB"), pytest.raises(InputError, match=r"obs of .* more memory than is allowed"):
        read_table(folder / "bulk.h5ad", "bulk")


def test_blocks_keep_to_the_limit(folder):
    from bayesdecov.io.limits import at_most

    read_table(folder / "bulk.csv").to_parquet(folder / "bulk.parquet")
    for name in ("bulk.parquet", "bulk.h5ad"):
        blocks = Blocks(folder / name, "bulk")
        with at_most("1500"):
            assert blocks.take(0, 3).shape == (40, 3)
            with pytest.raises(InputError, match="more memory than is allowed"):
                blocks.take(0, 6)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_zarr_store_on_the_command_line(folder):
    import anndata

    with anndata.settings.override(zarr_write_format=2):
        anndata.AnnData(read_table(folder / "bulk.csv").T).write_zarr(folder / "bulk.zarr")
    result = CliRunner().invoke(app, [
        "deconvolve", str(folder / "bulk.zarr"), "--reference", str(folder / "reference.nc"),
        "--out", str(folder / "out"), "--no-plots",
    ])  # fmt: skip
    assert result.exit_code == 0, result.stderr


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_zarr_store_of_countless_chunks(folder, monkeypatch):
    import json

    import anndata

    from bayesdecov.io import hdf5

    with anndata.settings.override(zarr_write_format=2):
        anndata.AnnData(read_table(folder / "bulk.csv").T).write_zarr(folder / "bulk.zarr")
    (folder / "bulk.zarr" / ".zmetadata").unlink(missing_ok=True)
    place = next((folder / "bulk.zarr" / "obs").rglob(".zarray"))
    changed = json.loads(place.read_text()) | {"shape": [3 * 10**6], "chunks": [1]}
    place.write_text(json.dumps(changed))
    monkeypatch.setattr(hdf5, "_PATIENCE", 4.0)
    with pytest.raises(InputError, match="does not finish within"):
        Blocks(folder / "bulk.zarr", "bulk")
