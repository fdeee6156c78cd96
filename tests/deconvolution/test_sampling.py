"""Chains of every sample: against exact posteriors on a grid, and as containers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import bayesdecov as bd
from bayesdecov._arviz import dataset
from bayesdecov.algebra import interpolated
from bayesdecov.algebra.density import evaluate
from bayesdecov.algebra.priors import Dirichlet
from bayesdecov.deconvolution import laplace
from bayesdecov.deconvolution.fit import log_posterior
from bayesdecov.deconvolution.importance import adapt
from bayesdecov.deconvolution.posterior import laplace_approximation
from bayesdecov.deconvolution.prepare import prepare
from bayesdecov.errors import BayesdecovWarning
from tests.options import of_deconvolve

QUIET = {"draws": 600, "tune": 200, "chains": 4, "cores": 1, "seed": 1}


def _toy(n_types, n_samples=2, seed=1):
    cohort = bd.simulate.convolution(
        n_samples=n_samples,
        n_genes=12,
        n_types=n_types,
        distribution="gaussian",
        own_sd=0.4,
        seed=seed,
    )
    return cohort, bd.Reference.from_moments(cohort.mean, cohort.covariances)


def _on_a_grid(bulk, reference, prior, n_types):
    """Exact posterior means of the proportions by brute force, (sample, cell_type)."""
    if n_types == 2:
        first = (np.arange(4000) + 0.5) / 4000
        points = np.column_stack([first, 1 - first])
    else:
        one, two = np.meshgrid(*[(np.arange(500) + 0.5) / 500] * 2)
        inside = one + two < 1
        points = np.column_stack([one[inside], two[inside], 1 - one[inside] - two[inside]])
    prepared = prepare(bulk, reference, prior=prior)
    model, means = prepared.model, []
    for y in prepared.data.y:
        data = np.tile(y, (len(points), 1))
        pieces = evaluate(model.density, points, data, np.zeros(len(points)), order=0)
        weight = model.target(pieces).value
        weight = np.exp(weight - weight.max())
        means.append(weight @ points / weight.sum())
    return np.array(means)


@pytest.mark.parametrize("method", ["nuts", "laplace"])
@pytest.mark.parametrize(("n_types", "prior"), [(2, "flat"), (3, "flat"), (3, "decovart")])
def test_means_are_those_of_the_exact_posterior(n_types, prior, method):
    cohort, reference = _toy(n_types)
    options = QUIET if method == "nuts" else {"draws": 4000, "seed": 1}
    fit = bd.deconvolve(cohort.bulk, reference, method, prior, **of_deconvolve(options))
    exact = _on_a_grid(cohort.bulk, reference, prior, n_types)
    spread = fit.intervals()["sd"].to_numpy().reshape(exact.shape)
    if method == "nuts":
        error = fit.diagnostics["mcse"].to_numpy()[:, None]
    else:  # importance sampling: about 1200 effective proposals of 5000
        error = spread / np.sqrt(1200)
    assert (np.abs(fit.proportions.to_numpy() - exact) < 4 * error).all()


@pytest.mark.parametrize("sampler", ["nutpie", "pymc"])
def test_both_samplers_find_the_same_posterior(sampler):
    cohort, reference = _toy(3, n_samples=1, seed=3)
    options = QUIET | {"draws": 1000, "nuts_sampler": sampler}
    fit = bd.deconvolve(cohort.bulk, reference, "nuts", **of_deconvolve(options))
    exact = _on_a_grid(cohort.bulk, reference, "flat", 3)
    assert (np.abs(fit.proportions.to_numpy() - exact) < 4 * fit.diagnostics["mcse"].iloc[0]).all()
    assert fit.settings["nuts_sampler"] == sampler
    d = fit.diagnostics.iloc[0]
    assert d["divergences"] == 0
    assert d["r_hat"] < 1.01
    assert d["ess_bulk"] > 400
    assert d["verdict"] == "good"
    stats = dataset(fit.to_inference_data()["sample_stats"])
    assert set(stats.data_vars) == {
        "lp", "energy", "diverging", "tree_depth", "n_steps", "step_size", "acceptance_rate",
    }  # fmt: skip
    assert stats["energy"].dims == ("chain", "draw", "sample")


def test_a_free_size_factor_and_counting_noise_are_sampled_too(cohort, reference):
    few = cohort.bulk.iloc[:, :2]
    fit = bd.deconvolve(few * 3.0, reference, "nuts", size_factor="free", **of_deconvolve(QUIET))
    lap = bd.deconvolve(few * 3.0, reference, "laplace", size_factor="free", seed=1)
    assert (fit.draws.size_factor.std(axis=(1, 2)) > 0).all()
    sd = lap.intervals()["sd"].to_numpy().reshape(2, -1)
    assert (np.abs(fit.proportions - lap.proportions).to_numpy() < 0.25 * sd).all()


def test_the_same_seed_gives_the_same_chains_whatever_the_workers():
    cohort, reference = _toy(3)
    options = QUIET | {"draws": 50, "tune": 50}
    with pytest.warns(BayesdecovWarning, match="NUTS"):
        one, two = (
            bd.deconvolve(
                cohort.bulk, reference, "nuts", **of_deconvolve(options | {"cores": cores})
            )
            for cores in (1, 2)
        )
    np.testing.assert_array_equal(one.draws.proportions, two.draws.proportions)


def test_a_long_wait_is_announced(monkeypatch):
    cohort, reference = _toy(2, n_samples=1)
    monkeypatch.setattr("bayesdecov.deconvolution.run.expected_minutes", lambda *a: 40.0)
    with pytest.warns(BayesdecovWarning) as said:
        bd.deconvolve(
            cohort.bulk,
            reference,
            "nuts",
            seed=1,
            sampling=bd.Sampling(draws=20, tune=20, chains=2),
        )
    assert "sampling will take about 40 minutes (1 samples, 12 genes)" in str(said[0].message)


def test_too_few_draws_are_said():
    cohort, reference = _toy(2, n_samples=1)
    with pytest.warns(BayesdecovWarning) as said:
        fit = bd.deconvolve(
            cohort.bulk,
            reference,
            "nuts",
            seed=1,
            sampling=bd.Sampling(draws=30, tune=100, chains=2),
        )
    assert "NUTS: few effective draws in 1 of 1 samples: bulk001" in [str(w.message) for w in said]
    assert "draw more" in fit.diagnostics["verdict"].iloc[0]


@pytest.mark.parametrize("sampler", ["nutpie", "pymc"])
def test_a_start_where_the_density_is_zero_is_moved(sampler):
    from bayesdecov.nuts import run_nuts
    from bayesdecov.sampling import Schedule

    def density(x):
        inside = abs(x[0]) < 3
        return (-0.5 * float(x @ x) if inside else -np.inf), -x

    starts = np.array([[100.0, 0.3], [0.5, 0.5]])
    how = Schedule(draws=50, tune=50, chains=2, nuts_sampler=sampler)
    found = run_nuts(density, starts, how, np.random.default_rng(1))
    assert np.abs(found.x[:, :, 0]).max() < 3


def test_a_prior_of_an_array(cohort, reference):
    prior = Dirichlet(np.array([2.0, 1.0, 1.0, 1.0]))
    fit = bd.deconvolve(cohort.bulk.iloc[:, :2], reference, "laplace", prior, seed=1)
    assert set(fit.maxima) == {"map", "mle"}
    assert not np.allclose(fit.maxima["map"], fit.maxima["mle"])


def test_a_refused_approximation_has_no_intervals_unless_asked_for(monkeypatch):
    cohort, reference = _toy(3)
    monkeypatch.setattr("bayesdecov._arviz.psis", lambda w: (w, np.array([0.9, 0.2])))
    with pytest.warns(BayesdecovWarning, match="refused for 1 of 2 samples .*: bulk001; use"):
        fit = bd.deconvolve(cohort.bulk, reference, "laplace", seed=1)
    table = fit.intervals().set_index("sample")[["sd", "low", "high"]]
    assert table.loc["bulk001"].isna().to_numpy().all()
    assert table.loc["bulk002"].notna().to_numpy().all()
    assert fit.proportions.sum(axis=1).round(9).eq(1).all()
    assert "refused: Pareto-k 0.90" in fit.diagnostics["verdict"].iloc[0]
    assert fit.diagnostics["verdict"].iloc[1] == "good"
    asked = bd.deconvolve(
        cohort.bulk, reference, "laplace", seed=1, sampling=bd.Sampling(max_pareto_k=float("inf"))
    )
    assert asked.intervals().notna().to_numpy().all()


@pytest.fixture(scope="module")
def many_factors():
    data = bd.simulate.convolution(4, 500, 4, replicates=8, depth=1e6, seed=2)
    reference = bd.Reference.from_samples(data.purified, data.labels, "factor", genes=400)
    return data.bulk, reference


@pytest.mark.parametrize("spoiled", [False, True])
def test_interpolated_densities_give_the_same_posterior(many_factors, monkeypatch, spoiled):
    bulk, reference = many_factors
    options = {"noise": "counting", "draws": 4000, "seed": 1, "max_pareto_k": float("inf")}
    with monkeypatch.context() as patch:
        patch.setattr(laplace, "helps", lambda density: False)
        exact = bd.deconvolve(bulk, reference, "laplace", **of_deconvolve(options))
    made = []

    def interpolate(density, q, phi):
        found = interpolated.interpolate(density, q, phi)
        made.append(found)
        return replace(found, parts=1.02 * found.parts) if spoiled else found

    monkeypatch.setattr(laplace, "interpolate", interpolate)
    ours = bd.deconvolve(bulk, reference, "laplace", **of_deconvolve(options))
    assert len(made) == 4
    assert max(len(density.genes) for density in made) < 100
    ours, exact = (fit.draws.pooled for fit in (ours, exact))
    sd = exact.std(axis=1)
    # about 3,000 effective draws each
    assert (np.abs(ours.mean(axis=1) - exact.mean(axis=1)) / sd).max() < 4 * np.sqrt(2 / 3000)
    assert np.abs(ours.std(axis=1) / sd - 1).max() < 4 / np.sqrt(3000)


def test_what_interpolation_got_wrong_is_seen_and_computed_exactly(many_factors):
    bulk, reference = many_factors
    prepared = prepare(bulk, reference, noise="counting")
    normal = laplace_approximation(prepared.model, prepared.data)
    modes = normal.modes
    target = log_posterior(prepared.model, modes.projected, modes.phi, jacobian=True, order=0)
    rows = np.array([1])
    rngs = list(np.random.default_rng(3).spawn(4))
    exact = adapt(target, modes.x[rows], normal.root[rows], rows, [300, 300], rngs)
    assert laplace._close(exact, target, rows)
    assert laplace._close(exact._replace(value=exact.value + 7.0), target, rows)  # a constant
    half = np.arange(600) % 2 * 0.1
    lost = np.where(np.arange(600) % 75 == 0, -np.inf, exact.value)  # where nobody has any weight
    for wrong in (exact.value + half, lost):
        spoiled = exact._replace(value=np.array(wrong).reshape(1, -1))
        assert not np.isnan(spoiled.log_weights).any()
        assert not laplace._close(spoiled, target, rows)
        found = laplace._exactly(spoiled, target, rows)
        np.testing.assert_allclose(found.log_weights, exact.log_weights, rtol=1e-9)
