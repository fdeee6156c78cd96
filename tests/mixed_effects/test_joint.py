"""Proportions with errors: what the joint model brings back, what it says of itself."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning, InputError, Notes
from bayesdecov.mixed_effects.hidden import effective_genes
from bayesdecov.mixed_effects.joint import fit_joint
from bayesdecov.mixed_effects.latent import anchors, cohort_distribution, refine, uncertainty
from bayesdecov.mixed_effects.prepare import prepare
from bayesdecov.mixed_effects.uncertain import Uncertain, uncertain
from tests.options import of_fastmix
from tests.test_cli import run

SD = 0.08


def simulated(**options):
    given = {
        "n_genes": 1200,
        "n_samples": 50,
        "proportions": "dirichlet",
        "error_sd": SD,
        "seed": 2,
    } | options
    return bd.simulate.fastmix("III", **given)


def fit(data, method="joint", **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesdecovWarning)
        return bd.fastmix(
            data.expression, data.measured, data.covariates, method, **of_fastmix(options)
        )


def error(de, data):
    return float(np.sqrt(np.square(de.effects.to_numpy() - data.effects.to_numpy()).mean()))


def off(proportions, data):
    return float(np.sqrt(np.square(proportions - data.proportions).to_numpy().mean()))


@pytest.fixture(scope="module")
def data():
    return simulated()


@pytest.fixture(scope="module")
def joint(data):
    return fit(data, standard_errors=SD)


@pytest.fixture(scope="module")
def oracle(data):
    return bd.fastmix(data.expression, data.proportions, data.covariates, "mixture")


def test_effects_are_nearly_those_of_the_true_proportions(data, joint, oracle):
    assert error(joint, data) < 1.15 * error(oracle, data)
    assert error(fit(data, "mixture", standard_errors=SD), data) > 1.4 * error(oracle, data)
    e, truth = joint.estimate, data.effects.to_numpy()
    inside = ((e.low < truth) & (truth < e.high)).mean()
    assert 0.93 < inside < 0.965
    assert set(joint.facts["components"]) == {"Cell1.Group", "Cell2.Group"}


def test_refined_proportions_are_sharper_and_know_by_how_much(data, joint):
    assert off(joint.refined.proportions, data) < 0.4 * off(data.measured, data)
    table = joint.refined.intervals()
    truth = data.proportions.stack().to_numpy()
    inside = ((table["low"] < truth) & (truth < table["high"])).mean()
    assert inside > 0.85  # what is left is one linear map of 9 numbers: no 150 separate errors
    assert joint.facts["error_scale"] * SD == pytest.approx(off(data.measured, data), rel=0.1)
    np.testing.assert_allclose(
        joint.design.table["Cell1"], joint.refined.proportions["Cell1"], atol=0.05
    )


def test_errors_that_are_not_there_do_no_harm(oracle):
    exact = simulated(error_sd=0.0)
    joint = fit(exact, standard_errors=0.05)
    assert joint.facts["error_scale"] < 0.1
    assert error(joint, exact) < 1.01 * error(oracle, exact)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_misstated_errors_are_found_out(factor, data, joint):
    other = fit(data, standard_errors=factor * SD)
    scale = joint.facts["error_scale"] / factor
    assert other.facts["error_scale"] == pytest.approx(scale, rel=0.02)
    np.testing.assert_allclose(other.effects, joint.effects, atol=0.02)


@pytest.mark.filterwarnings("ignore:proportions add up to more than 1")
def test_errors_that_all_samples_share_are_in_the_intervals():
    """What cell types yield scales their proportions alike in all samples."""
    held, sure = [], []
    for seed in range(3):
        data = simulated(n_genes=600, error_sd=0.02, seed=seed)
        rng = np.random.default_rng(seed)
        n, k = data.measured.shape
        measured = data.measured * np.exp(rng.normal(0, 0.4, k))
        errors = np.broadcast_to(0.02**2 * np.eye(k), (n, k, k))
        moves = measured.to_numpy() * (np.exp(rng.normal(0, 0.4, (400, 1, k))) - 1)
        chosen = dict.fromkeys(("formula", "rest", "reference_cell_type", "random", "weights"))
        problem = prepare(
            data.expression,
            measured,
            data.covariates,
            **chosen,
            include_covariates="auto",
            standardise=True,
            subject=None,
            notes=Notes(),
            unsure=True,
        )
        for shared in (None, moves):
            e = fit_joint(problem, errors, 0.0, "shared", Notes(), rng, shared=shared).estimate
            truth = data.effects.to_numpy()
            held.append(((e.low < truth) & (truth < e.high)).mean())
            sure.append((e.lfsr < 0.05).mean())
    without, within = np.array(held).reshape(-1, 2).mean(axis=0)
    assert without < 0.9 < within
    np.testing.assert_allclose(sure[::2], sure[1::2], atol=0.01)


@pytest.mark.slow
def test_hidden_factors_do_not_become_proportions():
    data = simulated(hidden=3, n_samples=100)
    joint = fit(data, standard_errors=SD)
    assert joint.facts["hidden_factors"] >= 3
    assert off(joint.refined.proportions, data) < 0.3 * off(data.measured, data)
    oracle = bd.fastmix(data.expression, data.proportions, data.covariates, "mixture")
    assert error(joint, data) < 0.8 * error(oracle, data)  # which takes them for noise


def test_expression_about_something_else_is_not_believed(data):
    rng = np.random.default_rng(0)
    noise = pd.DataFrame(
        rng.normal(size=data.expression.shape) ** 2, data.expression.index, data.expression.columns
    )
    strange = SimpleNamespace(expression=noise, measured=data.measured, covariates=data.covariates)
    de = fit(strange, standard_errors=SD)
    assert off(de.refined.proportions, data) < off(data.measured, data)


def test_calibration_undoes_the_shrinkage(data):
    x = data.effects["Cell2.Group"]
    both = [fit(data, "moments", standard_errors=SD, errors=how) for how in ("ignore", "calibrate")]
    slope = [np.polyfit(x, de.effects["Cell2.Group"], 1)[0] for de in both]
    assert slope[0] < 0.65
    assert slope[1] > slope[0] + 0.1
    assert any("expectation given the measured ones" in note for note in both[1].notes)


@pytest.mark.slow
def test_rest_and_blocks_and_weights(data, monkeypatch):
    """A measured rest, cohorts in blocks, and a known covariance of the samples."""
    rest = fit(data, standard_errors=SD, rest="other")
    assert rest.refined.proportions.shape == (50, 3)
    import bayesdecov.mixed_effects.refinement as rooms

    monkeypatch.setattr(rooms, "_LATENT", 80)
    blocks = fit(data, standard_errors=SD)
    assert off(blocks.refined.proportions, data) < 0.6 * off(data.measured, data)
    monkeypatch.undo()
    C = 0.3 * np.ones((50, 50)) + 0.7 * np.eye(50)
    weighted = fit(data, standard_errors=SD, weights=C)
    assert off(weighted.refined.proportions, data) < 0.4 * off(data.measured, data)


def test_lifts_are_the_designs_derivative(data):
    for options in ({}, {"rest": "other"}, {"rest": "Cell3"}, {"reference_cell_type": "Cell1"}):
        clipped = data.measured.clip(lower=0.01, upper=0.3)
        de = bd.fastmix(data.expression, clipped, data.covariates, "map", **of_fastmix(options))
        coded = de.design.coding.apply(data.covariates)
        lifts = de.design.lifts(coded)
        moved = clipped + 0.001 * np.arange(3)
        step = de.design.encode(moved, data.covariates) - de.design.table
        np.testing.assert_allclose(step, lifts @ (0.001 * np.arange(3)), atol=1e-12)


def test_cohort_distribution_is_maximum_likelihood():
    """Without covariates: the mean, and the variance beyond the errors'."""
    rng = np.random.default_rng(1)
    F = rng.normal([0.3, 0.5], [0.1, 0.05], (400, 2))
    noisy = F + 0.05 * rng.normal(size=F.shape)
    known = anchors(
        noisy,
        np.tile(0.05**2 * np.eye(2), (400, 1, 1)),
        np.zeros((400, 1, 2)),
        np.zeros((400, 1)),
        np.zeros((400, 0)),
    )
    law = cohort_distribution(known)
    spread = known.directions @ law.spread @ known.directions.T
    np.testing.assert_allclose(spread, np.cov(noisy.T, ddof=0) - 0.05**2 * np.eye(2), atol=1e-5)
    slopes = [np.polyfit((law.phi @ known.directions.T)[:, j], F[:, j], 1)[0] for j in range(2)]
    np.testing.assert_allclose(slopes, 1, atol=0.1)


