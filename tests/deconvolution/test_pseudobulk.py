"""Intervals that are calibrated on pseudo-bulks of what the reference does not know."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.deconvolution.pseudobulk import _donors_out, _replicates_out
from bayesdecov.errors import InputError
from tests.options import of_deconvolve

LINEAGES = {"a": ["T"], "b": ["B"], "c": ["M"]}


@pytest.fixture(scope="module")
def tissue():
    return bd.simulate.tissue(60, 300, LINEAGES, replicates=5, donor_sd=0.5, seed=3)


@pytest.fixture(scope="module")
def reference(tissue):
    return bd.Reference.from_samples(
        tissue.purified, tissue.labels, "diagonal", genes=60, donors=tissue.donors
    )


def fit(tissue, reference, calibrate, method="laplace", **options):
    options |= {"max_pareto_k": np.inf} if method == "laplace" else {}
    return bd.deconvolve(
        tissue.bulk,
        reference,
        method,
        seed=1,
        platform="same",
        calibrate=calibrate,
        **of_deconvolve(options),
    )


def coverage(found, tissue):
    table = found.intervals()
    truth = tissue.proportions[found.proportions.columns].stack().to_numpy()
    return ((table["low"] < truth) & (truth < table["high"])).mean()


def test_intervals_hold_what_they_say(tissue, reference):
    plain, calibrated = fit(tissue, reference, False), fit(tissue, reference, True)
    facts = calibrated.facts
    assert coverage(plain, tissue) < 0.92
    assert coverage(calibrated, tissue) > coverage(plain, tissue) + 0.03
    assert 1.05 < facts["inflation"] < 3
    assert facts["coverage_before"] < 0.93
    assert facts["coverage_after"] == pytest.approx(0.95, abs=0.01)
    assert any("intervals were widened" in note for note in calibrated.notes)
    wider = calibrated.intervals()["sd"].mean() / plain.intervals()["sd"].mean()
    assert wider == pytest.approx(facts["inflation"], rel=0.15)
    assert calibrated.model.power == pytest.approx(facts["inflation"] ** -2)
    again = fit(tissue, reference, True)
    pd.testing.assert_frame_equal(again.proportions, calibrated.proportions)


def test_wald_intervals_widen_and_the_estimate_stays(tissue, reference):
    plain, calibrated = (fit(tissue, reference, how, "map") for how in (False, True))
    np.testing.assert_allclose(plain.proportions, calibrated.proportions, atol=1e-4)
    ratio = calibrated.intervals()["sd"] / plain.intervals()["sd"]
    np.testing.assert_allclose(ratio, calibrated.facts["inflation"], rtol=1e-3)


@pytest.mark.filterwarnings("ignore:purified. 60 replicates of a cell type look like single cells")
def test_a_normal_law_with_many_replicates_is_left_alone():
    data = bd.simulate.convolution(n_samples=20, n_genes=60, n_types=3, replicates=60, seed=2)
    reference = bd.Reference.from_samples(data.purified, data.labels, "factor", genes=None)
    found = bd.deconvolve(data.bulk, reference, "map", calibrate=True, seed=1)
    assert found.facts["inflation"] < 1.25


def test_the_same_density_in_pymc(tissue, reference, python_mode):
    """The bulks' log-density and what calibration adds are a power of the likelihood."""
    import pymc as pm
    import pytensor

    few = bd.deconvolve(tissue.bulk.iloc[:, :2], reference, "map", calibrate=True, seed=1)
    model = few.to_pymc()
    assert [each.name for each in model.potentials] == ["calibration"]
    observed = pm.logp(model["bulk"], few.bulk.T.to_numpy()).sum()
    values = [few.proportions.to_numpy(), *(few.unit[None] if few.model.free_size else [])]
    evaluate = pytensor.function(model.free_RVs, [observed, model.potentials[0]], mode=python_mode)
    plain, added = evaluate(*values)
    assert added == pytest.approx((few.model.power - 1) * plain, rel=1e-12)


def test_what_is_left_out():
    rng = np.random.default_rng(0)
    codes = np.repeat([0, 1], [4, 3])
    outs = _replicates_out(codes, ["x", "y"], rng)
    assert len(outs) == 4
    assert all((codes[out] == [0, 1]).all() for out, _ in outs)
    assert {int(out[0]) for out, _ in outs} == set(range(4))
    donors = pd.Series(["a", "b", "c", "d", "a", "b", "c"])
    whole = _donors_out(donors, codes, rng)
    assert {donors[out[0]] for out, _ in whole} == {"a", "b", "c"}
    for out, gone in whole:
        assert len(set(donors[gone])) == 1
        assert set(out) <= set(gone)
    assert _donors_out(donors.replace("c", "e").where(codes == 0, "z"), codes, rng) is None


@pytest.mark.filterwarnings("ignore::bayesdecov.errors.BayesdecovWarning")
def test_what_is_refused(tissue, reference):
    signature = bd.Reference.from_signature(reference.mean)
    with pytest.raises(InputError, match="made from replicates of purified samples"):
        fit(tissue, signature, True)
    with pytest.raises(InputError, match="is not an option of method='nnls'"):
        bd.deconvolve(tissue.bulk, reference, "nnls", calibrate=True)
    few = tissue.purified.iloc[:, [0, 1, 5, 6, 10, 11]]
    small = bd.Reference.from_samples(few, tissue.labels[few.columns], "diagonal", genes=60)
    with pytest.raises(InputError, match="needs at least 3 replicates of every cell type"):
        fit(tissue, small, True)
    with pytest.raises(InputError, match="every purified sample needs a donor"):
        bd.Reference.from_samples(
            tissue.purified, tissue.labels, "diagonal", donors=tissue.donors.iloc[1:]
        )


def test_donors_are_saved(reference, tmp_path):
    reference.save(tmp_path / "r.nc")
    pd.testing.assert_series_equal(
        bd.Reference.load(tmp_path / "r.nc").donors, reference.donors, check_index_type=False
    )
