"""Cohorts in shards: the same numbers whatever the shards, and runs that go on."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesdecov as bd
from bayesdecov.deconvolution import shards, streaming
from bayesdecov.deconvolution.streaming import deconvolve_to
from bayesdecov.errors import InputError
from tests.options import of_deconvolve

N = 70
LAPLACE = {"draws": 50, "max_pareto_k": np.inf}


@pytest.fixture(scope="module")
def cohort():
    return bd.simulate.convolution(n_samples=N, n_genes=40, n_types=3, seed=1)


@pytest.fixture(scope="module")
def reference(cohort):
    return bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal")


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(shards, "_SHARD_FLOATS", 32 * 40)


def table(folder, name="proportions"):
    index = None if name == "intervals" else 0
    return pd.read_csv(folder / f"{name}.csv", index_col=index, float_precision="round_trip")


def draws(folder):
    with xr.open_datatree(folder / "posterior.nc", engine="h5netcdf") as tree:
        return tree["posterior/proportions"].to_numpy()


def test_shards_do_not_matter(cohort, reference, tmp_path):
    whole = bd.deconvolve(cohort.bulk, reference, "laplace", seed=3, **of_deconvolve(LAPLACE))
    whole.write(tmp_path / "whole")
    for size, jobs in ((1000, 1), (32, 1), (40, 2)):
        out = deconvolve_to(
            tmp_path / f"{size}",
            cohort.bulk,
            reference,
            seed=3,
            **of_deconvolve(LAPLACE),
            shard_size=size,
            n_jobs=jobs,
        )
        for name in ("proportions", "intervals", "diagnostics"):
            found = (out / f"{name}.csv").read_bytes()
            assert found == (tmp_path / "whole" / f"{name}.csv").read_bytes()
        np.testing.assert_array_equal(draws(out), draws(tmp_path / "whole"))
    record = json.loads((out / "run.json").read_text())
    assert record["settings"]["shards"] == 2
    assert not list(tmp_path.glob(".*"))  # nothing is left behind


def test_the_folder_is_a_run_like_any_other(cohort, reference, tmp_path):
    out = deconvolve_to(
        tmp_path / "run", cohort.bulk, reference, seed=3, **of_deconvolve(LAPLACE), shard_size=32
    )
    group = pd.DataFrame({"group": np.repeat(["a", "b"], N // 2)}, index=cohort.bulk.columns)
    assert len(bd.contrast(out, group, seed=1).table) == 3
    bd.report(out, tmp_path / "report.html")
    assert "Cell-type proportions" in (tmp_path / "report.html").read_text()


def dying(monkeypatch):
    """The second shard that is fitted ends the run; returns the first samples of all shards."""
    real, calls = streaming.run, []

    def dies(*args, first, **kwargs):
        calls.append(first)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, first=first, **kwargs)

    monkeypatch.setattr(streaming, "run", dies)
    return calls


def test_an_interrupted_run_goes_on(cohort, reference, tmp_path, monkeypatch):
    options = LAPLACE | {"shard_size": 32}  # and no seed: it comes from the input
    expected = deconvolve_to(tmp_path / "whole", cohort.bulk, reference, **of_deconvolve(options))
    calls = dying(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        deconvolve_to(tmp_path / "run", cohort.bulk, reference, **of_deconvolve(options))
    assert not (tmp_path / "run").exists()
    assert calls == [0, 32]
    out = deconvolve_to(tmp_path / "run", cohort.bulk, reference, **of_deconvolve(options))
    assert calls == [0, 32, 32, 64]  # the first shard was kept
    for name in ("proportions", "intervals", "diagnostics"):
        assert (out / f"{name}.csv").read_bytes() == (expected / f"{name}.csv").read_bytes()
    np.testing.assert_array_equal(draws(out), draws(expected))


def test_other_input_does_not_go_on_from_these_shards(cohort, reference, tmp_path, monkeypatch):
    calls = dying(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        deconvolve_to(tmp_path / "run", cohort.bulk, reference, "map", seed=1, shard_size=32)
    changed = cohort.bulk.copy()
    changed.iloc[0, -1] += 1
    deconvolve_to(tmp_path / "run", changed, reference, "map", seed=1, shard_size=32)
    assert calls == [0, 32, 0, 32, 64]


def test_backed_anndata_is_read_in_shards(cohort, reference, tmp_path):
    anndata = pytest.importorskip("anndata")
    values = cohort.bulk.to_numpy().T
    samples, genes = (pd.DataFrame(index=i) for i in (cohort.bulk.columns, cohort.bulk.index))
    anndata.AnnData(values, samples, genes).write_h5ad(tmp_path / "bulk.h5ad")
    out = deconvolve_to(
        tmp_path / "run", tmp_path / "bulk.h5ad", reference, "map", seed=1, shard_size=32
    )
    expected = bd.deconvolve(cohort.bulk, reference, "map", seed=1)
    np.testing.assert_array_equal(table(out).to_numpy(), expected.proportions.to_numpy())


def test_methods_without_a_posterior(cohort, reference, tmp_path):
    for method in ("map", "nnls"):
        out = deconvolve_to(tmp_path / method, cohort.bulk, reference, method, shard_size=32)
        expected = bd.deconvolve(cohort.bulk, reference, method)
        np.testing.assert_array_equal(table(out).to_numpy(), expected.proportions.to_numpy())


def test_what_needs_the_whole_cohort_is_refused(cohort, reference, tmp_path):
    for name in ("calibrate", "other"):
        with pytest.raises(InputError, match=f"{name}: needs the whole cohort"):
            deconvolve_to(
                tmp_path / "run", cohort.bulk, reference, "map", **of_deconvolve({name: True})
            )
    assert not list(tmp_path.iterdir())


def test_parts_on_different_scales_are_refused(cohort, reference, tmp_path):
    mixed = cohort.bulk.copy()
    mixed.iloc[:, 32:] = (mixed.iloc[:, 32:] + 1).round()
    mixed.iloc[:, 32:] += 1000 * np.eye(len(mixed), N - 32)  # counts
    with pytest.raises(InputError, match="samples 33 to 64 differ from the preceding ones"):
        deconvolve_to(tmp_path / "run", mixed, reference, "map", shard_size=32, df=None)
    assert not list(tmp_path.iterdir())


def test_bad_options_are_refused_as_in_deconvolve(cohort, reference, tmp_path):
    for options in ({"mrna_per_cell": 3}, {"shard_size": 0}, {"prob": 95}, {"seed": "x"}):
        with pytest.raises(InputError, match=next(iter(options))):
            deconvolve_to(tmp_path / "run", cohort.bulk, reference, "map", **of_deconvolve(options))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_dask_gives_the_same(cohort, reference, tmp_path):
    distributed = pytest.importorskip("distributed")
    import joblib

    expected = deconvolve_to(
        tmp_path / "one", cohort.bulk, reference, seed=3, **of_deconvolve(LAPLACE)
    )
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        out = deconvolve_to(
            tmp_path / "two", cohort.bulk, reference, seed=3, **of_deconvolve(LAPLACE), n_jobs=-1
        )
    for name in ("proportions", "intervals", "diagnostics"):
        assert (out / f"{name}.csv").read_bytes() == (expected / f"{name}.csv").read_bytes()
    np.testing.assert_array_equal(draws(out), draws(expected))
