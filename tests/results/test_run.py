"""Finished runs: draws and their prior from groups and record, and folders that are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from bayesdecov.algebra.priors import FLAT, JEFFREYS, SoftmaxNormal
from bayesdecov.algebra.simplex import shift_log_ratios, to_cells
from bayesdecov.errors import InputError
from bayesdecov.results.result import Result
from bayesdecov.results.run import Run, posterior_draws_of, run_of, usable

DRAWS = np.random.default_rng(1).dirichlet(np.ones(3), (4, 2, 5))  # (sample, chain, draw, type)


def run(draws=DRAWS, command="deconvolve", source=None, **settings):
    posterior = xr.Dataset(
        {"proportions": (("sample", "chain", "draw", "cell_type"), draws)},
        {"sample": list("wxyz"), "cell_type": ["b", "a", "c"]},
    ).transpose("chain", "draw", "cell_type", "sample")
    record = {"settings": {"method": "laplace", "prior": "flat", "quantity": "parts"} | settings}
    return Run("one", command, {}, {"posterior": posterior}, record, source)


def test_draws_are_pooled_in_the_order_of_chains_whatever_the_dims():
    found = run().posterior_draws()
    np.testing.assert_array_equal(found.p, DRAWS.reshape(4, 10, 3))
    assert (list(found.samples), list(found.cell_types)) == (list("wxyz"), ["b", "a", "c"])
    assert found.quantity == "parts"
    assert found.unshifted is None


@pytest.mark.parametrize(
    ("command", "name", "prior"),
    [
        ("deconvolve", "flat", FLAT),
        ("deconvolve", "jeffreys", JEFFREYS),
        ("deconvolve", "normal", SoftmaxNormal()),
        ("deconvolve", "decovart", None),
        ("deconvolve", "none", None),
        ("gate", "whatever", JEFFREYS),
    ],
)
def test_the_prior_is_that_of_the_record(command, name, prior):
    assert run(command=command, prior=name).posterior_draws().prior == prior


def test_weights_of_cells_are_put_in_the_order_of_the_types_and_shifts_taken_back():
    weights = {"a": 1.0, "b": "2.5", "c": 0.5}
    shift = np.random.default_rng(2).normal(size=(3, 4, 3))
    per_cell = np.array([2.5, 1.0, 0.5])
    made = run(to_cells(shift_log_ratios(DRAWS, shift), per_cell), mrna_per_cell=weights)
    made.groups["fit"] = xr.Dataset(
        {"moved": (("sample", "replicate", "cell_type"), shift.transpose(1, 0, 2))}
    )
    found = made.posterior_draws()
    np.testing.assert_array_equal(found.per_cell, per_cell)
    expected = to_cells(DRAWS, per_cell).reshape(4, 10, 3)
    np.testing.assert_allclose(found.unshifted, expected, rtol=1e-9)
    np.testing.assert_array_equal(found.shared, shift)
    assert run(mrna_per_cell="none").posterior_draws().per_cell is None


def test_what_has_no_draws_or_no_prior_with_a_name_is_refused():
    with pytest.raises(InputError, match=r"^run: must have a posterior; found method='map'"):
        run(DRAWS[:, :1, :1], method="map").posterior_draws()
    with pytest.raises(
        InputError, match=r"^run: must contain proportions; found a run of 'fastmix'"
    ):
        run(command="fastmix").posterior_draws()
    with pytest.raises(
        InputError, match=r"must have a named prior .*; found Dirichlet\(alpha=2\.0\)"
    ):
        run(prior="Dirichlet(alpha=2.0)").posterior_draws()


def test_the_record_is_read_leniently():
    made = run(seconds="2.5")
    assert (made.method, made.seconds, made.version) == ("laplace", 2.5, "")
    assert np.isnan(run().seconds)
    assert np.isnan(run(seconds="soon").seconds)
    known = replace(made, record=made.record | {"versions": {"bayesdecov": "9.9"}})
    assert known.version == "9.9"
    assert made.sampled
    assert not run(DRAWS[:, :1, :1]).sampled


def test_a_run_is_taken_as_it_is_or_with_another_name():
    made = run()
    assert run_of(made) is made
    assert run_of(made, "two") == replace(made, name="two")
    with pytest.raises(InputError, match=r"^fit: must be a result of deconvolve, .*; found int\.$"):
        run_of(3)
    with pytest.raises(InputError, match=r"found list\. Give runs as separate arguments\.$"):
        run_of([made])


class Toy(Result):
    """An analysis with the tables of a deconvolution, and no posterior."""

    command = "deconvolve"

    def __init__(self, **settings):
        self.settings, self.facts, self.notes = settings, {}, ()

    def tables(self, prob=0.95):
        table = pd.DataFrame({"x": [1.0, 2.0]}, pd.Index(["s", "t"], name="sample"))
        return dict.fromkeys(("proportions", "intervals", "diagnostics"), table)


def test_a_folder_that_is_no_whole_run_is_refused_with_what_it_lacks(tmp_path):
    Toy(method="map").write(tmp_path / "run")
    for read in (run_of, posterior_draws_of):
        with pytest.raises(
            InputError, match=r"must contain all files .*; found no posterior\.nc\."
        ):
            read(tmp_path / "run")
    (tmp_path / "run" / "intervals.csv").unlink()
    with pytest.raises(InputError, match=r"found no intervals\.csv, posterior\.nc\. Run it again"):
        run_of(str(tmp_path / "run"))
    other = Toy(method="map")
    other.command = "benchmark"
    other.write(tmp_path / "other")
    with pytest.raises(InputError, match=r"^run: must be a run of .*; found 'benchmark'"):
        run_of(tmp_path / "other")
    with pytest.raises(InputError, match=r"^run"):
        run_of(tmp_path / "nothing")


def test_what_cannot_be_understood_of_a_folder_is_its_error_not_ours(tmp_path):
    with pytest.raises(InputError, match="finished run"), usable(run(source=tmp_path)):
        raise KeyError("cell_type")
    with pytest.raises(KeyError), usable(run(source=None)):  # of a fit in memory it is ours
        raise KeyError("cell_type")
