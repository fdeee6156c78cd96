"""Discriminant scores gene by gene and sample by sample, and what a new sample must have."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.errors import InputError
from bayesdecov.mixed_effects.scores import discriminant_scores

TRAIN = 24


@pytest.fixture(scope="module")
def cohort():
    """Two covariates, one of them with two labels, and 30 samples."""
    rng = np.random.default_rng(3)
    data = bd.simulate.fastmix("III", n_genes=80, n_samples=30, proportions="dirichlet", seed=3)
    group = data.covariates["Group"].map({0: "control", 1: "ill"})
    table = pd.DataFrame({"group": group, "age": rng.uniform(20, 80, 30)}, data.covariates.index)
    return data.expression, data.proportions, table


@pytest.fixture(scope="module")
def fit(cohort):
    Y, P, D = cohort
    return bd.fastmix(Y.iloc[:, :TRAIN], P, D.iloc[:TRAIN], "map")


def new(cohort):
    Y, P, D = cohort
    return Y.iloc[:, TRAIN:], P.iloc[TRAIN:], D.iloc[TRAIN:]


def expected(fit, P, D, sample, group):
    """Design row of a sample, from the training means and standard deviations."""
    scale = fit.design.coding.scaling
    coded = {
        "age": (D.loc[sample, "age"] - scale.loc["age", "mean"]) / scale.loc["age", "sd"],
        "group[T.ill]": (float(group == "ill") - scale.loc["group[T.ill]", "mean"])
        / scale.loc["group[T.ill]", "sd"],
    }
    row = []
    for column in fit.design.table.columns:
        cell, _, rest = column.partition(".")
        row.append(coded[column] if column in coded else P.loc[sample, cell] * coded.get(rest, 1))
    return np.array(row)


@pytest.mark.parametrize("sparse", ["interactions", "all"])
def test_scores_are_the_projections_written_out(fit, cohort, sparse):
    Y, P, D = new(cohort)
    level = 0.3
    found = discriminant_scores(fit, Y, P, D, "group", level=level, sparse=sparse)
    kinds, columns = fit.design.columns["kind"], list(fit.design.table.columns)
    assert found.response == ("control", "ill")
    thin = pd.DataFrame(0.0, fit.gene_names, columns)
    for name in fit.random:
        p = fit.p_values[name]
        always = sparse == "interactions" and kinds[name] != "product"
        j = fit.random.index(name)
        thin[name] = np.where(always | (p < level), fit.estimate.gamma[:, j], 0.0)
    for sample in Y.columns:
        x0, x1 = (expected(fit, P, D, sample, label) for label in ("control", "ill"))
        e = Y[sample] - fit.effects @ x0
        delta = fit.effects @ (x1 - x0)
        size = np.linalg.norm(delta)
        row = found.single.loc[sample]
        assert row["single"] == pytest.approx(e @ delta / size, rel=1e-8)
        assert row["midpoint"] == pytest.approx(size / 2, rel=1e-8)
        np.testing.assert_allclose(found.multi[sample], e * delta, rtol=1e-7, atol=1e-10)
        fixed, part = fit.estimate.beta @ (x1 - x0), thin @ (x1 - x0)
        short = fixed + part
        assert row["single_sparse"] == pytest.approx(e @ short / np.linalg.norm(short), rel=1e-8)
        assert row["midpoint_sparse"] == pytest.approx(np.linalg.norm(short) / 2, rel=1e-8)
        assert found.multi_sparse.loc["fixed", sample] == pytest.approx(e.sum() * fixed)
        for gene in found.multi_sparse.index[1:]:
            slow = e[gene] * part[gene]
            assert found.multi_sparse.loc[gene, sample] == pytest.approx(slow, rel=1e-6, abs=1e-10)
    picked = [
        name
        for name in fit.random
        if "group" in name and (sparse == "all" or kinds[name] == "product")
    ]
    listed = fit.gene_names[(fit.p_values[picked] < level).any(axis=1)]
    assert set(found.multi_sparse.index[1:]) == set(listed)
    assert len(listed) > 5


def test_what_the_model_expects_scores_zero_or_twice_the_midpoint(fit, cohort):
    _, P, D = new(cohort)
    for label, factor in (("control", 0), ("ill", 2)):
        X = np.array([expected(fit, P, D, sample, label) for sample in P.index])
        Y = pd.DataFrame(fit.effects.to_numpy() @ X.T, fit.gene_names, P.index)
        single = discriminant_scores(fit, Y, P, D, "group").single
        np.testing.assert_allclose(single["single"], factor * single["midpoint"], atol=1e-8)


def test_the_response_is_not_looked_at_and_neither_is_any_order(fit, cohort):
    Y, P, D = new(cohort)
    base = discriminant_scores(fit, Y, P, D, "group")
    rng = np.random.default_rng(1)
    wrong = D.assign(group="control").iloc[rng.permutation(len(D))]
    for table in (wrong, D.drop(columns="group")):
        found = discriminant_scores(fit, Y.iloc[rng.permutation(80)], P.iloc[::-1], table, "group")
        pd.testing.assert_frame_equal(found.single, base.single)
        pd.testing.assert_frame_equal(found.multi, base.multi)
    one = discriminant_scores(fit, Y.iloc[:, [2]], P, D, "group")
    pd.testing.assert_frame_equal(one.single, base.single.iloc[[2]])


def test_without_other_covariates_none_are_needed(cohort):
    Y, P, D = cohort
    fit = bd.fastmix(Y.iloc[:, :TRAIN], P, D.iloc[:TRAIN], "map", formula="~ group")
    Y, P, D = new(cohort)
    pd.testing.assert_frame_equal(
        discriminant_scores(fit, Y, P, None, "group").single,
        discriminant_scores(fit, Y, P, D, "group").single,
    )


def test_what_is_refused(fit, cohort):
    Y, P, D = new(cohort)
    for arguments, message in (
        ((Y.iloc[3:], P, D, "group"), "new_expression: must have every gene of the fit; found 3"),
        (
            (Y, P.iloc[1:], D, "group"),
            "new_proportions: must include every new sample; found none",
        ),
        ((Y, P, D.iloc[1:], "group"), "new_covariates: must include every new sample"),
        ((Y, P.drop(columns="Cell1"), D, "group"), "new_proportions: must have the cell types"),
        ((Y, P, D.drop(columns="age"), "group"), "new_covariates: must have the covariates"),
        ((Y, P, D, "age"), "response: must be a covariate with two values.* Choose one of group"),
    ):
        with pytest.raises(InputError, match=message):
            discriminant_scores(fit, *arguments)
    with pytest.raises(InputError, match="sparse: must be one of 'interactions', 'all'"):
        discriminant_scores(fit, Y, P, D, "group", sparse="none")
    with pytest.raises(InputError, match="level"):
        discriminant_scores(fit, Y, P, D, "group", level=2.0)
