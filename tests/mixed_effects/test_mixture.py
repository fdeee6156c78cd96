"""The contaminated normal: what it finds, how sure it is, and that it is right about that."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd


@pytest.fixture(scope="module")
def cohort():
    return bd.simulate.fastmix("III", "code", 4000, 50, correlation=0.5, seed=3)


@pytest.fixture(scope="module")
def fit(cohort):
    return bd.fastmix(cohort.expression, cohort.proportions, cohort.covariates, "mixture")


def binomial(share, n, sigmas=4.0):
    return sigmas * np.sqrt(share * (1 - share) / n)


def test_components_are_those_of_the_truth(fit, cohort):
    assert set(fit.settings["components"]) == {"Cell1.Group", "Cell2.Group"}
    for part in fit.settings["components"].values():
        assert abs(part["up"] + part["down"] - 0.05) < 0.03
        assert abs(part["delta"] / (3.5 * 1.2) - 1) < 0.25
    moments = bd.fastmix(cohort.expression, cohort.proportions, cohort.covariates)
    error = [np.square(de.covariance - cohort.covariance).to_numpy().mean()
             for de in (fit, moments)]  # fmt: skip
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
        bd.fastmix(*tables, "mixture", variance="common"),
        bd.fastmix(*tables, "map", reml=False),
    )
    assert fit.settings["components"] == {}
    assert any("no effect needs a component" in note for note in fit.notes)
    np.testing.assert_allclose(fit.covariance, plain.covariance, atol=2e-3)
    np.testing.assert_allclose(fit.fixed["estimate"], plain.fixed["estimate"], atol=1e-3)
    assert (fit.estimate.prob_deg == 0).all()
    np.testing.assert_allclose(fit.q_values, 1.0)


def test_own_variances_where_genes_differ():
    cohort = bd.simulate.fastmix("III", "code", 3000, 40, variance_df=4.0, seed=8)
    tables = cohort.expression, cohort.proportions, cohort.covariates
    own = bd.fastmix(*tables, "mixture")
    one = bd.fastmix(*tables, "mixture", variance="common")
    assert abs(own.settings["variance_prior_df"] / 4 - 1) < 0.2
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
            fits.append(bd.fastmix(cohort.expression, cohort.proportions, cohort.covariates,
                                   "mixture").fixed)  # fmt: skip
        assert any("too few" in str(w.message) for w in caught) == (genes == 40)
    error = np.std([fit["estimate"] for fit in fits], axis=0)
    ratio = np.mean([fit["std_error"] for fit in fits], axis=0) / error
    assert low < np.median(ratio) < high


def test_a_subset_of_random_effects(cohort):
    fit = bd.fastmix(
        cohort.expression, cohort.proportions, cohort.covariates, "mixture",
        random=["Cell1", "Cell2", "Cell3", "Cell1.Group", "Cell2.Group", "Cell3.Group"],
    )  # fmt: skip
    assert np.ptp(fit.effects["Group"]) == 0
    assert fit.genes["covariate"].nunique() == 6
    assert np.isfinite(fit.fixed["std_error"]).all()