def test_the_maximum_is_one(data, joint):
    """The gradient is zero there, and the covariance that of the curvature."""
    known, seen, found = joint.sharpened
    start = cohort_distribution(known)._replace(phi=found.phi, scale2=found.scale**2)
    at = refine(known, seen, start)
    assert at.converged
    np.testing.assert_allclose(at.phi, found.phi, atol=0.1 * SD)
    covariance = uncertainty(known, seen, at)
    assert np.linalg.eigvalsh(covariance)[0] > 0
    error = np.sqrt(np.diag(covariance)).mean()
    assert 0.1 * SD < error < SD


def test_genes_that_move_together_are_worth_fewer():
    rng = np.random.default_rng(0)
    X, L = rng.normal(size=(40, 5)), rng.normal(size=(600, 3))
    loose = rng.normal(size=(600, 40))
    tight = loose + L @ rng.normal(size=(3, 40))  # in every sample its own way
    assert effective_genes(X, loose, np.eye(40)) > 500
    # 3 directions of variance 1 in every gene beside 1 of its own: correlations 3/4 of sqrt(1/3)
    assert 1.0 < effective_genes(X, tight, np.eye(40)) < 12


def test_a_bootstrap_and_a_fit_of_effects(data, joint):
    from bayesdecov.errors import Notes

    tissue = bd.simulate.tissue(6, 100, {"a": ["T"], "b": ["B"]}, seed=1)
    reference = bd.Reference.from_samples(tissue.purified, tissue.labels, "diagonal", genes=30)
    boot = bd.deconvolve(tissue.bulk, reference, "nnls", seed=1, sampling=bd.Sampling(bootstrap=20))
    assert uncertain(boot, None, Notes(), needed=True).covariance.shape == (6, 2, 2)
    with pytest.raises(InputError, match="must be a pandas DataFrame"):
        fit(SimpleNamespace(expression=data.expression, measured=joint, covariates=data.covariates))


