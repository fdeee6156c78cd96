"""The verb: what it recovers, what must not change its answer, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.algebra.priors import Dirichlet, SoftmaxNormal
from bayesdecov.errors import BayesdecovWarning, InputError


def _rmse(fit, cohort):
    return float(np.sqrt(((fit.proportions - cohort.proportions) ** 2).to_numpy().mean()))


@pytest.mark.parametrize("method", ["map", "laplace", "nnls", "simplex"])
def test_proportions_are_recovered(method, cohort, reference):
    fit = bd.deconvolve(cohort.bulk, reference, method, seed=1)
    assert list(fit.proportions.index) == list(cohort.bulk.columns)
    np.testing.assert_allclose(fit.proportions.sum(axis=1), 1, rtol=1e-12)
    assert (fit.proportions >= 0).all(axis=None)
    assert _rmse(fit, cohort) < (0.03 if method in ("map", "laplace") else 0.06)


def test_the_model_beats_least_squares(cohort, reference):
    errors = {
        m: _rmse(bd.deconvolve(cohort.bulk, reference, m), cohort)
        for m in ("map", "nnls", "simplex")
    }
    assert errors["map"] < 0.8 * min(errors["nnls"], errors["simplex"])


@pytest.mark.parametrize("covariance", ["glasso", "shrinkage", "diagonal", "factor"])
@pytest.mark.parametrize("noise", ["none", "counting"])
def test_order_of_genes_samples_and_types_is_irrelevant(cohort, covariance, noise):
    genes = list(cohort.purified.index[:60])
    made = bd.Reference.from_samples(cohort.purified, cohort.labels, covariance, genes=genes)
    usual = bd.deconvolve(cohort.bulk, made, noise=noise)
    renamed = cohort.labels.map({"type1": "z", "type2": "y", "type3": "x", "type4": "w"})
    turned = bd.Reference.from_samples(
        cohort.purified.sample(frac=1, axis=1, random_state=1),
        renamed,
        covariance,
        genes=genes[::-1],
    )
    shuffled = cohort.bulk.sample(frac=1, random_state=2).sample(frac=1, axis=1, random_state=3)
    other = bd.deconvolve(shuffled, turned, noise=noise)
    again = other.proportions.rename(
        columns={"z": "type1", "y": "type2", "x": "type3", "w": "type4"}
    )
    again = again.loc[usual.proportions.index, usual.proportions.columns]
    np.testing.assert_allclose(again, usual.proportions, atol=2e-4)


@pytest.mark.filterwarnings("ignore:the Laplace approximation is refused")
def test_same_seed_same_draws_whatever_the_workers(cohort, monkeypatch):
    import importlib

    module = importlib.import_module("bayesdecov.deconvolution.shards")
    monkeypatch.setattr(module, "_SHARD_FLOATS", 1)  # shards of 32 samples: several of them
    reference = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal", genes=30)
    bulk = pd.concat(
        [cohort.bulk, cohort.bulk.add_suffix("b"), cohort.bulk.add_suffix("c")], axis=1
    )
    runs = [
        bd.deconvolve(
            bulk, reference, "laplace", seed=7, n_jobs=jobs, sampling=bd.Sampling(draws=20)
        )
        for jobs in (1, 2)
    ]
    np.testing.assert_array_equal(runs[0].draws.proportions, runs[1].draws.proportions)
    np.testing.assert_array_equal(runs[0].proportions, runs[1].proportions)
    other = bd.deconvolve(bulk, reference, "laplace", seed=8, sampling=bd.Sampling(draws=20))
    assert not np.array_equal(runs[0].draws.proportions, other.draws.proportions)


def test_intervals_are_tidy_and_ordered(cohort, reference):
    for method in ("map", "laplace"):
        table = bd.deconvolve(cohort.bulk, reference, method, seed=1).intervals(0.9)
        assert list(table.columns) == ["sample", "cell_type", "mean", "sd", "low", "high", "shared"]
        assert (table["low"] <= table["mean"]).all()
        assert (table["mean"] <= table["high"]).all()
        assert table["low"].min() >= 0
        assert table["high"].max() <= 1


def test_wider_probability_wider_intervals(cohort, reference):
    fit = bd.deconvolve(cohort.bulk, reference, "laplace", seed=1)
    narrow, wide = fit.intervals(0.5), fit.intervals(0.99)
    assert (wide["high"] - wide["low"] > narrow["high"] - narrow["low"]).all()
    with pytest.raises(InputError, match=r"Write 0\.95 for 95 %"):
        fit.intervals(95)


def test_baselines_have_no_intervals_and_say_so(cohort, reference):
    fit = bd.deconvolve(cohort.bulk, reference, "nnls")
    assert fit.intervals()[["sd", "low", "high"]].isna().all(axis=None)
    assert "this method gives no uncertainty" in str(fit)


def test_laplace_agrees_with_map_where_data_are_strong(cohort, reference):
    one = bd.deconvolve(cohort.bulk, reference, "map")
    two = bd.deconvolve(cohort.bulk, reference, "laplace", seed=1, sampling=bd.Sampling(draws=2000))
    inside = (one.proportions > 0.1).to_numpy()
    gap = np.abs(one.proportions - two.proportions).to_numpy()
    sd = two.intervals()["sd"].to_numpy().reshape(gap.shape)
    assert np.median((gap / sd)[inside]) < 0.25


def test_laplace_is_the_exact_posterior_of_a_gaussian_toy():
    """Two far apart types with small constant variance: the posterior is a truncated normal."""
    mean = pd.DataFrame({"a": [100.0, 0.0], "b": [0.0, 100.0]}, ["g1", "g2"])
    reference = bd.Reference.from_moments(mean, np.stack([np.eye(2)] * 2) * 1e-3)
    bulk = pd.DataFrame({"s": [30.0, 70.0]}, ["g1", "g2"])
    fit = bd.deconvolve(bulk, reference, "laplace", seed=3, sampling=bd.Sampling(draws=4000))
    grid = np.linspace(0.29, 0.31, 4001)
    v = 1e-3 * (grid**2 + (1 - grid) ** 2)
    log_density = -np.log(v) - 0.5 * ((30 - 100 * grid) ** 2 + (70 - 100 * (1 - grid)) ** 2) / v
    weight = np.exp(log_density - log_density.max())
    expected = (grid * weight).sum() / weight.sum()
    sd = np.sqrt(((grid - expected) ** 2 * weight).sum() / weight.sum())
    draws = fit.draws.pooled[0, :, 0]
    assert abs(draws.mean() - expected) < 4 * sd / np.sqrt(4000)
    assert draws.std() == pytest.approx(sd, rel=4 / np.sqrt(2 * 4000))


def test_priors_pull_as_they_should(cohort, reference):
    flat = bd.deconvolve(cohort.bulk, reference, noise="none")
    spread = {}
    for name, prior in [("flat", "flat"), ("decovart", "decovart"), ("tight", SoftmaxNormal(0.05)),
                        ("dirichlet", Dirichlet(500.0))]:  # fmt: skip
        fit = bd.deconvolve(cohort.bulk, reference, prior=prior, noise="none")
        spread[name] = float(fit.proportions.to_numpy().std())
    assert spread["decovart"] < spread["flat"]
    assert spread["tight"] < 0.5 * spread["flat"]
    assert spread["dirichlet"] < 0.5 * spread["flat"]
    assert flat.prior == "flat"


@pytest.mark.filterwarnings("ignore:.*do not look like a mixture")
def test_named_concentrations_are_aligned_by_name(cohort, reference):
    strong = {"type3": 900.0, "type1": 1.0, "type4": 1.0, "type2": 1.0}
    for alpha in (strong, pd.Series(strong)):
        fit = bd.deconvolve(cohort.bulk, reference, prior=Dirichlet(alpha))
        assert (fit.proportions.idxmax(axis=1) == "type3").all()
    with pytest.raises(InputError, match="none for type2, type3, type4"):
        bd.deconvolve(cohort.bulk, reference, prior=Dirichlet({"type1": 1.0}))


def test_the_run_is_recorded(cohort, reference):
    per_cell = dict.fromkeys(cohort.mean.columns, 2.0)
    fit = bd.deconvolve(cohort.bulk, reference, seed=3, mrna_per_cell=per_cell)
    assert fit.settings["seed"] == 3
    assert fit.settings["mrna_per_cell"] == per_cell
    assert isinstance(fit.settings["random_stream"], int)
    plain = bd.deconvolve(cohort.bulk, reference, "nnls")
    assert (plain.settings["noise"], plain.settings["df"]) == ("none", "none")


def test_cell_types_that_are_numbers(cohort):
    numbers = cohort.labels.map({f"type{j}": j for j in range(1, 5)})
    made = bd.Reference.from_samples(cohort.purified, numbers, "diagonal")
    fit = bd.deconvolve(cohort.bulk, made, mrna_per_cell={1: 1.0, 2: 2.0, 3: 1.0, 4: 1.0})
    assert list(fit.proportions.columns) == ["1", "2", "3", "4"]


def test_informative_priors_narrow_the_intervals(cohort, reference):
    flat = bd.deconvolve(cohort.bulk, reference).intervals()["sd"].mean()
    tight = bd.deconvolve(cohort.bulk, reference, prior=SoftmaxNormal(0.05)).intervals()["sd"]
    assert tight.mean() < flat


def test_an_absent_type_is_zero_and_converges(cohort):
    names = list(cohort.mean.columns)
    p = np.tile([0.5, 0.5, 0.0, 0.0], (5, 1))
    rng = np.random.default_rng(0)
    y = sum(
        p[:, [j]] * rng.multivariate_normal(cohort.mean[name], cohort.covariances[j], 5)
        for j, name in enumerate(names)
    )
    reference = bd.Reference.from_moments(cohort.mean, cohort.covariances)
    bulk = pd.DataFrame(np.abs(y).T, cohort.mean.index, list("abcde"))
    fit = bd.deconvolve(bulk, reference)
    assert fit.diagnostics["converged"].all()
    assert (fit.proportions[["type3", "type4"]] < 0.02).all(axis=None)
    assert (fit.diagnostics["at_zero"] > 0).any()
    assert fit.intervals()["high"].loc[lambda h: h > 0].min() > 1e-4  # zero is not certainty


@pytest.mark.filterwarnings("ignore:purified. 4988 counts per replicate look like single cells")
def test_silent_genes_do_not_drag_a_proportion_to_zero():
    """Few counts, markers that are nearly silent elsewhere: the density must not collapse."""
    cohort = bd.simulate.convolution(
        n_samples=60, n_genes=3000, n_types=3, replicates=20, marker_fold=30.0, depth=5000, seed=1
    )
    made = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal", genes=300)
    fit = bd.deconvolve(cohort.bulk, made)
    truth = cohort.proportions.to_numpy()
    table = fit.intervals()
    z = (table["mean"].to_numpy() - truth.ravel()) / table["sd"].to_numpy()
    assert np.abs(z).max() < 6
    assert not ((fit.proportions.to_numpy() == 0) & (truth > 0.1)).any()


def test_two_modes_are_found_and_recorded():
    reference = bd.Reference.from_moments(
        pd.DataFrame({"a": [20.0, 22.0], "b": [22.0, 20.0]}, ["g1", "g2"]),
        np.array([[[1, -0.8], [-0.8, 1]], [[1, 0.8], [0.8, 1]]]),
    )
    grid = np.random.default_rng(2).normal(21, 1, (2, 400))
    bulk = pd.DataFrame(grid, ["g1", "g2"], [f"s{i}" for i in range(400)])
    fit = bd.deconvolve(bulk, reference)
    several = fit.diagnostics["modes"] > 1
    assert several.any()
    assert any("several maxima" in note for note in fit.notes)
    # the reported one is the highest of a fine scan
    model = reference.covariance.density(reference.mean.to_numpy(), counting=False)
    from bayesdecov.algebra.terms import log_density

    p = np.linspace(1e-6, 1 - 1e-6, 2001)
    scan = log_density(model.scan(np.column_stack([p, 1 - p]), bulk.to_numpy().T, 0.0), 2).value
    assert (fit.diagnostics["log_likelihood"] >= scan.max(axis=1) - 1e-6).all()


def test_size_factor(cohort):
    """A bulk on another unit gives the same proportions when the size factor is free."""
    plain = bd.simulate.convolution(n_samples=8, n_genes=120, n_types=3, seed=6)
    made = bd.Reference.from_samples(plain.purified, plain.labels, "diagonal", genes=None)
    usual = bd.deconvolve(plain.bulk, made)
    scaled = bd.deconvolve(plain.bulk * 37.5, made)
    assert usual.settings["size_factor"] == "free"
    np.testing.assert_allclose(scaled.proportions, usual.proportions, atol=1e-5)
    np.testing.assert_allclose(
        scaled.diagnostics["size_factor"], 37.5 * usual.diagnostics["size_factor"], rtol=1e-4
    )
    # everything in the result is in the bulk's own unit
    np.testing.assert_allclose(scaled.bulk, plain.bulk.loc[scaled.bulk.index] * 37.5)
    shift = usual.diagnostics["log_likelihood"] - scaled.diagnostics["log_likelihood"]
    np.testing.assert_allclose(shift, len(made.genes) * np.log(37.5), rtol=1e-6)
    drawn = bd.deconvolve(
        plain.bulk * 37.5, made, "laplace", seed=1, sampling=bd.Sampling(draws=200)
    )
    posterior = drawn.to_inference_data()["posterior"]
    mean = posterior["size_factor"].mean(("chain", "draw")).to_numpy()
    np.testing.assert_allclose(mean, scaled.diagnostics["size_factor"], rtol=0.1)


def test_counting_noise_is_estimated_where_it_is_unknown(cohort):
    made = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal", genes=None)
    known = bd.deconvolve(cohort.bulk, made, noise="counting")
    hidden = cohort.bulk * np.random.default_rng(1).lognormal(0, 1e-4, cohort.bulk.shape)
    with pytest.warns(BayesdecovWarning, match="TPM against CPM"):
        fit = bd.deconvolve(hidden, made, noise="counting")
    assert any("estimated per sample" in note for note in fit.notes)
    ratio = fit.diagnostics["counting_noise"] / known.diagnostics["counting_noise"]
    assert 0.2 < float(ratio.median()) < 5
    assert np.abs(fit.proportions - known.proportions).max(axis=None) < 0.05


@pytest.mark.filterwarnings("ignore:.*do not look like a mixture")
@pytest.mark.parametrize("kind", ["signature", "diagonal"])
def test_background_and_silent_genes_do_not_mislead(kind):
    """Markers that are silent elsewhere, a platform effect and a little background: beat NNLS."""
    rng = np.random.default_rng(0)
    cohort = bd.simulate.convolution(
        n_samples=20, n_genes=600, n_types=5, replicates=5, marker_fold=100.0, seed=0
    )
    lift = rng.lognormal(0, 1.5, 600)
    bulk = cohort.bulk.mul(lift, axis=0)
    background = 0.02 * bulk.to_numpy().mean() * rng.exponential(1, (600, 1))
    bulk = bulk + background * rng.lognormal(0, 0.3, bulk.shape)
    platform = lift * rng.lognormal(0, 0.4, 600)
    if kind == "signature":
        made = bd.Reference.from_signature(cohort.mean.mul(platform, axis=0))
    else:
        purified = cohort.purified.mul(platform, axis=0)
        made = bd.Reference.from_samples(purified, cohort.labels, "diagonal", genes=200)
    errors = {m: _rmse(bd.deconvolve(bulk, made, m), cohort) for m in ("map", "nnls")}
    assert errors["map"] < 0.8 * errors["nnls"]
    trusting = _rmse(bd.deconvolve(bulk, made, noise="none"), cohort)
    assert errors["map"] < 0.5 * trusting  # what happens without the noise term


def test_mrna_per_cell(cohort, reference):
    per_cell = {"type1": 1.0, "type2": 2.0, "type3": 4.0, "type4": 0.5}
    for method in ("map", "laplace", "nnls"):
        rna = bd.deconvolve(cohort.bulk, reference, method, seed=1)
        cells = bd.deconvolve(cohort.bulk, reference, method, seed=1, mrna_per_cell=per_cell)
        assert (rna.quantity, cells.quantity) == ("mRNA fractions", "cell fractions")
        expected = rna.proportions / pd.Series(per_cell)
        expected = expected.div(expected.sum(axis=1), axis=0)
        np.testing.assert_allclose(
            cells.proportions,
            expected[cells.proportions.columns],
            atol=1e-12 if method != "laplace" else 5e-3,
        )
    wald = bd.deconvolve(cohort.bulk, reference, mrna_per_cell=per_cell).intervals()["sd"]
    drawn = bd.deconvolve(cohort.bulk, reference, "laplace", seed=1, mrna_per_cell=per_cell)
    assert np.corrcoef(wald, drawn.intervals()["sd"])[0, 1] > 0.9


def test_uncertain_means_widen_the_intervals(cohort):
    few = bd.Reference.from_moments(cohort.mean, cohort.covariances, replicates=2)
    exact = bd.Reference.from_moments(cohort.mean, cohort.covariances)
    y = cohort.bulk * (cohort.mean.sum().mean() / cohort.bulk.sum())
    wide = bd.deconvolve(y, few, df=None).intervals()["sd"].mean()
    narrow = bd.deconvolve(y, exact, df=None).intervals()["sd"].mean()
    assert wide == pytest.approx(narrow * np.sqrt(1.5), rel=0.1)


def test_inference_data_has_names_and_dims(cohort, reference):
    for method in ("map", "laplace", "nnls"):
        data = bd.deconvolve(
            cohort.bulk, reference, method, seed=1, sampling=bd.Sampling(draws=30)
        ).to_inference_data()
        assert data["posterior"]["proportions"].dims == ("chain", "draw", "sample", "cell_type")
        assert list(data["posterior"]["sample"].values) == list(cohort.bulk.columns)
        assert data["observed_data"]["bulk"].dims == ("sample", "gene")
        assert "converged" in data["fit"]
    import arviz as az

    drawn = bd.deconvolve(
        cohort.bulk, reference, "laplace", seed=1, sampling=bd.Sampling(draws=400)
    )
    posterior = drawn.to_inference_data()["posterior"]
    dataset = posterior.to_dataset() if hasattr(posterior, "to_dataset") else posterior
    ess = az.ess(dataset[["proportions"]])["proportions"]
    assert float(ess.median()) > 200  # independent draws


def test_anndata_in_and_out(cohort, reference):
    anndata = pytest.importorskip("anndata")
    fit = bd.deconvolve(anndata.AnnData(cohort.bulk.T), reference)
    np.testing.assert_array_equal(
        fit.proportions, bd.deconvolve(cohort.bulk, reference).proportions
    )
    out = fit.to_anndata(anndata.AnnData(cohort.bulk.T))
    np.testing.assert_array_equal(out.obsm["proportions"], fit.proportions)
    assert out.uns["bayesdecov"]["method"] == "map"
    assert fit.to_anndata().n_obs == 30


def test_a_signature_table_is_a_reference(cohort):
    with pytest.warns(BayesdecovWarning, match="counts against TPM"):
        fit = bd.deconvolve(cohort.bulk, cohort.mean)
    assert _rmse(fit, cohort) < 0.06
    assert fit.settings["size_factor"] == "free"


def test_no_convergence_is_a_recorded_warning(cohort, reference, monkeypatch):
    import bayesdecov.deconvolution.fit as fitting
    from bayesdecov.optimize import marquardt

    monkeypatch.setattr(
        fitting, "marquardt", lambda *a, **k: marquardt(*a, **k | {"max_iterations": 1})
    )
    with pytest.warns(BayesdecovWarning, match="30 of 30 samples did not converge: bulk001"):
        fit = bd.deconvolve(cohort.bulk, reference)
    assert not fit.diagnostics["converged"].any()
    assert "NOT converged" in str(fit)
    assert any("did not converge" in note for note in fit.notes)


def test_one_sample_and_sixty_types():
    cohort = bd.simulate.convolution(n_samples=1, n_genes=400, n_types=60, replicates=3, seed=1)
    made = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal", genes=None)
    fit = bd.deconvolve(cohort.bulk, made)
    assert fit.proportions.shape == (1, 60)
    assert fit.diagnostics["converged"].all()


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_tiny_and_huge_units(cohort, factor):
    plain = bd.simulate.convolution(n_samples=4, n_genes=120, n_types=3, seed=6)
    one = bd.Reference.from_samples(plain.purified, plain.labels, "factor", genes=None)
    other = bd.Reference.from_samples(plain.purified * factor, plain.labels, "factor", genes=None)
    usual = bd.deconvolve(plain.bulk, one)
    scaled = bd.deconvolve(plain.bulk * factor, other)
    np.testing.assert_allclose(scaled.proportions, usual.proportions, atol=1e-4)
