"""References as files: everything comes back exactly, and no other file passes for one."""

from __future__ import annotations

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesdecov as bd
from bayesdecov.errors import InputError
from bayesdecov.reference.estimate import ESTIMATORS


@pytest.fixture(scope="module")
def cohort():
    return bd.simulate.convolution(n_samples=2, n_genes=24, n_types=3, replicates=5, seed=1)


@pytest.fixture
def quick(monkeypatch):
    """Many small files are read without the process that looks into them first."""
    monkeypatch.setattr("bayesdecov.io.hdf5._probed", lambda *_: {"ok": {}})


def made_with(cohort, method, genes=12):
    donors = {name: f"d{i % 4}" for i, name in enumerate(cohort.purified.columns)}
    return bd.Reference.from_samples(
        cohort.purified, cohort.labels, method, genes=genes, donors=donors
    )


def assert_same(read, made):
    for name in ("mean", "profiles", "transcriptome"):
        one, other = getattr(made, name), getattr(read, name)
        assert (one is None) == (other is None)
        if one is not None:
            pd.testing.assert_frame_equal(one, other, check_names=False, check_exact=True)
    for name in ("replicates", "counting", "labels", "donors"):
        one, other = getattr(made, name), getattr(read, name)
        assert (one is None) == (other is None)
        if one is not None:
            pd.testing.assert_series_equal(one, other, check_index_type=False, check_exact=True)
    assert type(read.covariance) is type(made.covariance)
    for name in vars(made.covariance):
        one, other = getattr(made.covariance, name), getattr(read.covariance, name)
        np.testing.assert_array_equal(one, other)
    assert (read.scale, read.settings, read.notes) == (made.scale, made.settings, made.notes)


@pytest.mark.parametrize("method", ESTIMATORS)
def test_everything_comes_back_exactly(cohort, method, tmp_path, quick):
    made = made_with(cohort, method)
    made.save(tmp_path / "r.nc")
    assert_same(bd.Reference.load(tmp_path / "r.nc"), made)


def test_moments_with_odd_names_come_back_without_profiles(cohort, tmp_path, quick):
    genes = ["NA", "1e5", "007", "ä β", "a,b", "x/y", "=1", *map(str, range(17))]
    mean = cohort.mean.set_axis(genes, axis=0).set_axis(["T cell/CD4+", "nan", "β"], axis=1)
    made = bd.Reference.from_moments(mean, np.array(cohort.covariances), replicates=[0, 2, 1])
    made.save(tmp_path / "r.nc")
    read = bd.Reference.load(tmp_path / "r.nc")
    assert_same(read, made)
    assert list(read.genes) == genes
    read.save(tmp_path / "again.nc")
    assert_same(bd.Reference.load(tmp_path / "again.nc"), made)


def test_any_name_or_number_that_is_changed_is_noticed(cohort, tmp_path, quick):
    made_with(cohort, "factor").save(tmp_path / "r.nc")
    content = (tmp_path / "r.nc").read_bytes()
    with h5py.File(tmp_path / "r.nc") as file:
        names = [name for name in file if name != "factor"]  # a dimension without names
    assert {"mean", "loadings", "gene", "donors", "multiplier", "any_gene"} < set(names)
    for name in names:
        (tmp_path / "r.nc").write_bytes(content)
        with h5py.File(tmp_path / "r.nc", "a") as file:
            values = file[name][...]
            first = (0,) * values.ndim
            is_text = values.dtype.kind == "O"
            values[first] = b"other" if is_text else np.nan_to_num(values[first]) + 1
            file[name][...] = values
        with pytest.raises(InputError, match=r"reference: .*was changed since it was written"):
            bd.Reference.load(tmp_path / "r.nc")
    (tmp_path / "r.nc").write_bytes(content)
    with h5py.File(tmp_path / "r.nc", "a") as file:
        file.attrs["scale"] = "counts"
    with pytest.raises(InputError, match="was changed since it was written"):
        bd.Reference.load(tmp_path / "r.nc")


@pytest.fixture(scope="module")
def first_version(cohort, tmp_path_factory):
    """Files of factors and of full matrices without a digest."""
    path = tmp_path_factory.mktemp("first") / "r.nc"
    files = {}
    for method in ("factor", "full"):
        made = (
            made_with(cohort, method)
            if method == "factor"
            else bd.Reference.from_moments(cohort.mean, np.array(cohort.covariances))
        )
        made.save(path)
        with h5py.File(path, "a") as file:
            file.attrs["format"] = "bayesdecov reference 1"
            del file.attrs["digest"]
        assert_same(bd.Reference.load(path), made)
        files[method] = path.read_bytes()
    return files


