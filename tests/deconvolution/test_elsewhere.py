"""A foreign reference: proportions held, what samples share said, parts as the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.algebra.simplex import shift_log_ratios
from bayesdecov.deconvolution.elsewhere import MOST, spread_over
from bayesdecov.errors import InputError


def foreign(tau, n=14, seed=0):
    """Bulks whose genes differ by factors from those of the reference, in counts."""
    rng = np.random.default_rng(seed)
    data = bd.simulate.tissue(n, 600, replicates=4, seed=seed)
    factors = np.exp(tau * rng.normal(size=len(data.bulk)))
    rate = data.bulk.mul(factors, axis=0)
    counts = rng.poisson(rate / rate.sum() * rng.uniform(2e6, 4e6, n)).astype(float)
    bulk = pd.DataFrame(counts, data.bulk.index, data.bulk.columns)
    reference = bd.Reference.from_samples(data.purified, data.labels, "diagonal", genes=200)
    return bulk, reference, data.proportions[reference.cell_types]


def rmse(fit, truth):
    return float(np.sqrt(np.square(fit.proportions - truth).to_numpy().mean()))


@pytest.fixture(scope="module")
def case():
    return foreign(0.7)


@pytest.fixture(scope="module")
def fit(case):
    return bd.deconvolve(case[0], case[1], "laplace", seed=1)


def test_a_foreign_reference_is_less_wrong_and_says_how_wrong(case, fit):
    bulk, reference, truth = case
    same = bd.deconvolve(bulk, reference, platform="same")
    assert rmse(fit, truth) < 0.5 * rmse(same, truth)
    table = fit.intervals()
    held = (table["low"].to_numpy() <= truth.to_numpy().ravel()) & (
        truth.to_numpy().ravel() <= table["high"].to_numpy()
    )
    assert held.mean() > 0.8
    assert (table["shared"] <= table["sd"]).all()
    assert table["shared"].median() > 0.5 * table["sd"].median()
    assert fit.settings["platform"] == "elsewhere"
    assert fit.settings["prior"] == "jeffreys"
    assert fit.diagnostics["verdict"].str.contains("levels uncertain").all()
    assert any("that all samples share" in note for note in fit.notes)


def test_differences_are_sharper_than_levels(fit):
    drawn = fit.draws.pooled
    level = drawn.std(axis=1).mean()
    difference = (drawn[0] - drawn[1:]).std(axis=1).mean()
    assert difference < level


def test_shifts_of_genes_are_a_table(case, fit):
    shifts = fit.gene_shifts
    assert list(shifts.columns) == ["shift", "sd", "kept", "weight"]
    assert list(shifts.index) == list(fit.reference.genes)
    assert shifts["shift"].std() * np.log(2) == pytest.approx(0.7, rel=0.3)
    home = bd.deconvolve(case[0], case[1], platform="same")
    assert home.gene_shifts.empty


def test_methods_agree(case, fit):
    found = bd.deconvolve(case[0], case[1])
    assert np.abs(found.proportions - fit.proportions).to_numpy().max() < 0.06
    sd = found.intervals()["sd"] / fit.intervals()["sd"]
    assert 0.7 < sd.median() < 1.4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:NUTS:bayesdecov.errors.BayesdecovWarning")
def test_nuts_samples_the_same_posterior(case, fit):
    few = case[0].iloc[:, :4]
    sampling = bd.Sampling(draws=400, chains=4)
    found = bd.deconvolve(few, case[1], "nuts", seed=1, sampling=sampling)
    laplace = bd.deconvolve(few, case[1], "laplace", seed=1)
    sd = laplace.intervals()["sd"].to_numpy().reshape(laplace.proportions.shape)
    assert (np.abs(found.proportions - laplace.proportions) < 0.25 * sd + 0.003).to_numpy().all()


def test_one_sample_learns_the_scatter_alone(case):
    bulk, reference, _ = case
    known = bd.Elsewhere(level_sd=0)
    found = bd.deconvolve(bulk.iloc[:, :1], reference, "laplace", seed=1, platform=known)
    assert found.model.platform.level is None
    assert (found.intervals()["shared"] == 0).all()
    assert "levels unknown" in found.diagnostics["verdict"].iloc[0]


@pytest.mark.filterwarnings("ignore:the bulk is counts:bayesdecov.errors.BayesdecovWarning")
def test_a_signature_and_single_replicates_give_the_same():
    bulk, reference, truth = foreign(0.5, seed=2)
    mean = reference.mean
    signature = bd.Reference.from_signature(mean)
    with pytest.warns(bd.errors.BayesdecovWarning, match="one replicate"):
        single = bd.Reference.from_samples(mean, pd.Series(mean.columns, mean.columns), genes=None)
    found = [bd.deconvolve(bulk.loc[mean.index], each) for each in (signature, single)]
    errors = [rmse(each, truth) for each in found]
    assert errors[0] == pytest.approx(errors[1], rel=0.02)


def test_a_stranger_does_not_spoil_the_others():
    bulk, reference, truth = foreign(0.3, seed=3)
    clean = rmse(bd.deconvolve(bulk, reference), truth)
    rng = np.random.default_rng(0)
    strange = bulk.assign(bulk003=rng.permutation(bulk["bulk003"].to_numpy()))
    with pytest.warns(bd.errors.BayesdecovWarning, match="do not look like a mixture.*bulk003"):
        found = bd.deconvolve(strange, reference)
    others = bulk.columns != "bulk003"
    error = np.sqrt(np.square((found.proportions - truth)[others]).to_numpy().mean())
    assert error < 1.3 * clean


def test_options_of_one_platform_choose_it(case):
    bulk, reference, _ = case
    for options in ({"noise": "counting"}, {"df": 4.0}, {"size_factor": "fixed"},
                    {"prior": "normal"}):  # fmt: skip
        assert bd.deconvolve(bulk, reference, **options).settings["platform"] == "same"
    assert bd.deconvolve(bulk, reference, "nnls").settings["platform"] == "same"


@pytest.mark.parametrize(
    "options", [{"other": True}, {"calibrate": True}, {"method": "nnls"}, {"prior": "decovart"}]
)
def test_what_cannot_be_combined_is_said(case, options):
    with pytest.raises(InputError, match=r"cannot (be|have)"):
        bd.deconvolve(case[0], case[1], platform="elsewhere", **options)


def test_positions_are_spread_evenly():
    np.testing.assert_array_equal(spread_over(5), np.arange(5))
    found = spread_over(10_000)
    assert len(found) == MOST
    assert (found[0], found[-1]) == (0, 9_999)
    assert np.ptp(np.diff(found)) <= 1


@pytest.mark.filterwarnings("ignore:.*draw more:bayesdecov.errors.BayesdecovWarning")
def test_a_contrast_is_free_of_what_samples_share(fit):
    groups = pd.DataFrame({"group": ["a", "b"] * 7}, index=fit.proportions.index)
    large = np.concatenate([fit.shared_shift, -fit.shared_shift]) * 3
    more = replace(fit, shared_shift=large, draws=_moved(fit, large))
    few = bd.Sampling(draws=250, tune=100)
    narrow, wide = (bd.contrast(each, groups, seed=1, sampling=few).table for each in (fit, more))
    ratio = (wide["sd"] / narrow["sd"]).median()
    assert ratio < 1.3  # three times the shared error
    assert (more.intervals()["sd"] / fit.intervals()["sd"]).median() > 1.6


def _moved(fit, shift):
    own = shift_log_ratios(fit.draws.proportions, -fit.shared_shift)
    return fit.draws._replace(proportions=shift_log_ratios(own, shift))


def test_predictions_and_leave_one_out(fit):
    groups = fit.to_inference_data()
    assert np.isfinite(groups["posterior_predictive"]["bulk"].to_numpy()).all()
    loo = fit.loo()
    assert np.isfinite(loo["elpd"]).all()
    absorbed = fit.leave_one_type_out()
    np.testing.assert_allclose(absorbed.groupby("left_out")["absorbed"].sum(), 1, atol=0.05)


def test_what_cell_types_yield_widens_levels_and_not_differences(case, fit):
    bulk, reference, _ = case
    given = bd.deconvolve(bulk, reference, "laplace", seed=1, platform=bd.Elsewhere(level_sd=0))
    assert (fit.settings["level_sd"], given.settings["level_sd"]) == (0.2, 0.0)
    p = fit.proportions.to_numpy()
    of_yields = 0.2 * p * np.sqrt(1 - 2 * p + np.square(p).sum(axis=1, keepdims=True))
    variance = fit.shared_covariance() - given.shared_covariance()
    found = np.einsum("njj->nj", variance)
    assert found.mean() == pytest.approx(np.square(of_yields).mean(), rel=0.3)  # 400 draws
    assert (fit.diagnostics["platform_sd"] < fit.diagnostics["shared_sd"]).all()

    def width(each, i=0, j=1):
        own = each.posterior_draws().p
        odds = [np.log(own[k, :, 0] / own[k, :, 1]) for k in (i, j)]
        return np.std(odds[0]), np.std(odds[0] - odds[1])

    assert width(fit)[0] > 1.02 * width(given)[0]
    assert width(fit)[1] == pytest.approx(width(given)[1], rel=0.02)


def test_one_sample_has_what_its_cell_types_yield(case):
    bulk, reference, _ = case
    for sd in (0.0, 0.3):
        one = bd.deconvolve(bulk.iloc[:, :1], reference, "map", platform=bd.Elsewhere(level_sd=sd))
        assert bool((one.intervals()["shared"] > 0).any()) == (sd > 0)


@pytest.mark.parametrize("wrong", [-0.1, np.inf, "wide"])
def test_a_wrong_level_sd_is_refused(case, wrong):
    with pytest.raises(InputError, match=r"^level_sd: must be a log-sd, 0"):
        bd.deconvolve(case[0], case[1], platform=bd.Elsewhere(level_sd=wrong))
    with pytest.raises(InputError, match=r"Elsewhere\(level_sd="):
        bd.deconvolve(case[0], case[1], level_sd=0.1)