def drawn(sd=0.02, n=6):
    """A container of draws of three cell types that add up to 1."""
    import xarray as xr

    rng = np.random.default_rng(0)
    p = rng.dirichlet([40, 30, 30], (2, 300, n))
    posterior = xr.Dataset(
        {"proportions": (("chain", "draw", "sample", "cell_type"), p)},
        coords={"sample": [f"s{i}" for i in range(n)], "cell_type": list("abc")},
    )
    return xr.DataTree.from_dict({"/posterior": posterior}), p


def test_a_posterior_is_read_as_mean_and_covariance():
    from bayesdecov.errors import Notes

    tree, p = drawn()
    found = uncertain(tree, None, Notes(), needed=True)
    np.testing.assert_allclose(found.table, p.mean(axis=(0, 1)))
    one = p[:, :, 2].reshape(-1, 3)
    np.testing.assert_allclose(found.covariance[2], np.cov(one.T, ddof=0), atol=1e-12)
    order = found.table.iloc[::-1, [2, 0, 1]]
    aligned = found.aligned(order)
    np.testing.assert_allclose(aligned[0], found.covariance[5][[2, 0, 1]][:, [2, 0, 1]])


def test_standard_errors_of_whole_proportions_add_up():
    table = pd.DataFrame([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]], ["a", "b"], list("xyz"))
    errors = np.array([[0.02, 0.03, 0.032], [0.01, 0.01, 0.01]])
    covariance = np.square(errors)[:, :, None] * np.eye(3)
    found = Uncertain(table, True, covariance).aligned(table)
    np.testing.assert_allclose(found.sum(axis=2), 0, atol=1e-12)
    np.testing.assert_allclose(np.sqrt(np.einsum("ijj->ij", found)), errors, rtol=1e-6)
    lopsided = np.square([[0.02, 0.02, 0.05], [0.0, 0.03, 0.0]])[:, :, None] * np.eye(3)
    found = Uncertain(table, True, lopsided).aligned(table)
    np.testing.assert_allclose(found.sum(axis=2), 0, atol=1e-12)
    least = np.sqrt(np.einsum("ijj->ij", found)) / [[0.02, 0.02, 0.05], [1e-9, 0.03, 1e-9]]
    assert least.min() > 1 - 1e-9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "joint"}, "must come with their uncertainty"),
        ({"errors": "calibrate"}, "must come with their uncertainty"),
        ({"errors": "guess"}, "must be one of 'ignore', 'calibrate'"),
        ({"method": "joint", "standard_errors": 0.0}, "only standard errors of 0"),
        ({"method": "joint", "standard_errors": -0.1}, "must not be negative"),
        ({"method": "joint", "standard_errors": 4}, "Divide percentages by 100"),
        ({"method": "joint", "standard_errors": "nowhere.csv"}, "nowhere.csv"),
        ({"method": "joint", "standard_errors": 0.1, "errors": "ignore"}, "models them"),
        ({"method": "joint", "standard_errors": 0.1, "trim": 0.2}, "is not an option"),
    ],
    ids=lambda value: None if isinstance(value, dict) else str(value)[:20],
)
def test_what_is_refused(change, message, data):
    with pytest.raises(InputError, match=message):
        bd.fastmix(data.expression, data.proportions, data.covariates, **of_fastmix(change))