@pytest.mark.parametrize(("method", "name", "value", "said"), [
    ("factor", "mean", np.nan, "means that are missing, infinite or negative"),
    ("factor", "mean", -1e-9, "means that are missing, infinite or negative"),
    ("factor", "profiles", np.inf, "profiles that are missing"),
    ("factor", "transcriptome", -1.0, "transcriptome that are missing"),
    ("factor", "replicates", -1, "negative or missing numbers of replicates"),
    ("factor", "counting", -1.0, "negative or missing numbers of replicates or counts"),
    ("factor", "diagonal", -1.0, "variances that are"),
    ("factor", "loadings", np.nan, "variances that are missing"),
    ("factor", "factor_cell_type", 3, "factors of unknown cell types"),
    ("factor", "factor_cell_type", -1, "factors of unknown cell types"),
    ("full", "covariance", 0.0, "not positive definite"),
    ("factor", "gene", b"a\nb", "control characters"),
])  # fmt: skip
def test_what_no_reference_can_hold_is_said(
    first_version, method, name, value, said, tmp_path, quick
):
    """In files of the first version, which state no digest."""
    path = tmp_path / "r.nc"
    path.write_bytes(first_version[method])
    with h5py.File(path, "a") as file:
        values = file[name][...]
        values[(0,) * values.ndim] = value
        file[name][...] = values
    with pytest.raises(InputError, match=f"reference: .*{said}"):
        bd.Reference.load(path)


def test_a_gene_twice_is_said(cohort, tmp_path, quick):
    made_with(cohort, "diagonal").save(tmp_path / "r.nc")
    with h5py.File(tmp_path / "r.nc", "a") as file:
        file.attrs["format"] = "bayesdecov reference 1"
        file["gene"][1] = file["gene"][0]
    with pytest.raises(InputError, match=r"the gene 'gene.*' twice"):
        bd.Reference.load(tmp_path / "r.nc")


def test_only_a_reference_is_overwritten(cohort, tmp_path):
    made = bd.Reference.from_samples(cohort.purified, cohort.labels, genes=10)
    (tmp_path / "thesis.nc").write_text("years of work")
    with pytest.raises(InputError, match="is not a reference, so it is not overwritten"):
        made.save(tmp_path / "thesis.nc")
    with pytest.raises(InputError, match=r"must end in \.nc"):
        made.save(tmp_path / "reference")
    made.save(tmp_path / "r.nc")
    made.save(tmp_path / "r.nc")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.nc", "thesis.nc"]
    (tmp_path / "folder.nc").mkdir()
    with pytest.raises(InputError, match="is a folder; give the name of a file"):
        made.save(tmp_path / "folder.nc")


def test_bad_files(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        bd.Reference.load(tmp_path / "absent.nc")
    (tmp_path / "text.nc").write_text("not netCDF")
    with pytest.raises(InputError, match="not a readable netCDF"):
        bd.Reference.load(tmp_path / "text.nc")
    xr.Dataset({"x": ("a", [1.0])}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(InputError, match="not a reference"):
        bd.Reference.load(tmp_path / "other.nc")


def test_a_damaged_number_is_no_other_reference(tmp_path):
    cohort = bd.simulate.convolution(n_samples=2, n_genes=40, n_types=3, seed=1)
    path = tmp_path / "reference.nc"
    bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal", genes=None).save(path)
    with h5py.File(path) as file:
        place = file["mean"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place + 6] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a readable netCDF"):
        bd.Reference.load(path)


def test_damaged_settings_are_said(tmp_path, quick):
    cohort = bd.simulate.convolution(n_samples=2, n_genes=40, n_types=3, seed=1)
    path = tmp_path / "reference.nc"
    bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal").save(path)
    with h5py.File(path, "a") as file:
        file.attrs["settings"] = '{"covariance"'
    with pytest.raises(InputError, match=r"was changed since.*Write it again"):
        bd.Reference.load(path)
    with h5py.File(path, "a") as file:
        file.attrs["format"] = "bayesdecov reference 1"  # of version 0.1, without a digest
    with pytest.raises(InputError, match=r"is damaged; found JSONDecodeError.*Write it again"):
        bd.Reference.load(path)
