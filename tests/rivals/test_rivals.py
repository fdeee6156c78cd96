"""Rivals against independent implementations, and what they do under the null."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.linear_model import Ridge

import bayesdecov as bd
from bayesdecov.errors import InputError
from bayesdecov.rivals import RIVALS, differential
from bayesdecov.rivals.rival import RivalData


@pytest.fixture(scope="module")
def cohort():
    return bd.simulate.fastmix("III", "code", 300, 40, seed=3)


def tables(cohort):
    return cohort.expression, cohort.proportions, cohort.covariates


def test_interaction_is_statsmodels_gene_by_gene(cohort):
    found = differential(*tables(cohort))
    X = bd.fastmix(*tables(cohort), "map").design.table
    for gene in ("gene00001", "gene00123"):
        theirs = sm.OLS(cohort.expression.loc[gene, X.index].to_numpy(), X.to_numpy()).fit()
        ours = found[found["gene"] == gene].set_index("covariate").loc[list(X.columns)]
        np.testing.assert_allclose(ours["effect"], theirs.params, rtol=1e-8)
        np.testing.assert_allclose(ours["sd"], theirs.bse, rtol=1e-8)
        np.testing.assert_allclose(ours["p_value"], theirs.pvalues, rtol=1e-6)


def test_ridge_is_the_best_penalty_of_each_gene(cohort):
    found = differential(*tables(cohort), "ridge")
    X = bd.fastmix(*tables(cohort), "map").design.table.to_numpy()
    for gene in ("gene00001", "gene00050"):
        y = cohort.expression.loc[gene].to_numpy()
        loo = {}
        for penalty in np.logspace(-6, 3, 91):  # exact leave-one-out errors
            hat = X @ np.linalg.solve(X.T @ X + penalty * np.eye(X.shape[1]), X.T)
            loo[penalty] = np.mean(((y - hat @ y) / (1 - np.diag(hat))) ** 2)
        best = min(loo, key=loo.__getitem__)
        theirs = Ridge(best, fit_intercept=False).fit(X, y).coef_
        ours = found[found["gene"] == gene]["effect"]
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert found["p_value"].isna().all()


def test_cssam_statistics_by_hand(cohort):
    found = differential(*tables(cohort), "cssam", permutations=5, seed=1)
    group = cohort.covariates["Group"].to_numpy() == 1
    P = cohort.proportions.to_numpy()
    for gene in ("gene00002", "gene00200"):
        y = cohort.expression.loc[gene].to_numpy()
        fits = [sm.OLS(y[rows], P[rows]).fit() for rows in (group, ~group)]
        ours = found[found["gene"] == gene]
        np.testing.assert_allclose(ours["effect"], fits[0].params - fits[1].params, rtol=1e-8)
        sd = np.sqrt(fits[0].bse ** 2 + fits[1].bse ** 2)
        np.testing.assert_allclose(ours["sd"], sd, rtol=1e-8)
    assert found["covariate"].unique().tolist() == ["Cell1.Group", "Cell2.Group", "Cell3.Group"]


def test_cssam_rates_by_counting():
    """P-values and false-discovery rates from all permuted statistics, one by one."""
    rng = np.random.default_rng(0)
    Y, P = rng.normal(size=(30, 24)), rng.dirichlet([3, 3], 24)
    group = np.arange(24) < 12
    data = RivalData(Y, np.column_stack([P, P * group[:, None]]), P, group, [2, 3])
    found = RIVALS["cssam"].estimate(data, np.random.default_rng(7), 15)

    def statistic(labels, damping):
        differences, sds = np.empty((30, 2)), np.empty((30, 2))
        for g in range(30):
            a, b = (sm.OLS(Y[g, rows], P[rows]).fit() for rows in (labels, ~labels))
            differences[g] = a.params - b.params
            sds[g] = np.sqrt(a.bse**2 + b.bse**2)
        damping = np.median(sds, axis=0) if damping is None else damping
        return np.abs(differences / (sds + damping)), damping

    own, damping = statistic(group, None)
    draws = np.random.default_rng(7)
    chance = np.stack([statistic(draws.permutation(group), damping)[0] for _ in range(15)])
    for j in (0, 1):
        count = np.array([(chance[:, :, j] >= s).sum() for s in own[:, j]])
        np.testing.assert_allclose(found.p_values[:, 2 + j], (count + 1) / (15 * 30 + 1))
        raw = np.minimum(
            [(c / 15) / (own[:, j] >= s).sum() for c, s in zip(count, own[:, j], strict=True)], 1
        )
        smallest = [raw[own[:, j] <= s].min() for s in own[:, j]]
        np.testing.assert_allclose(found.fdr[:, 2 + j], smallest)


def test_interaction_tests_hold_their_level():
    """Without shifted genes but with random effects of zero: P(p < .05) = .05."""
    cohort = bd.simulate.fastmix("III", n_genes=2000, n_samples=40, seed=5)
    noise = np.random.default_rng(1).normal(size=cohort.expression.shape)
    null = pd.DataFrame(noise, cohort.expression.index, cohort.expression.columns)
    p = differential(null, cohort.proportions, cohort.covariates)["p_value"]
    assert abs((p < 0.05).mean() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 2000 / 7) * 2


def test_wrong_questions(cohort):
    with pytest.raises(InputError, match="method: must be one of 'interaction', 'ridge', 'cssam'"):
        differential(*tables(cohort), "toast")
    number = cohort.covariates.assign(Group=np.arange(40.0))
    with pytest.raises(InputError, match="'cssam' must have covariates that define two groups"):
        differential(cohort.expression, cohort.proportions, number, "cssam")
    with pytest.raises(InputError, match="permutations"):
        differential(*tables(cohort), "cssam", permutations=0)


def test_records_are_complete():
    for name, rival in RIVALS.items():
        assert rival.name == name
        assert rival.title
        assert rival.doi.startswith("10.")
        assert rival.estimate.__doc__
