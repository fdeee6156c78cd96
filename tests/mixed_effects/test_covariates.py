"""Covariates as columns: standardised by hand, the same again for new samples, and refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesdecov.errors import InputError
from bayesdecov.mixed_effects.covariates import encode

N = 12


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.uniform(20, 80, N),
            "dose": rng.lognormal(size=N),
            "arm": list("abca") * 3,
            "sex": ["m", "f"] * 6,
        },
        index=[f"s{i}" for i in range(N)],
    )


def z(x):
    x = np.asarray(x, dtype=float)
    return (x - x.mean()) / np.sqrt(np.square(x - x.mean()).sum() / (len(x) - 1))


def test_columns_are_standardised_and_labels_are_compared_with_their_first_value(table):
    columns, coding = encode(table, None)
    slow = {
        "age": z(table["age"]),
        "dose": z(table["dose"]),
        "arm[T.b]": z(table["arm"] == "b"),
        "arm[T.c]": z(table["arm"] == "c"),
        "sex[T.m]": z(table["sex"] == "m"),
    }
    assert sorted(columns) == sorted(slow)
    for name, values in slow.items():
        np.testing.assert_allclose(columns[name], values, rtol=1e-10)
    assert coding.columns == list(columns)
    assert coding.labelled == {"arm", "sex"}
    assert list(coding.binary) == ["sex"]
    assert coding.binary["sex"].tolist() == ["f", "m"]


def test_products_are_of_standardised_columns_and_standardised_again(table):
    columns, _ = encode(table, "~ age * dose")
    np.testing.assert_allclose(columns["age:dose"], z(z(table["age"]) * z(table["dose"])))
    plain, coding = encode(table, "~ age * dose", standardise=False)
    np.testing.assert_allclose(plain["age:dose"], table["age"] * table["dose"])
    assert (coding.scaling["sd"] == 1).all()
    assert (coding.scaling["mean"] == 0).all()


def test_units_of_a_covariate_do_not_matter(table):
    other = table.assign(age=365.25 * table["age"] - 40, dose=-2 * table["dose"])
    columns, _ = encode(table, "~ age * dose + sex")
    changed, _ = encode(other, "~ age * dose + sex")
    signs = pd.Series({"age": 1, "dose": -1, "sex[T.m]": 1, "age:dose": -1})[list(columns)]
    np.testing.assert_allclose(changed, columns * signs, atol=1e-10)


@pytest.mark.parametrize("formula", [None, "~ age * dose + arm", "~ age:sex + age + np.log(dose)"])
@pytest.mark.parametrize("standardise", [True, False])
def test_new_samples_are_put_on_the_scale_of_the_training_samples(table, formula, standardise):
    """Any samples again, alone or in another order, with labels that are not all there."""
    columns, coding = encode(table, formula, standardise=standardise)
    for rows in ([3], [7, 2, 5], range(N)):
        again = coding.apply(table.iloc[list(rows)].assign(other="x"))
        np.testing.assert_allclose(again, columns.iloc[list(rows)], atol=1e-10)
        assert list(again) == list(columns)
        assert list(again.index) == list(table.index[list(rows)])


def test_what_the_formula_does_not_use_may_have_gaps(table):
    table = table.assign(dose=np.nan, batch="")
    columns, coding = encode(table, "~ age")
    assert list(columns) == ["age"]
    assert coding.sources == ("age",)


def test_dtypes_of_labels_do_not_matter(table):
    expected, _ = encode(table, "~ arm")
    levels = pd.Categorical(table["arm"], categories=["a", "b", "c", "unused"])
    for column in (levels, table["arm"].astype("string"), table["arm"].astype("category")):
        found, _ = encode(table.assign(arm=column), "~ arm")
        pd.testing.assert_frame_equal(found, expected)
    flag, _ = encode(table.assign(on=table["sex"] == "m"), "~ on")
    np.testing.assert_allclose(flag.to_numpy()[:, 0], z(table["sex"] == "m"))


@pytest.mark.parametrize(
    ("change", "formula", "message"),
    [
        ({}, "~ age - 1", "formula: must not remove the intercept; found '~ age - 1'"),
        ({}, "~ 1", "formula: must name a covariate"),
        ({"age": 3.0}, None, "covariates: must vary between samples; found constant: age"),
        ({"sex": "m"}, "~ sex + age", "constant: sex"),
        ({"age": [np.inf, *range(N - 1)]}, None, "1, the first for sample 's0' in column 'age'"),
        ({"sex": [" ", *["m", "f"] * 5, "m"]}, "~ sex", "must not have missing values.*'sex'"),
        ({"age": [*map(str, range(N - 1)), "old"]}, "~ age",
         "must not mix numbers and text in a column; found 'old' for sample 's11'"),
    ],
)  # fmt: skip
def test_what_is_refused(table, change, formula, message):
    with pytest.raises(InputError, match=message):
        encode(table.assign(**change), formula)


def test_new_samples_need_the_covariates_of_the_fit(table):
    _, coding = encode(table, "~ age + sex")
    with pytest.raises(InputError, match=r"must have the covariates of the fit.*no column sex"):
        coding.apply(table.drop(columns="sex"))
    with pytest.raises(InputError, match="new_covariates: must not have missing values"):
        coding.apply(table.assign(age=np.nan))
