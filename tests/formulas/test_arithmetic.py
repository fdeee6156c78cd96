"""Arithmetic within formulas against Python's own, and arguments of functions."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.errors import InputError
from bayesdecov.formulas.expressions import Call, Column, Many, Minus, Number, Text, render
from bayesdecov.formulas.grammar import parse

NAMES = {"a": "a", "b": "b", "c": "c"}


def factor(text):
    return parse(text, list(NAMES)).terms[0][0]


def written(rng, depth=4):
    """A random text of arithmetic, with and without parentheses that are needed."""
    kind = rng.integers(6) if depth else rng.integers(2)
    if kind == 0:
        return "abc"[rng.integers(3)]
    if kind == 1:
        return ["2", "0.5", "1e1", "3."][rng.integers(4)]
    if kind == 2:
        return f"({written(rng, depth - 1)})"
    if kind == 3:
        return f"-{written(rng, depth - 1)}"
    sign = [" + ", "-", " * ", "/", "**"][rng.integers(5)]
    if sign == "**":
        return f"({written(rng, depth - 1)})**{['2', '-1', '2**2', '-2**2'][rng.integers(4)]}"
    return written(rng, depth - 1) + sign + written(rng, depth - 1)


@pytest.mark.parametrize("seed", range(80))
def test_signs_bind_as_in_python(seed):
    rng = np.random.default_rng(seed)
    text = f"a + {written(rng)}"
    given = {name: rng.uniform(1, 2, 4) for name in NAMES}
    with np.errstate(all="ignore"):
        expected = eval(text, {}, given)
        for same in (text, text.replace("**", "^"), text.replace(" ", "")):
            code = render(factor(f"I({same})").arguments[0], NAMES, {})
            np.testing.assert_allclose(eval(code, {}, given), expected, rtol=1e-12)


def test_numbers_are_floats_so_that_none_is_endless():
    """10 ** 10 ** 10 as whole numbers would take all memory; as floats it is an overflow."""
    code = render(factor("I(10**10**10 * a)").arguments[0], NAMES, {})
    assert code == "((10.0 ** (10.0 ** 10.0)) * a)"


def test_arguments_are_expressions_first_and_values_then():
    assert factor("bs(a - 1, 4)") == Call("bs", (factor("I(a - 1)").arguments[0], Number("4")), ())
    found = factor("cr(a, df=007, knots=[1, -2.5], constraints=None)")
    assert found.options == (("df", Number("7")), ("knots", Many((Number("1"), Number("-2.5")))),
                             ("constraints", Number("None")))  # fmt: skip
    assert factor("scale(a, False)").arguments[1] == Number("False")
    assert factor("log(-a)").arguments == (Minus(Column("a")),)


def test_functions_and_options_have_several_names():
    for text in ("np.log(a)", "log(a)"):
        assert factor(text) == Call("log", (Column("a"),), ())
    base = Call("Treatment", (), (("base", Text("x")),))
    for text in ("C(a, Treatment(reference='x'))", 'C(a, contr.treatment(base="x"))',
                 "C(`a`, contrasts=Treatment(base='x'))",
                 "C(a, contr=Treatment(reference='x'))"):  # fmt: skip
        call = factor(text)
        assert call.arguments[0] == Column("a")
        assert [*call.arguments[1:], *(value for _, value in call.options)] == [base]


def test_covariates_may_be_called_anything():
    columns = ["log", "C", "a`b", 'say "hi"', "x y"]
    for text, name in (("`log`", "log"), ("C", "C"), ("`a``b`", "a`b"), ("`x y`", "x y"),
                       ('Q("say \\"hi\\"")', 'say "hi"'), ("Q('log')", "log")):  # fmt: skip
        assert parse(text, columns).terms == ((Column(name),),)
    assert parse("log(log)", columns).terms[0][0] == Call("log", (Column("log"),), ())


@pytest.mark.parametrize(("text", "said"), [
    ("I(a", "'the end' where ',' is expected"), ("I(a b)", "'b' where ',' is expected"),
    ("I(a +)", "')'"), ("I(2)", "I() without a covariate"), ("log()", "log() without a covariate"),
    ("log(a, 1)", "too many arguments in log()"), ("log(a, base=2)", "the option 'base' of log()"),
    ("bs(a, df=4, df=5)", "the option 'df' of bs()"),
    ("bs(a, df=4, 3)", "an unnamed argument after a named one in bs()"),
    ("bs(a, df=b)", "'b' as a value"), ("bs(a, 4=5)", "'4'"), ("bs(a, df=-'x')", "'x'"),
    ("bs(a, knots=[[1]])", "a list within a list"), ("C(a + b)", "C() of something"),
    ("C(a, b)", "'b' as a coding of labels"), ("log(d)", "'d', which is not a covariate,"),
    ("log(log)", "'log' where a covariate is expected"),
    ("tan(a)", "'tan', which is not a function"),
    ("Treatment(a)", "'Treatment', which is not a function"), ("Q(a)", "'a' in Q()"),
    ("Q('d')", "'d', which is not a covariate"), ("I('a')", "\"'a'\""),
])  # fmt: skip
def test_what_is_no_expression_is_said(text, said):
    with pytest.raises(InputError) as caught:
        parse(text, list(NAMES))
    assert caught.value.argument == "formula"
    assert said in caught.value.found
