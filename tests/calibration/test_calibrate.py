"""Simulate, fit, compare with the truth: short runs here, long ones are marked."""

from __future__ import annotations

import numpy as np
import pytest

import bayesdecov as bd
from bayesdecov.calibration import calibrate
from bayesdecov.errors import InputError
from tests.options import of_deconvolve


def test_laplace():
    found = calibrate(method="laplace", simulations=80, n_types=3, n_genes=20, seed=1)
    assert found.ranks.shape == (80, 3)
    assert found.ranks.to_numpy().max() <= 99
    assert found.uniform["uniform"].all()
    mean = found.coverage[found.coverage["level"] == 0.9]["coverage"].mean()
    assert abs(mean - 0.9) < 4 * np.sqrt(0.9 * 0.1 / 80)
    assert "80 simulations" in str(found)
    assert bd.plots.calibration(found) is not None


def test_the_same_seed_gives_the_same_ranks():
    one, two = (calibrate(simulations=10, n_types=2, n_genes=8, seed=3) for _ in range(2))
    assert one.ranks.equals(two.ranks)


def test_map_has_coverage_only():
    found = calibrate(method="map", simulations=60, n_types=2, n_genes=10, df=6.0, seed=1)
    assert found.ranks is None
    assert set(found.coverage["level"]) == {0.5, 0.8, 0.9, 0.95}


def test_a_reference_of_ones_own(tmp_path):
    cohort = bd.simulate.convolution(n_samples=2, n_genes=30, n_types=3, depth=1e5, seed=1)
    made = bd.Reference.from_samples(cohort.purified, cohort.labels, "shrinkage", genes=20)
    made.save(tmp_path / "reference.nc")
    found = calibrate(simulations=20, reference=tmp_path / "reference.nc", seed=1)
    assert list(found.ranks.columns) == ["type1", "type2", "type3"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "gates"}, "model: must be one of"),
        ({"method": "nnls"}, "method: must be one of"),
        ({"model": "effects"}, "must be 'nuts', without"),
        ({"simulations": 1}, "simulations: must be"),
        ({"draws": 10}, "draws: must be"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        calibrate(**of_deconvolve(options))


@pytest.mark.calibration
@pytest.mark.parametrize(
    "options",
    [{"method": "laplace"}, {"method": "nuts"}, {"method": "nuts", "df": 5.0},
     {"method": "nuts", "model": "effects", "n_genes": 500}],
    ids=["laplace", "nuts", "nuts, t", "effects"],
)  # fmt: skip
def test_ranks_are_uniform_nightly(options):
    found = calibrate(simulations=200, seed=4, **of_deconvolve(options))
    assert found.uniform["uniform"].all()
    mean = found.coverage[found.coverage["level"] == 0.95]["coverage"].mean()
    assert 0.93 < mean < 0.97
