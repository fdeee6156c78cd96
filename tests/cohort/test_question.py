"""Designs and comparisons against columns that are made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesdecov.cohort.question import design
from bayesdecov.errors import InputError


def covariates(n=30, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.uniform(20, 80, n),
            "arm": np.tile(["c", "a", "b"], n // 3),
            "sick": rng.permutation(np.arange(n) % 3 == 0),
        },
        [f"s{i}" for i in range(n)],
    )


def standard(column):
    column = np.asarray(column, dtype=float)
    return (column - column.mean()) / column.std(ddof=1)


def test_columns_are_standardised_behind_the_intercept():
    table = covariates()
    found = design(table, "~ age + arm", None)
    expected = [
        np.ones(30),
        standard(table["age"]),
        standard(table["arm"] == "b"),
        standard(table["arm"] == "c"),
    ]
    np.testing.assert_allclose(found.X, np.column_stack(expected))
    assert found.columns[0] == "Intercept"
    assert len(found.columns) == 4


def test_labels_are_compared_with_the_first_and_numbers_between_quartiles():
    table = covariates()
    low, high = np.quantile(table["age"], [0.25, 0.75])
    names = [question.name for question in design(table, None, None).questions]
    assert names == [
        f"age: {high:.4g} - {low:.4g}",
        "arm: b - a",
        "arm: c - a",
        "sick: True - False",
    ]
    kinds = pd.Categorical(table["arm"], ["c", "b", "a", "unseen"])
    found = design(table.assign(arm=kinds), "~ arm", None).questions
    assert [question.name for question in found] == ["arm: b - c", "arm: a - c"]
    two = design(table.assign(dose=np.tile([1.0, 5.0], 15)), "~ dose", None).questions
    assert [question.name for question in two] == ["dose: 5 - 1"]
    skewed = table.assign(age=np.r_[1.0, 7.0, np.full(28, 3.0)])  # both quartiles are 3
    assert design(skewed, "~ age", None).questions[0].name == "age: 7 - 1"


def test_a_question_sets_the_covariate_and_averages_over_the_others():
    table = covariates()
    found = design(table, "~ age * sick", {"age": (30, 60)})
    question = found.questions[0]
    assert (question.covariate, question.first, question.second) == ("age", "30", "60")
    mean, sd = table["age"].mean(), table["age"].std(ddof=1)
    sick = standard(table["sick"])
    product = standard(table["age"]) * sick  # which is standardised again
    sides = []
    for value in (30, 60):
        age = np.full(30, (value - mean) / sd)
        both = (age * sick - product.mean()) / product.std(ddof=1)
        sides.append(np.column_stack([np.ones(30), age, sick, both]))
    np.testing.assert_allclose(question.step, (sides[1] - sides[0]).mean(axis=0), atol=1e-12)
    assert len(question.weights) == 2  # rows that are alike are one
    assert question.weights.sum() == pytest.approx(1)
    for rows, side in ((question.X_first, sides[0]), (question.X_second, sides[1])):
        np.testing.assert_allclose(question.weights @ rows, side.mean(axis=0), atol=1e-9)
        np.testing.assert_allclose(
            np.unique(rows.round(8), axis=0), np.unique(side.round(8), axis=0)
        )


def test_the_order_of_samples_and_the_unit_of_numbers_are_irrelevant():
    table = covariates()
    one = design(table, "~ age + arm", {"age": (30, 60)})
    order = np.random.default_rng(1).permutation(30)
    other = design(
        table.iloc[order].assign(age=12 * table["age"]), "~ age + arm", {"age": (360, 720)}
    )
    np.testing.assert_allclose(other.X, one.X[order], atol=1e-12)
    for first, second in zip(one.questions, other.questions, strict=True):
        np.testing.assert_allclose(first.step, second.step, atol=1e-12)


def test_turning_a_question_round_changes_its_sign():
    table = covariates()
    there = design(table, None, {"arm": ("a", "c"), "sick": (False, True)}).questions
    back = design(table, None, {"arm": ("c", "a"), "sick": ("True", "False")}).questions
    for one, other in zip(there[1:], back[1:], strict=True):
        np.testing.assert_allclose(one.step, -other.step)
        np.testing.assert_allclose(one.weights @ one.X_first, other.weights @ other.X_second)


@pytest.mark.parametrize(("at", "said"), [
    (5, "must map covariates to two values; found 5"),
    ({"weight": (1, 2)}, "must name covariates of the formula (age, arm, sick); found weight"),
    ({"age": 5}, "must give two values of 'age'; found 5"),
    ({"arm": "ab"}, "must give two values of 'arm'; found 'ab'"),
    ({"age": (1, 2, 3)}, "must give two values of 'age'"),
    ({"age": (30, 30.0)}, "must give two different values of 'age'"),
    ({"age": (30, "old")}, "must be numbers for numeric 'age'; found 'old'"),
    ({"age": (30, np.inf)}, "must be numbers for numeric 'age'; found inf"),
    ({"arm": ("a", "z")}, "must be labels of 'arm': a, b, c; found 'z'"),
])  # fmt: skip
def test_values_that_cannot_be_compared_are_refused(at, said):
    with pytest.raises(InputError) as caught:
        design(covariates(), None, at)
    assert caught.value.argument == "at"
    assert said in str(caught.value)


def test_covariates_that_say_nothing_are_refused():
    table = covariates()
    for given, said in (
        (table.assign(twin=2 * table["age"] + 1), "must not determine each other"),
        (table.assign(who=[f"p{i}" for i in range(30)]), "30 different values in 'who'"),
        (
            table[["age", "arm"]].iloc[:5],
            "must leave at least 2 more samples than columns; found 5 samples, 4 columns",
        ),
    ):
        with pytest.raises(InputError, match="covariates: ") as caught:
            design(given, None, None)
        assert said in str(caught.value)
    with pytest.raises(InputError, match=r"must give a finite design, unlike age = 0"):
        design(table, "~ log(age)", {"age": (30, 0)})
