"""Parts of a netCDF file joined: the same as the whole."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from bayesdecov.io.netcdf import concatenate


def part(start, stop):
    names = np.array([f"s{i}" for i in range(start, stop)])
    numbers = np.arange(start, stop)
    draws = numbers[None, :, None] + np.arange(2)[:, None, None] + np.zeros((2, 1, 3))
    return xr.DataTree.from_dict(
        {
            "/": xr.Dataset(attrs={"method": "map", "seconds": 1.5}),
            "/posterior": xr.Dataset(
                {"p": (("draw", "sample", "type"), draws)}, {"sample": names, "type": list("abc")}
            ),
            "/fit": xr.Dataset(
                {
                    "ok": ("sample", numbers % 2 == 0),
                    "said": ("sample", names),
                    "value": ("sample", np.where(numbers == 3, np.nan, numbers)),
                },
                {"sample": names},
            ),
            "/constant": xr.Dataset({"mean": (("gene", "type"), np.arange(6.0).reshape(2, 3))}),
        }
    )


def test_parts_are_the_whole(tmp_path):
    paths = []
    for start, stop in ((0, 4), (4, 8), (8, 9)):
        paths.append(tmp_path / f"{start}.nc")
        part(start, stop).to_netcdf(paths[-1], engine="h5netcdf")
    concatenate(paths, tmp_path / "whole.nc", "sample")
    with xr.open_datatree(tmp_path / "whole.nc", engine="h5netcdf") as found:
        expected = part(0, 9)
        assert found.attrs == expected.attrs
        for name, child in expected.children.items():
            xr.testing.assert_identical(found[name].to_dataset().load(), child.to_dataset())


def test_a_part_without_the_dimension(tmp_path):
    xr.Dataset({"x": ("gene", [1.0])}).to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match="no dimension 'sample'"):
        concatenate([tmp_path / "x.nc"], tmp_path / "whole.nc", "sample")
