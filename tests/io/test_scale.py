"""The scale detector, counts per million, and the value of one count."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning, InputError, Notes
from bayesdecov.io.scale import Scale, counting_unit, detect_scale, per_million, require_linear


def _cohort(**options):
    return bd.simulate.convolution(n_genes=400, n_samples=6, n_types=3, seed=3, **options)


def test_scales_are_told_apart():
    counts = _cohort(depth=1e5).bulk
    tpm, _ = per_million(_cohort().bulk)
    assert detect_scale(counts).kind == "counts"
    assert detect_scale(tpm).kind == "per million"
    assert detect_scale(_cohort().bulk).kind == "linear"
    for logged in (np.log2(tpm + 1), np.log1p(tpm / 100), np.log10(tpm + 1), np.log2(counts + 1)):
        assert detect_scale(logged).kind == "log"


def test_rounded_cpm_is_not_counts_and_shallow_counts_are():
    rounded = per_million(_cohort(depth=3e3).bulk)[0].round()
    assert detect_scale(rounded).kind == "per million"
    assert detect_scale(_cohort(depth=500).bulk).kind == "counts"


def test_small_tables_are_never_called_logarithms():
    assert detect_scale(pd.DataFrame({"s": [20.5, 22.1]}, ["a", "b"])).kind == "linear"


def test_logs_are_refused_unless_insisted_upon():
    logged = detect_scale(np.log2(per_million(_cohort().bulk)[0] + 1))
    with pytest.raises(InputError, match="2\\*\\*table - 1"):
        require_linear(logged, "bulk", Notes(), assume_linear=False)
    with pytest.warns(BayesdecovWarning, match="treated as linear"):
        assert require_linear(logged, "bulk", Notes(), assume_linear=True).kind == "linear"


def test_one_count_is_found_in_normalised_counts():
    counts = _cohort(depth=5e4).bulk
    scaled, totals = per_million(counts)
    np.testing.assert_allclose(counting_unit(scaled), 1e6 / totals, rtol=1e-9)
    assert counting_unit(_cohort().bulk).isna().all()


def test_the_order_of_genes_and_samples_is_irrelevant_to_the_scale():
    rng = np.random.default_rng(0)
    for table in (_cohort(depth=1e5).bulk, _cohort().bulk, np.log2(_cohort().bulk + 1)):
        shuffled = table.iloc[rng.permutation(400), rng.permutation(6)]
        assert detect_scale(shuffled) == detect_scale(table)
        units = counting_unit(table)
        pd.testing.assert_series_equal(counting_unit(shuffled)[units.index], units)


def test_counts_per_million_are_of_the_chosen_genes():
    counts = pd.DataFrame({"a": [1, 3, 6], "b": [0, 5, 5]}, list("xyz"))
    scaled, totals = per_million(counts)
    assert totals.tolist() == [10, 10]
    np.testing.assert_allclose(scaled, counts * 1e5)
    scaled, totals = per_million(counts, pd.Index(["x", "y"]))
    assert totals.tolist() == [4, 5]
    np.testing.assert_allclose(scaled["a"], [250_000, 750_000, 1_500_000])


@pytest.mark.parametrize("unit", [0.37, 12.5, 1e-7 * np.pi, 3e5])
def test_one_count_is_found_whatever_its_value_but_for_powers_of_ten(unit):
    counts = np.r_[0, 1, 2, np.random.default_rng(1).poisson(60, 300)]
    found = counting_unit(pd.DataFrame({"s": counts * unit, "few": (counts % 7) * unit}))
    assert found["s"] == pytest.approx(unit, rel=1e-9)
    assert np.isnan(found["few"])  # seven values show nothing
    assert np.isnan(counting_unit(pd.DataFrame({"s": counts * 0.01}))["s"])


def test_linear_scales_pass_as_they_are():
    for kind in ("counts", "per million", "linear"):
        scale = Scale(kind, "")
        assert require_linear(scale, "bulk", Notes(), assume_linear=False) is scale
