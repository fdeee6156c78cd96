"""Covariances from replicates: what all estimators have in common."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning, InputError, Notes
from bayesdecov.reference.estimate import ESTIMATORS, estimate_covariance
from bayesdecov.reference.glasso import refit, sparse_correlation
from bayesdecov.reference.structures import DenseCovariance, FactorCovariance
from bayesdecov.reference.variance import moderate


def correlated(seed, replicates=(12, 8), n_genes=12):
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(replicates)), replicates)
    factor = rng.normal(size=len(codes))
    values = 40 + 3 * rng.normal(size=(n_genes, len(codes)))
    values[: n_genes // 2] += 6 * factor
    return values, codes


def moderated(values, codes):
    groups = [values[:, codes == j] for j in range(codes.max() + 1)]
    mean = np.stack([group.mean(axis=1) for group in groups], axis=1)
    variance = np.stack([group.var(axis=1, ddof=1) for group in groups], axis=1)
    return moderate(mean, variance, np.bincount(codes)).variances


@pytest.mark.parametrize("method", ESTIMATORS)
def test_variances_are_moderated_whatever_the_correlations(method):
    values, codes = correlated(0)
    found = estimate_covariance(values, codes, ["a", "b"], method, Notes())
    expected = moderated(values, codes)
    if method != "factor":  # which shares its diagonal
        np.testing.assert_allclose(found.covariance.variances(), expected, rtol=1e-10)
    if method == "diagonal":
        np.testing.assert_array_equal(found.covariance.matrix(0), np.diag(expected[:, 0]))


@pytest.mark.parametrize("method", ["glasso", "glasso-refit"])
def test_a_graphical_lasso_of_each_type_with_moderated_variances(method):
    values, codes = correlated(1)
    found = estimate_covariance(values, codes, ["a", "b"], method, Notes())
    assert isinstance(found.covariance, DenseCovariance)
    for j, name in enumerate("ab"):
        n = (codes == j).sum()
        R = np.corrcoef(values[:, codes == j])
        fit = sparse_correlation(R, n)
        sparse = fit.covariance if method == "glasso" else refit(R, fit.precision, n)
        sd = np.sqrt(moderated(values, codes)[:, j] / np.diag(sparse))
        np.testing.assert_allclose(
            found.covariance.matrix(j), sparse * np.outer(sd, sd), rtol=1e-8, atol=1e-10
        )
        assert f"{fit.edges} edges" in found.settings["cell_types"][name]
    assert fit.edges > 0


@pytest.mark.parametrize("method", ESTIMATORS)
def test_the_order_of_samples_is_irrelevant(method):
    values, codes = correlated(2)
    order = np.random.default_rng(0).permutation(len(codes))
    one = estimate_covariance(values, codes, ["a", "b"], method, Notes())
    other = estimate_covariance(values[:, order], codes[order], ["a", "b"], method, Notes())
    for j in range(2):
        np.testing.assert_allclose(one.covariance.matrix(j), other.covariance.matrix(j), rtol=1e-7)


def test_no_edge_anywhere_is_stored_as_a_diagonal():
    rng = np.random.default_rng(3)
    values, codes = 40 + rng.normal(size=(8, 20)), np.repeat([0, 1], 10)
    found = estimate_covariance(values, codes, ["a", "b"], "glasso", Notes()).covariance
    assert isinstance(found, FactorCovariance)
    assert found.U.shape == (8, 0)


def test_full_matrices_are_not_made_of_thousands_of_genes():
    values = np.random.default_rng(4).gamma(2.0, 2.0, (2001, 6))
    codes = np.repeat([0, 1], 3)
    with pytest.raises(
        InputError, match=r"covariance: 'glasso-refit' stores .* found 2001"
    ) as said:
        estimate_covariance(values, codes, ["a", "b"], "glasso-refit", Notes())
    assert "'shrinkage'" in said.value.fix
    found = estimate_covariance(values, codes, ["a", "b"], "shrinkage", Notes())
    assert found.covariance.D.shape == (2001, 2)


@pytest.mark.parametrize("replicates", [2, 3, 6, 25])
@pytest.mark.parametrize("method", ESTIMATORS)
def test_positive_definite_from_two_replicates_up(method, replicates):
    cohort = bd.simulate.convolution(n_genes=40, n_types=3, replicates=replicates, seed=replicates)
    values = cohort.purified.to_numpy().copy()
    values[3, :replicates] = values[3, 0]  # a gene that does not vary in one type
    codes = np.repeat(np.arange(3), replicates)
    warned = replicates < 5 and "glasso" in method
    with pytest.warns(BayesdecovWarning) if warned else nullcontext():
        found = estimate_covariance(values, codes, list("abc"), method, Notes()).covariance
    for j in range(3):
        matrix = found.matrix(j)
        np.testing.assert_allclose(matrix, matrix.T)
        assert np.linalg.eigvalsh(matrix)[0] > 0
        np.testing.assert_allclose(np.diag(matrix), found.variances()[:, j])


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
