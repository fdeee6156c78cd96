"""What the doctor says is what the model then does."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.doctor import examine_bulk, examine_cohort
from bayesdecov.doctor.bulk import detectable_difference
from bayesdecov.errors import InputError
from tests.test_cli import run


@pytest.fixture(scope="module")
def tissue():
    """T1 and T2 are nearly the same; B is not."""
    return bd.simulate.tissue(
        30, 400, {"T": ["T1", "T2"], "B": ["B"]}, sibling_fold=1.3, donor_sd=0.25, seed=2
    )


@pytest.fixture(scope="module")
def reference(tissue):
    return bd.Reference.from_samples(tissue.purified, tissue.labels, "diagonal", genes=80)


@pytest.fixture(scope="module")
def found(tissue, reference):
    return examine_bulk(tissue.bulk, reference)


def test_confused_types_are_named(found):
    pairs = found.sections["Pairs of cell types, the hardest first"]
    assert pairs.index[0] == "T1 - T2"
    assert pairs.iloc[0]["error_correlation"] < -0.8
    assert pairs.iloc[0]["smallest_exchange"] > 1.4 * pairs.iloc[-1]["smallest_exchange"]
    assert "T1 - T2" in found.verdict[0]
    assert "merge" in found.verdict[0]


def test_errors_of_a_typical_bulk_are_those_of_a_fit(found, tissue, reference):
    fit = bd.deconvolve(tissue.bulk, reference, platform=bd.Elsewhere(level_sd=0))
    sd = fit.intervals().groupby("cell_type")["sd"].median()
    said = found.sections["Cell types"]["sd_of_a_bulk"]
    np.testing.assert_allclose(said / sd.loc[said.index], 1, atol=0.5)


def test_the_smallest_proportion_is_seen_four_times_in_five():
    """On bulks of the fitted law: false alarms and power as said."""
    from bayesdecov.deconvolution.fit import maximum_a_posteriori
    from bayesdecov.deconvolution.prepare import prepare
    from bayesdecov.doctor.bulk import LEVEL, _simulated, _typical, _with

    data = bd.simulate.convolution(n_samples=20, n_genes=60, n_types=3, seed=2)
    reference = bd.Reference.from_samples(data.purified, data.labels, "diagonal", genes=None)
    said = examine_bulk(data.bulk, reference).sections["Cell types"]["smallest_proportion"]
    prepared = prepare(data.bulk, reference, platform="same")
    model = prepared.model
    rng = np.random.default_rng(5)
    fitted = maximum_a_posteriori(model, prepared.data)
    at = _typical(model, fitted, prepared.data.unit, rng)
    for j, name in enumerate(reference.cell_types):
        null, there = (
            _simulated(model, np.tile(_with(at.p, j, share), (500, 1)), at, rng).p[:, j]
            for share in (0.0, said[name])
        )
        power = (there > np.quantile(null, 1 - LEVEL)).mean()
        assert 0.62 < power < 0.93  # thresholds are from 400 bulks, powers from 100


def test_the_smallest_difference_is_a_t_test(found):
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(1)
    effect = detectable_difference(30)
    y = rng.normal(size=(2000, 30))
    y[:, :15] += effect
    power = (ttest_ind(y[:, :15], y[:, 15:], axis=1).pvalue < 0.05).mean()
    assert power == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / 2000))
    assert np.isnan(detectable_difference(3))


@pytest.mark.filterwarnings("ignore::bayesdecov.errors.BayesdecovWarning")
def test_a_cohort():
    rng = np.random.default_rng(0)
    cohort = bd.simulate.fastmix(
        "III", n_genes=800, n_samples=60, proportions="dirichlet", error_sd=0.06, seed=3
    )
    found = examine_cohort(cohort.measured, cohort.covariates, standard_errors=0.06)
    columns = found.sections["Design columns"]
    plain = bd.fastmix(cohort.expression, cohort.measured.clip(lower=0), cohort.covariates)
    np.testing.assert_allclose(
        columns["vif"].sort_index(), plain.design.columns["vif"].sort_index(), rtol=0.2
    )
    name = "Cell2.Group"
    ls = plain.least_squares
    b = ls.b[:, list(plain.design.table.columns).index(name)]
    slope = np.polyfit(cohort.effects[name], b, 1)[0]
    assert columns.loc[name, "left_of_effect"] == pytest.approx(slope, abs=0.1)
    assert "use method='joint'" in str(found)
    types = found.sections["Cell types"]
    assert (types["reliability"] < 0.95).all()
    unknown = examine_cohort(cohort.proportions, cohort.covariates)
    assert any("The errors of the proportions are unknown" in each for each in unknown.verdict)
    strange = pd.DataFrame({"x": rng.normal(size=3)}, ["a", "b", "c"])
    with pytest.raises(InputError, match="must share sample names"):
        examine_cohort(cohort.proportions, strange)


@pytest.mark.filterwarnings("ignore::bayesdecov.errors.BayesdecovWarning")
def test_command(tissue, reference, tmp_path):
    tissue.bulk.to_csv(tmp_path / "bulk.csv")
    reference.save(tmp_path / "reference.nc")
    result = run(
        "doctor",
        tmp_path / "bulk.csv",
        "--reference",
        tmp_path / "reference.nc",
        "--out",
        tmp_path / "verdict",
    )
    assert "Verdict" in result.output
    assert "T1 - T2" in (tmp_path / "verdict" / "verdict.txt").read_text()
    record = json.loads((tmp_path / "verdict" / "run.json").read_text())
    assert record["command"] == "doctor"
    assert set(record["inputs"]) == {"bulk", "reference"}
    assert len(pd.read_csv(tmp_path / "verdict" / "cell_types.csv")) == 3
    tissue.proportions.to_csv(tmp_path / "p.csv")
    table = pd.DataFrame({"group": ["a", "b"] * 15}, tissue.proportions.index)
    table.to_csv(tmp_path / "c.csv", index_label="sample")
    result = run(
        "doctor",
        "--proportions",
        tmp_path / "p.csv",
        "--covariates",
        tmp_path / "c.csv",
        "--standard-errors",
        "0.03",
    )
    assert "Design columns" in result.output
    bad = run("doctor", tmp_path / "bulk.csv", expect=2)
    assert "must be BULK with --reference" in bad.output
    bad = run(
        "doctor",
        tmp_path / "bulk.csv",
        "--reference",
        tmp_path / "reference.nc",
        "--rest",
        "x",
        expect=2,
    )
    assert "must be used together with --proportions" in bad.output
