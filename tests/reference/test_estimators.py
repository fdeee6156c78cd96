"""Covariance estimators, variance moderation and marker choice."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import polygamma
from sklearn.covariance import LedoitWolf, graphical_lasso

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning, Notes
from bayesdecov.reference.estimate import ESTIMATORS, estimate_covariance
from bayesdecov.reference.glasso import refit, sparse_correlation
from bayesdecov.reference.structures import DenseCovariance, FactorCovariance
from bayesdecov.reference.variance import moderate


@pytest.mark.parametrize("replicates", [2, 3, 6, 25])
@pytest.mark.parametrize("method", ESTIMATORS)
def test_positive_definite_from_two_replicates_up(method, replicates):
    cohort = bd.simulate.convolution(n_genes=40, n_types=3, replicates=replicates, seed=replicates)
    values = cohort.purified.to_numpy().copy()
    values[3, :replicates] = values[3, 0]  # a gene that does not vary in one type
    codes = np.repeat(np.arange(3), replicates)
    with pytest.warns(BayesdecovWarning) if replicates < 5 and "glasso" in method else _silent():
        found = estimate_covariance(values, codes, list("abc"), method, Notes()).covariance
    for j in range(3):
        matrix = found.matrix(j)
        np.testing.assert_allclose(matrix, matrix.T)
        assert np.linalg.eigvalsh(matrix)[0] > 0
        np.testing.assert_allclose(np.diag(matrix), found.variances()[:, j])


class _silent:
    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None


def test_one_replicate_borrows_the_trend_and_says_so():
    cohort = bd.simulate.convolution(n_genes=200, n_types=3, replicates=10, factor_sd=0.0, seed=1)
    keep = [0, *range(10, 30)]
    codes = np.array([0] + [1] * 10 + [2] * 10)
    notes = Notes()
    with pytest.warns(BayesdecovWarning, match="'a' has one replicate"):
        found = estimate_covariance(
            cohort.purified.to_numpy()[:, keep], codes, list("abc"), "glasso", notes
        )
    truth = np.diag(cohort.covariances[0])
    ratio = np.log(found.covariance.variances()[:, 0] / truth)
    assert abs(np.median(ratio)) < 0.35  # one profile stands for the mean: its own noise remains


def test_moderation_recovers_the_prior():
    """Variances drawn from Smyth's model: d0 and the trend come back."""
    rng = np.random.default_rng(3)
    n_genes, df, d0 = 20_000, 4, 6.0
    mu = rng.lognormal(3, 1, (n_genes, 1))
    prior = 0.04 * mu**1.6
    sigma2 = prior * d0 / rng.chisquare(d0, (n_genes, 1))
    s2 = sigma2 * rng.chisquare(df, (n_genes, 1)) / df
    found = moderate(mu, s2, np.array([df + 1]))
    assert found.prior_df == pytest.approx(d0, rel=0.1)
    expected = (d0 * prior + df * s2) / (d0 + df)
    np.testing.assert_allclose(np.log(found.variances / expected), 0, atol=0.1)


def test_identical_variances_get_an_infinite_prior():
    rng = np.random.default_rng(4)
    s2 = 2.0 * rng.chisquare(5, (5000, 1)) / 5
    found = moderate(np.ones((5000, 1)) * 10, s2, np.array([6]))
    assert found.prior_df > 100 * polygamma(1, 1)
    np.testing.assert_allclose(found.variances, 2.0, rtol=0.1)


def test_glasso_solves_components_as_scikit_learn_solves_the_whole():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(40, 12))
    x[:, 1] += 2 * x[:, 0]
    x[:, 5] -= 1.5 * x[:, 4]
    R = np.corrcoef(x.T)
    fit = sparse_correlation(R, 40)
    assert 0 < fit.edges < 20
    assert fit.precision[0, 1] != 0
    assert fit.precision[4, 5] != 0
    whole, _ = graphical_lasso(R, alpha=fit.penalty, tol=1e-3, max_iter=500)
    np.testing.assert_allclose(fit.covariance, whole, atol=2e-3)


