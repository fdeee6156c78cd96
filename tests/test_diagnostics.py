"""Convergence measures agree with ArviZ's, and say what is wrong in words."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from bayesdecov.diagnostics import convergence, e_bfmi
from bayesdecov.verdicts import findings_of_chains


@pytest.fixture
def draws():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(4, 300, 3, 2))
    values[0, :, 1, 0] += 2.0  # one chain of one sample is elsewhere
    return xr.Dataset({"p": (("chain", "draw", "sample", "cell_type"), values)})


def test_worst_of_each_sample(draws):
    import arviz as az

    found = convergence(draws, keep=["sample"])
    np.testing.assert_allclose(found["r_hat"], az.rhat(draws)["p"].max("cell_type"))
    np.testing.assert_allclose(found["ess_bulk"], az.ess(draws)["p"].min("cell_type"))
    assert found["r_hat"].argmax() == 1
    whole = convergence(draws)
    assert whole["r_hat"] == found["r_hat"].max()
    assert whole["ess_tail"] == found["ess_tail"].min()


def test_what_does_not_vary_is_left_out(draws):
    draws["constant"] = (("chain", "draw"), np.ones((4, 300)))
    assert np.isfinite(convergence(draws)["r_hat"])


def test_one_chain_says_nothing_of_convergence(draws):
    found = convergence(draws.isel(chain=[0]), keep=["sample"])
    assert {name: value.shape for name, value in found.items()} == {
        "r_hat": (3,),
        "ess_bulk": (3,),
        "ess_tail": (3,),
        "mcse": (3,),
    }
    assert np.isnan(found["r_hat"]).all()


def test_e_bfmi_is_two_for_independent_energies():
    """Independent energies change by twice their variance; a random walk by next to nothing."""
    rng = np.random.default_rng(2)
    independent = rng.normal(size=(5, 4, 20_000))
    assert e_bfmi(independent).shape == (5,)
    np.testing.assert_allclose(e_bfmi(independent), 2.0, atol=0.1)
    assert (e_bfmi(independent.cumsum(axis=-1)) < 0.01).all()


@pytest.mark.parametrize(
    ("measures", "words"),
    [
        ({"r_hat": 1.004, "ess_bulk": 900.0, "ess_tail": 500.0, "e_bfmi": 0.9}, []),
        ({"r_hat": 1.02}, ["R-hat 1.020 > 1.01"]),
        (
            {"r_hat": np.nan, "ess_bulk": np.nan},
            ["convergence cannot be assessed: needs at least two chains"],
        ),
        ({"ess_bulk": 100.0}, ["ess_bulk 100 < 400"]),
        ({"divergences": 3, "e_bfmi": 0.1}, ["3 divergences", "E-BFMI 0.10"]),
    ],
)
def test_findings_of_chains(measures, words):
    said = [str(finding) for finding in findings_of_chains(measures)]
    assert len(said) == len(words)
    assert all(start in line for start, line in zip(words, said, strict=True))