def test_standard_errors_need_every_sample(data):
    errors = pd.DataFrame(0.1, data.measured.index[1:], data.measured.columns)
    with pytest.raises(InputError, match="none for sample001"):
        bd.fastmix(data.expression, (data.measured, errors), data.covariates, "joint")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Expression, covariates, and the run of a deconvolution with a posterior."""
    home = tmp_path_factory.mktemp("joint")
    tissue = bd.simulate.tissue(
        n_genes=200, lineages={"a": ["T"], "b": ["B"], "c": ["M"]}, n_samples=24, seed=1
    )
    reference = bd.Reference.from_samples(tissue.purified, tissue.labels, "factor", genes=60)
    fitted = bd.deconvolve(
        tissue.bulk, reference, "laplace", seed=1, sampling=bd.Sampling(max_pareto_k=np.inf)
    )
    fitted.write(home / "run")
    reference.save(home / "r.nc")
    tissue.bulk.to_csv(home / "bulk.csv")
    cpm = tissue.bulk / tissue.bulk.sum() * 1e6
    cpm.to_csv(home / "expression.csv", index_label="gene")
    fitted.proportions.to_csv(home / "proportions.csv", index_label="sample")
    table = pd.DataFrame({"group": ["a", "b"] * 12}, tissue.bulk.columns)
    table.to_csv(home / "covariates.csv", index_label="sample")
    return home


@pytest.mark.filterwarnings("ignore::bayesdecov.errors.BayesdecovWarning")
def test_a_run_with_errors_is_fitted_jointly(folder, tmp_path):
    common = ("fastmix", folder / "expression.csv", "--covariates", folder / "covariates.csv",
              "--no-plots", "--proportions")  # fmt: skip
    result = run(*common, folder / "run", "--out", tmp_path / "de")
    assert "method joint" in result.output
    refined = pd.read_csv(tmp_path / "de" / "proportions.csv", index_col="sample")
    assert refined.shape == (24, 3)
    np.testing.assert_allclose(refined.sum(axis=1), 1, atol=1e-6)
    assert (tmp_path / "de" / "intervals.csv").is_file()
    assert "joint" in (tmp_path / "de" / "run.json").read_text()
    run("report", tmp_path / "de")
    plain = run(*common, folder / "proportions.csv", "--out", tmp_path / "plain")
    assert "method: moments" in plain.output
    stated = run(
        *common,
        folder / "proportions.csv",
        "--standard-errors",
        "0.03",
        "--out",
        tmp_path / "stated",
    )
    assert "method: joint" in stated.output
    calibrated = run(*common, folder / "run", "--errors", "calibrate", "--out", tmp_path / "cal")
    assert "method: mixture" in calibrated.output
    map_run = bd.deconvolve(pd.read_csv(folder / "bulk.csv", index_col=0), folder / "r.nc")
    map_run.write(tmp_path / "map")  # Wald intervals are errors too
    wald = run(*common, tmp_path / "map", "--out", tmp_path / "wald")
    assert "method: joint" in wald.output