def test_refit_is_maximum_likelihood_on_the_support():
    """Entries of the covariance on the support equal the sample's, the others make it sparse."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(200, 5))
    x[:, 1] += x[:, 0]
    x[:, 2] += x[:, 1]
    R = np.corrcoef(x.T)
    support = np.eye(5)
    support[0, 1] = support[1, 0] = support[1, 2] = support[2, 1] = 1
    W = refit(R, support, 200)
    ridged = (1 - 1 / 200) * R + np.eye(5) / 200
    np.testing.assert_allclose(W[support == 1], ridged[support == 1], atol=1e-8)
    precision = np.linalg.inv(W)
    np.testing.assert_allclose(precision[0, 2], 0, atol=1e-4)
    np.testing.assert_allclose(precision[3:, :3], 0, atol=1e-12)


def test_ebic_finds_no_edges_in_noise_and_the_true_ones_in_signal():
    rng = np.random.default_rng(7)
    noise = rng.normal(size=(30, 60))
    assert sparse_correlation(np.corrcoef(noise.T), 30).edges == 0
    chain = noise.copy()
    for g in range(1, 10):
        chain[:, g] = 0.95 * chain[:, g - 1] + 0.3 * noise[:, g]
    fit = sparse_correlation(np.corrcoef(chain.T), 30)
    assert fit.edges >= 5
    inside = np.triu(fit.precision != 0, 1)[:10, :10].sum()
    assert inside / fit.edges > 0.8


def test_shrinkage_is_ledoit_wolf_on_correlations():
    cohort = bd.simulate.convolution(n_genes=30, n_types=2, replicates=15, factor_sd=0.4, seed=2)
    values, codes = cohort.purified.to_numpy(), np.repeat([0, 1], 15)
    found = estimate_covariance(values, codes, ["a", "b"], "shrinkage", Notes()).covariance
    assert isinstance(found, FactorCovariance)
    x = values[:, :15].T
    standard = (x - x.mean(0)) / x.std(0, ddof=1)
    expected = LedoitWolf().fit(standard)
    correlation = (1 - expected.shrinkage_) * np.corrcoef(x.T)
    sd = np.sqrt(found.variances()[:, 0])
    matrix = found.matrix(0) / np.outer(sd, sd)
    np.testing.assert_allclose(
        matrix - np.diag(np.diag(matrix)), correlation - np.diag(np.diag(correlation)), atol=1e-10
    )


def test_factor_shares_its_diagonal():
    cohort = bd.simulate.convolution(n_genes=50, n_types=3, replicates=8, seed=2)
    found = estimate_covariance(
        cohort.purified.to_numpy(), np.repeat(np.arange(3), 8), list("abc"), "factor", Notes()
    ).covariance
    assert isinstance(found, FactorCovariance)
    ratio = found.D / found.D[:, :1]
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[0], ratio.shape), rtol=1e-12)
    from bayesdecov.algebra.compressed import Compressed

    assert isinstance(found.density(cohort.mean.to_numpy(), counting=False), Compressed)


def test_noise_comes_off_and_stays_positive_definite():
    rng = np.random.default_rng(8)
    A = rng.normal(size=(20, 4))
    biology = A @ A.T + 0.5 * np.eye(20)
    noise = rng.uniform(0.5, 2.0, (20, 1))
    total = biology + np.diag(noise[:, 0])
    found = DenseCovariance(total[None]).without_noise(noise)
    np.testing.assert_allclose(found.matrix(0), biology, atol=1e-10)
    too_much = DenseCovariance(total[None]).without_noise(noise * 100)
    assert np.linalg.eigvalsh(too_much.matrix(0))[0] > 0


def test_markers_mark():
    cohort = bd.simulate.convolution(n_genes=300, n_types=4, replicates=6, seed=3)
    reference = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal", genes=40)
    chosen = cohort.mean.loc[reference.genes]
    top = chosen.to_numpy().argsort(1)
    best, second = np.take_along_axis(chosen.to_numpy(), top[:, [-1, -2]], 1).T
    assert np.median(best / second) > 4
    assert np.bincount(top[:, -1], minlength=4).min() >= 8  # every type gets its share


def test_markers_do_not_depend_on_the_order_of_genes_or_types():
    cohort = bd.simulate.convolution(n_genes=120, n_types=3, replicates=5, seed=9)
    usual = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal", genes=30)
    shuffled = cohort.purified.sample(frac=1, random_state=1).sample(frac=1, axis=1, random_state=2)
    other = bd.Reference.from_samples(shuffled, cohort.labels, "diagonal", genes=30)
    assert set(usual.genes) == set(other.genes)
