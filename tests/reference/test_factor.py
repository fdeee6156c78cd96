"""Low-rank covariances against Ledoit and Wolf's estimator on whole matrices."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

import bayesdecov as bd
from bayesdecov.algebra.compressed import Compressed
from bayesdecov.errors import Notes
from bayesdecov.reference.estimate import estimate_covariance
from bayesdecov.reference.factor import factor_covariance, shrinkage_covariance
from bayesdecov.reference.structures import FactorCovariance

NAMES = ["a", "b", "c"]


def drawn(seed, replicates=(9, 6, 4), n_genes=15):
    """Correlated profiles (gene, sample), codes, means, and variances of another origin."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(3), replicates)
    loadings = rng.normal(size=(n_genes, 2))
    noise = rng.normal(size=(n_genes, len(codes)))
    profiles = 50 + 3 * loadings @ rng.normal(size=(2, len(codes))) + noise
    means = np.stack([profiles[:, codes == j].mean(axis=1) for j in range(3)], axis=1)
    return profiles, codes, means, rng.gamma(5.0, 1.0, (n_genes, 3))


def test_the_factor_estimate_is_the_shrunken_sample_covariance():
    profiles, codes, means, variances = drawn(0)
    found, settings = factor_covariance(profiles, codes, means, variances, NAMES)
    level = np.exp(np.log(variances).mean(axis=0))
    D = (variances / level).mean(axis=1)
    for j, name in enumerate(NAMES):
        mine = profiles[:, codes == j].T
        weight = LedoitWolf().fit(mine / np.sqrt(D)).shrinkage_
        assert 0.01 < weight < 1
        expected = weight * np.diag(D) * np.mean(variances[:, j] / D)
        expected += (1 - weight) * np.cov(mine.T)
        np.testing.assert_allclose(found.matrix(j), expected, atol=1e-10)
        factors = len(mine) - 1
        assert settings[name] == f"shrinkage weight {weight:.3g}, {factors} factors"
    np.testing.assert_allclose(found.D, D[:, None] * found.multiplier)


def test_the_shrinkage_estimate_keeps_the_given_variances():
    profiles, codes, means, variances = drawn(1)
    found, _ = shrinkage_covariance(profiles, codes, means, variances, NAMES)
    np.testing.assert_allclose(found.variances(), variances)
    for j in range(3):
        mine = profiles[:, codes == j].T
        standard = (mine - mine.mean(axis=0)) / mine.std(axis=0, ddof=1)
        weight = LedoitWolf().fit(standard).shrinkage_
        R = weight * np.eye(15) + (1 - weight) * np.corrcoef(mine.T)
        sd = np.sqrt(variances[:, j])
        np.testing.assert_allclose(found.matrix(j), R * np.outer(sd, sd), atol=1e-10)


@pytest.mark.parametrize("estimate", [factor_covariance, shrinkage_covariance])
def test_the_unit_and_the_order_of_genes_and_samples_are_irrelevant(estimate):
    profiles, codes, means, variances = drawn(2)
    rng = np.random.default_rng(3)
    rows, columns = rng.permutation(15), rng.permutation(len(codes))
    found, _ = estimate(profiles, codes, means, variances, NAMES)
    other, _ = estimate(
        7 * profiles[rows][:, columns], codes[columns], 7 * means[rows], 49 * variances[rows], NAMES
    )
    for j in range(3):
        expected = 49 * found.matrix(j)[np.ix_(rows, rows)]
        np.testing.assert_allclose(other.matrix(j), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("estimate", [factor_covariance, shrinkage_covariance])
def test_two_replicates_say_nothing_of_correlations(estimate):
    profiles, codes, means, variances = drawn(4, replicates=(2, 1, 3))
    found, settings = estimate(profiles, codes, means, variances, NAMES)
    assert settings["a"].startswith("shrinkage weight 1")
    assert found.owner.tolist() == [2, 2]
    np.testing.assert_array_equal(found.matrix(0), np.diag(np.diag(found.matrix(0))))


def test_a_gene_that_does_not_vary_is_uncorrelated_and_keeps_its_variance():
    profiles, codes, means, variances = drawn(5)
    profiles[4, codes == 1] = means[4, 1] = 3.0
    found, _ = shrinkage_covariance(profiles, codes, means, variances, NAMES)
    row = found.matrix(1)[4]
    assert row[4] == pytest.approx(variances[4, 1])
    np.testing.assert_allclose(np.delete(row, 4), 0.0, atol=1e-13)


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
    assert isinstance(found.density(cohort.mean.to_numpy(), counting=False), Compressed)
