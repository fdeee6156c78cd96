"""The contaminated normal: what it finds, how sure it is, and that it is right about that."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import bayesdecov as bd
from bayesdecov.algebra.shared_design import least_squares
from bayesdecov.errors import Notes
from bayesdecov.mixed_effects import mixture
from bayesdecov.mixed_effects.contamination import expectation
from bayesdecov.mixed_effects.information import gene_scores
from bayesdecov.mixed_effects.mixture import fit_mixture
from bayesdecov.mixed_effects.parameters import units
from tests.mixed_effects.problems import shared_problem


@pytest.fixture(scope="module")
def cohort():
    return bd.simulate.fastmix("III", "code", 4000, 50, correlation=0.5, seed=3)


@pytest.fixture(scope="module")
def fit(cohort):
    return bd.fastmix(cohort.expression, cohort.proportions, cohort.covariates, "mixture")


def binomial(share, n, sigmas=4.0):
    return sigmas * np.sqrt(share * (1 - share) / n)


def test_components_are_those_of_the_truth(fit, cohort):
    assert set(fit.facts["components"]) == {"Cell1.Group", "Cell2.Group"}
    for part in fit.facts["components"].values():
        assert abs(part["up"] + part["down"] - 0.05) < 0.03
        assert abs(part["delta"] / (3.5 * 1.2) - 1) < 0.25
    moments = bd.fastmix(cohort.expression, cohort.proportions, cohort.covariates)
    error = [
        np.square(de.covariance - cohort.covariance).to_numpy().mean() for de in (fit, moments)
    ]
    assert error[0] < 0.5 * error[1]


def test_quasi_p_values_are_uniform_without_a_shift(fit, cohort):
    p, shifted = fit.p_values.to_numpy(), cohort.differential.to_numpy()
    for column in range(p.shape[1]):
        null = p[~shifted[:, column], column]
        for level in (0.01, 0.05, 0.5):
            assert abs((null < level).mean() - level) < binomial(level, len(null)) + 0.005
    assert (p[shifted] < 0.05).mean() > 0.6


def test_probabilities_are_calibrated(fit, cohort):
    """Among genes called with probability about x a share x is shifted."""
    probability, shifted = fit.estimate.prob_deg, cohort.differential.to_numpy()
    for low, high in ((0.02, 0.2), (0.2, 0.6), (0.6, 0.9), (0.9, 1.0)):
        inside = (probability > low) & (probability <= high)
        expected, n = probability[inside].mean(), inside.sum()
        assert n > 30
        assert abs(shifted[inside].mean() - expected) < binomial(expected, n) + 0.05
    order = fit.q_values["Cell1.Group"].sort_values().index
    rate = 1 - pd.Series(probability[:, 4], fit.gene_names)[order].expanding().mean()
    assert (fit.q_values["Cell1.Group"][order] > 0.9 * rate - 0.01).all()  # a bound of the mean
    called = fit.q_values.to_numpy() < 0.1
    assert called.sum() > 50
    assert 1 - shifted[called].mean() < 0.11 + binomial(0.1, called.sum(), 3)


def test_intervals_and_signs(fit, cohort):
    table = fit.genes
    truth = cohort.effects.to_numpy().ravel()
    inside = (table["low"] < truth) & (truth < table["high"])
    assert abs(inside.mean() - 0.95) < 0.01
    wrong = np.sign(table["effect"]) != np.sign(truth)
    assert abs(wrong.mean() - table["lfsr"].mean()) < 0.01
    error = np.sqrt(np.mean((table["effect"] - truth) ** 2))
    assert abs(error / np.sqrt(np.mean(table["sd"] ** 2)) - 1) < 0.03


def test_without_shifted_genes_it_is_the_normal_model():
    cohort = bd.simulate.fastmix("I", n_genes=2000, seed=5)
    tables = cohort.expression, cohort.proportions, cohort.covariates
    fit, plain = (
        bd.fastmix(*tables, "mixture", estimator=bd.EstimatorOptions(variance="common")),
        bd.fastmix(*tables, "map", estimator=bd.EstimatorOptions(reml=False)),
    )
    assert fit.facts["components"] == {}
    assert any("no effect has a component" in note for note in fit.notes)
    np.testing.assert_allclose(fit.covariance, plain.covariance, atol=2e-3)
    np.testing.assert_allclose(fit.fixed["estimate"], plain.fixed["estimate"], atol=1e-3)
    assert (fit.estimate.prob_deg == 0).all()
    np.testing.assert_allclose(fit.q_values, 1.0)


def test_own_variances_where_genes_differ():
    cohort = bd.simulate.fastmix("III", "code", 3000, 40, variance_df=4.0, seed=8)
    tables = cohort.expression, cohort.proportions, cohort.covariates
    own = bd.fastmix(*tables, "mixture")
    one = bd.fastmix(*tables, "mixture", estimator=bd.EstimatorOptions(variance="common"))
    assert abs(own.facts["variance_prior_df"] / 4 - 1) < 0.2
    assert len(own.noise) == 3000
    assert abs(np.log(own.noise / cohort.noise).mean()) < 0.1
    null = ~cohort.differential.to_numpy()
    far = [(de.p_values.to_numpy()[null] < 1e-3).mean() for de in (own, one)]
    assert far[0] < 2e-3 < far[1]
    error = [np.square(de.effects - cohort.effects).to_numpy().mean() for de in (own, one)]
    assert error[0] < error[1]


def test_a_gene_that_is_rather_not_shifted_is_not_called(fit):
    unlikely = fit.estimate.prob_deg < 0.5
    assert (fit.q_values.to_numpy()[unlikely] >= 0.5).all()


@pytest.mark.parametrize(("genes", "low", "high"), [(40, 0.4, 2.0), (250, 0.7, 1.45)])
def test_standard_errors_with_few_genes(genes, low, high):
    fits = []
    for seed in range(25):
        cohort = bd.simulate.fastmix("III", n_genes=genes, n_samples=40, seed=seed)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fits.append(
                bd.fastmix(
                    cohort.expression, cohort.proportions, cohort.covariates, "mixture"
                ).fixed
            )
        assert any("too few" in str(w.message) for w in caught) == (genes == 40)
    error = np.std([fit["estimate"] for fit in fits], axis=0)
    ratio = np.mean([fit["std_error"] for fit in fits], axis=0) / error
    assert low < np.median(ratio) < high


def test_a_subset_of_random_effects(cohort):
    fit = bd.fastmix(
        cohort.expression,
        cohort.proportions,
        cohort.covariates,
        "mixture",
        design=bd.DesignOptions(
            random=["Cell1", "Cell2", "Cell3", "Cell1.Group", "Cell2.Group", "Cell3.Group"]
        ),
    )
    assert np.ptp(fit.effects["Group"]) == 0
    assert fit.genes["covariate"].nunique() == 6
    assert np.isfinite(fit.fixed["std_error"]).all()


def shifted(seed=0, *, genes=600, columns=3, share=0.1, size=6.0):
    """A normal problem in which a share of the genes is shifted in the second effect."""
    known = shared_problem(seed, genes=genes, columns=columns)
    moved = int(share * genes)
    up = size * np.sqrt(known.Psi[1, 1]) * known.X[:, 1]
    Y = known.Y.copy()
    Y[:moved] += np.where(np.arange(moved) % 3 > 0, 1, -1)[:, None] * up
    return known._replace(Y=Y, ls=least_squares(known.X, Y))


def fitted(ls, variance="common", notes=None):
    names = [f"e{k}" for k in range(len(ls.random))]
    notes = Notes() if notes is None else notes
    return fit_mixture(ls, variance, names, notes, np.random.default_rng(0))


def test_em_ends_where_the_penalised_likelihood_is_flat():
    """Scores of all genes plus the ten pseudo-genes, in units of their information."""
    ls = shifted().ls
    s2 = np.array([(ls.rss / ls.df).mean()])
    run = mixture._select(ls, s2, mixture._start(ls, float(s2[0])))
    run = mixture._em(ls, s2, run.at, 1e-9, 20_000)
    assert run.converged
    assert run.at.active.tolist() == [1]
    at, seen = run.at, expectation(ls.c, ls.Vz, s2, run.at)
    scores = gene_scores(seen, at, units(at), slice(None))
    total = scores.sum(axis=0)
    total[5:7] -= 10 * np.array([at.up[1], at.down[1]])  # d log(null) / d log(share / null)
    size = np.sqrt(np.square(scores).sum(axis=0))
    np.testing.assert_allclose(total / size, 0, atol=2e-3)


def test_a_component_is_kept_as_long_as_its_likelihood_ratio_is_needed():
    """Shifts grow: below the bound there is no component, above it there is one."""
    found = [len(fitted(shifted(size=size).ls).facts["components"]) for size in (0, 0.5, 6)]
    assert found == [0, 0, 1]


@pytest.mark.parametrize("variance", ["common", "gene"])
def test_units_and_the_order_of_genes_and_effects_do_not_matter(variance):
    known = shifted(1)
    base = fitted(known.ls, variance)
    genes = known.rng.permutation(600)
    moved = fitted(least_squares(known.X, 7 * known.Y[genes]), variance)
    np.testing.assert_allclose(moved.gamma, 7 * base.gamma[genes], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(moved.prob_deg, base.prob_deg[genes], atol=1e-3)
    np.testing.assert_allclose(moved.p, base.p[genes], rtol=1e-2, atol=1e-9)
    columns = [2, 0, 1]
    turned = fitted(least_squares(known.X[:, columns], known.Y), variance)
    np.testing.assert_allclose(turned.Psi, base.Psi[np.ix_(columns, columns)], rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(turned.p, base.p[:, columns], rtol=5e-2, atol=1e-9)


def test_variances_that_do_not_differ_are_one_for_all_and_exact_genes_are_mentioned():
    known, notes = shifted(2, share=0.0), Notes()
    s2 = np.full(600, 0.7)
    even = fitted(known.ls._replace(rss=s2 * known.ls.df), "gene", notes)
    np.testing.assert_allclose(even.sigma2, [0.7])
    assert any("residual variances do not differ between genes" in line for line in notes.lines)
    rss = known.ls.rss.copy()
    rss[:2] = 0.0
    found = fitted(known.ls._replace(rss=rss), "gene", notes)
    assert any("2 genes are fitted (almost) exactly" in line for line in notes.lines)
    assert (found.sigma2 > 0).all()


def test_one_random_effect_is_a_mixture_of_three_normals():
    """The log-likelihood it reports, from densities of one number a gene."""
    known = shared_problem(3, genes=500, columns=2, random=(1,))
    Y = known.Y.copy()
    Y[:60] += 8 * np.sqrt(known.Psi[0, 0]) * known.X[:, 1]
    e = fitted(least_squares(known.X, Y, np.array([1])))
    part, ls = e.facts["components"]["e0"], least_squares(known.X, Y, np.array([1]))
    v = (e.Psi + e.sigma2 * ls.Vz).item()
    x = ls.c[:, 0] - e.beta[1] + ls.mean[1]
    null = 1 - part["up"] - part["down"]
    slow = null * norm.pdf(x, 0, np.sqrt(v))
    wide = np.sqrt(v + part["tau"] ** 2)
    slow += part["up"] * norm.pdf(x, part["delta"], wide)
    slow += part["down"] * norm.pdf(x, -part["delta"], wide)
    reported = e.facts["log_likelihood_of_coefficients"]
    assert reported == pytest.approx(np.log(slow).sum(), rel=1e-9)
    assert e.prob_deg[:60].min() > 0.95
