"""Designs: columns, standardisation, aliased columns, new samples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning, InputError

SAMPLES = [f"s{i}" for i in range(30)]


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    P = pd.DataFrame(rng.dirichlet([4, 3, 2], 30), SAMPLES, ["T", "B", "Mono"])
    D = pd.DataFrame(
        {
            "age": rng.normal(50, 10, 30),
            "arm": rng.choice(["a", "b", "c"], 30),
            "sex": rng.random(30) < 0.5,
        },
        SAMPLES,
    )
    Y = pd.DataFrame(rng.normal(5, 1, (80, 30)), [f"g{i}" for i in range(80)], SAMPLES)
    return Y, P, D


def test_proportions_that_sum_to_one(parts):
    """Covariates lose their main effects, and the result says so."""
    de = bd.fastmix(*parts, formula="~ age")
    columns = ["T", "B", "Mono", "T.age", "B.age", "Mono.age"]
    assert de.design.table.columns.tolist() == columns
    assert any("no separate main effects" in note for note in de.notes)
    age = parts[2]["age"]
    scaled = (age - age.mean()) / age.std(ddof=1)
    np.testing.assert_allclose(de.design.table["B.age"], parts[1]["B"] * scaled)
    np.testing.assert_allclose(de.design.coding.scaling.loc["age"], [age.mean(), age.std(ddof=1)])


def test_main_effects_would_be_aliased_and_are_named(parts):
    with pytest.raises(InputError, match=r"Mono\.age is determined by age \+ T\.age \+ B\.age"):
        bd.fastmix(*parts, formula="~ age", design=bd.DesignOptions(include_covariates=True))


def test_reference_cell_type(parts):
    de = bd.fastmix(*parts, formula="~ age", design=bd.DesignOptions(reference_cell_type="Mono"))
    assert de.design.table.columns.tolist() == ["T", "B", "Mono", "age", "T.age", "B.age"]
    # the same space: effects in the reference plus differences are the effects themselves
    plain = bd.fastmix(*parts, formula="~ age")
    np.testing.assert_allclose(
        de.fitted.to_numpy().mean(0), plain.fitted.to_numpy().mean(0), rtol=0.02
    )
    fixed = bd.fastmix(
        *parts, "map", formula="~ age", design=bd.DesignOptions(reference_cell_type="Mono")
    ).fixed["estimate"]
    other = bd.fastmix(*parts, "map", formula="~ age").fixed["estimate"]
    np.testing.assert_allclose(fixed["age"] + fixed["T.age"], other["T.age"], rtol=1e-8)


def test_rest(parts):
    """A measured rest is the baseline: the same space, other coordinates."""
    Y, P, D = parts
    baseline = bd.fastmix(Y, P, D, "map", formula="~ age", design=bd.DesignOptions(rest="Mono"))
    columns = ["T", "B", "Intercept", "age", "T.age", "B.age"]
    assert baseline.design.table.columns.tolist() == columns
    plain = bd.fastmix(Y, P, D, "map", formula="~ age").fixed["estimate"]
    fixed = baseline.fixed["estimate"]
    np.testing.assert_allclose(fixed["Intercept"], plain["Mono"], rtol=1e-7)
    np.testing.assert_allclose(fixed["B"] + fixed["Intercept"], plain["B"], rtol=1e-7)
    np.testing.assert_allclose(fixed["age"] + fixed["T.age"], plain["T.age"], rtol=1e-7)
    added = bd.fastmix(Y, P[["T", "B"]], D, formula="~ age", design=bd.DesignOptions(rest="other"))
    np.testing.assert_allclose(added.design.table["other"], P["Mono"], atol=1e-12)
    assert "age" not in added.design.table
    with pytest.raises(InputError, match="'other' is not a cell type"):
        bd.fastmix(Y, P, D, formula="~ age", design=bd.DesignOptions(rest="other"))
    again = baseline.design.encode(P.iloc[:3], D.iloc[:3])
    pd.testing.assert_frame_equal(again, baseline.design.table.iloc[:3])


def test_rounded_proportions_are_scaled_to_one(parts):
    """Sums within 2 % of 1 are rounding, whatever hides behind it."""
    Y, P, D = parts
    exact = bd.fastmix(Y, P, D, "map", formula="~ age")
    rounded = bd.fastmix(Y, P.round(2), D, "map", formula="~ age")
    assert any("scaled to 1" in note for note in rounded.notes)
    np.testing.assert_allclose(rounded.design.table[["T", "B", "Mono"]].sum(axis=1), 1)
    np.testing.assert_allclose(rounded.fixed["estimate"], exact.fixed["estimate"], atol=0.2)
    with pytest.raises(InputError, match="is determined by"):
        bd.fastmix(
            Y, P.round(5), D, formula="~ age", design=bd.DesignOptions(include_covariates=True)
        )
    with pytest.raises(InputError, match="must be a cell type if the proportions add up to 1"):
        bd.fastmix(Y, P * 0.9999, D, formula="~ age", design=bd.DesignOptions(rest="other"))


def test_products_of_covariates_are_of_centred_ones(parts):
    """The effect of a label beside its product with age is that at the mean age."""
    Y, P, D = parts
    shifted = D.assign(age=D["age"] + 1000.0)
    one = bd.fastmix(Y, P, D, "map", formula="~ sex * age")
    two = bd.fastmix(Y, P, shifted, "map", formula="~ sex * age")
    assert "T.sex:age" in one.fixed.index
    np.testing.assert_allclose(one.fixed["estimate"], two.fixed["estimate"], rtol=1e-6)
    again = one.design.encode(P.iloc[:3], D.iloc[:3])
    pd.testing.assert_frame_equal(again, one.design.table.iloc[:3])


def test_levels_that_no_sample_has_are_no_columns(parts):
    Y, P, D = parts
    arm = pd.Categorical(D["arm"], categories=["b", "a", "c", "never"])
    de = bd.fastmix(Y, P, D.assign(arm=arm), formula="~ arm")
    assert de.design.coding.columns == ["arm[T.a]", "arm[T.c]"]


def test_labels_are_coded_against_the_first(parts):
    de = bd.fastmix(*parts, formula="~ arm + sex")
    covariates = de.design.columns["covariate"].unique().tolist()
    assert covariates == ["", "arm[T.b]", "arm[T.c]", "sex"]
    raw = bd.fastmix(
        *parts, formula="~ arm", design=bd.DesignOptions(standardise=False)
    ).design.table
    np.testing.assert_allclose(raw["T.arm[T.b]"], parts[1]["T"] * (parts[2]["arm"] == "b"))


def test_order_of_rows_does_not_matter(parts):
    Y, P, D = parts
    rng = np.random.default_rng(3)
    mixed = bd.fastmix(Y[rng.permutation(SAMPLES)], P.sample(frac=1, random_state=1), D[::-1])
    plain = bd.fastmix(Y, P, D)
    np.testing.assert_allclose(mixed.effects, plain.effects, rtol=1e-8, atol=1e-10)


def test_new_samples_use_the_training_scale(parts):
    Y, P, D = parts
    de = bd.fastmix(Y, P, D)
    again = de.design.encode(P.iloc[:4], D.iloc[:4])
    pd.testing.assert_frame_equal(again, de.design.table.iloc[:4])
    with pytest.raises(InputError, match="labels that are absent from the fit"):
        de.design.encode(P.iloc[:4], D.iloc[:4].assign(arm="z"))
    as_objects = D.iloc[:4].astype({"age": object})
    pd.testing.assert_frame_equal(de.design.encode(P.iloc[:4], as_objects), again)
    with pytest.raises(InputError, match="no column age"):
        de.design.encode(P, D.drop(columns="age"))
    with pytest.raises(InputError, match="no column B"):
        de.design.encode(P.drop(columns="B"), D)


def test_nearly_aliased_columns_are_pointed_out(parts):
    Y, P, D = parts
    D = D[["age"]].assign(almost=D["age"] + np.random.default_rng(1).normal(0, 0.05, 30))
    with pytest.warns(BayesdecovWarning, match=r"nearly aliased design columns.*T\.age"):
        de = bd.fastmix(Y, P, D, "map")
    assert de.design.columns["vif"].max() > 1000


def test_variance_inflation_is_that_of_the_coefficients(parts):
    de = bd.fastmix(*parts, formula="~ age")
    X = de.design.table.to_numpy()
    slow = np.diag(np.linalg.inv(X.T @ X)) * np.square(X).sum(axis=0)
    np.testing.assert_allclose(de.design.columns["vif"], slow, rtol=1e-9)
