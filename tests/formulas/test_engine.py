"""The engine sees no word that a file or a user wrote, and its words are turned back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from formulaic import model_matrix

from bayesdecov.errors import InputError
from bayesdecov.formulas.engine import evaluate
from bayesdecov.formulas.expressions import Call, Column, render
from bayesdecov.formulas.grammar import all_of, parse

ODD = ["Group` + {1/0} + `Group", "a:b", "a", "b", "{x}", "x[0]", "'quote'", '"', "\\", "C(a)",
       "bdv0_", "np", "C", "log", "1", "a b", "ä", "__class__", "Intercept", "%s"]  # fmt: skip


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.uniform(20, 80, 40),
            "sex": rng.choice(["m", "f"], 40),
            "arm": rng.choice(["a:b", "c", "bdv0_"], 40),
            "dose": rng.choice([1, 2, 10], 40),
        }
    )


@pytest.mark.parametrize(
    "text",
    ["age", "sex", "age * sex", "age + bs(age, df=4)", "poly(age, 2)", "C(dose)",
     "C(dose, contr.treatment(10))", "C(dose, contr.sum)", "center(age) / sex", "scale(age)",
     "log(age) + np.sqrt(age)", "I(age**2)", "arm * age", "cr(age, df=3)", "sex:arm"],
)  # fmt: skip
def test_the_same_numbers_as_formulaic(text, table):
    expected = model_matrix(text, table).drop(columns="Intercept").to_numpy(float)
    found, formula = evaluate(parse(text, list(table.columns)), table)
    assert np.allclose(found.to_numpy(), expected, atol=1e-12)
    assert np.allclose(formula.apply(table.iloc[:9]), expected[:9], atol=1e-12)


def test_names_of_columns_are_turned_back(table):
    found, formula = evaluate(parse("C(dose, Treatment(10)) + arm * age", list(table)), table)
    assert list(found) == [
        "C(dose, Treatment(10))[T.1]", "C(dose, Treatment(10))[T.2]", "arm[T.bdv0_]", "arm[T.c]",
        "age", "arm[T.bdv0_]:age", "arm[T.c]:age",
    ]  # fmt: skip
    assert formula.labelled == {"dose", "arm"}
    assert formula.products == {
        "arm[T.bdv0_]:age": ["arm[T.bdv0_]", "age"],
        "arm[T.c]:age": ["arm[T.c]", "age"],
    }


def test_odd_names_stay_text():
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.normal(size=(60, len(ODD))), columns=ODD)
    found, formula = evaluate(all_of(ODD), table)
    assert list(found) == ODD
    assert np.array_equal(found.to_numpy(), table.to_numpy())
    assert formula.products == {}  # the column "a:b" is no product of "a" and "b"


def test_a_covariate_without_a_name_keeps_it():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 2)), columns=["", "b"])
    assert list(evaluate(all_of(["", "b"]), table)[0]) == ["", "b"]


def test_two_columns_of_one_name_are_refused():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 3)), columns=["a", "b", "a:b"])
    with pytest.raises(InputError, match="duplicate a:b"):
        evaluate(parse("a * b + `a:b`", list(table)), table)


def test_rendered_code_holds_no_words_of_others():
    formula = parse("C(`x'); evil(`, Treatment('); evil('))", ["x'); evil("])
    call = formula.terms[0][0]
    assert isinstance(call, Call)
    assert isinstance(call.arguments[0], Column)
    texts = {text: f"bdvtext{number}" for number, text in enumerate(formula.texts)}
    code = render(call, {"x'); evil(": "bdv0_"}, texts)
    assert code == "C(bdv0_, contr.treatment(bdvtext0))"
    assert texts == {"); evil(": "bdvtext0"}


def test_what_cannot_be_evaluated_is_said_in_the_users_words(table):
    with pytest.raises(InputError, match=r"formula: cannot be evaluated.*log\(sex\)"):
        evaluate(parse("log(sex)", list(table)), table)
    with pytest.raises(InputError, match="'zz'"):
        evaluate(parse("C(sex, Treatment('zz'))", list(table)), table)
    with pytest.raises(InputError, match="formula"):
        evaluate(parse("I(10**10**10 * age)", list(table)), table)
    _, formula = evaluate(parse("sex + age", list(table)), table)
    with pytest.raises(InputError, match=r"absent from the fit.*'other'"):
        formula.apply(table.assign(sex="other"))
    with pytest.raises(InputError, match="types"):
        formula.apply(table.assign(age="old"))
