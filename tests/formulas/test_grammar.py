"""Terms are those of Wilkinson's notation, as formulaic reads it; nothing else can be said."""

from __future__ import annotations

import pytest
from formulaic import Formula as Engine
from hypothesis import given, settings
from hypothesis import strategies as st

from bayesdecov.errors import InputError
from bayesdecov.formulas.expressions import quoted, show
from bayesdecov.formulas.grammar import all_of, parse

COLUMNS = ["a", "b", "c", "d"]


def terms(formula):
    return [":".join(map(show, term)) for term in formula.terms]


@pytest.mark.parametrize(
    "text",
    ["~ a", "a + b", "a * b", "a:b", "a * b * c", "(a + b + c)**2", "(a + b + c)^3 - a:b:c",
     "a / b", "(a + b) / c", "a / (b + c)", "a + b - a", "a*b - b", "c:(a + b)", "a:b + a",
     "1 + a", "b + a:b:c + a", "((a))", "(a + b):(c + d)", "a + (b + c) * d - b:d"],
)  # fmt: skip
def test_the_same_terms_as_formulaic(text):
    expected = [str(term) for term in Engine(text.removeprefix("~ ")) if str(term) != "1"]
    found = parse(text, COLUMNS)
    assert found.intercept
    assert [set(term.split(":")) for term in terms(found)] == [
        set(term.split(":")) for term in expected
    ]


@pytest.mark.parametrize("text", ["0 + a", "a - 1", "a + 0", "-1 + a"])
def test_the_intercept_can_be_taken_away(text):
    assert not parse(text, COLUMNS).intercept
    assert terms(parse(text, COLUMNS)) == ["a"]


def test_all_covariates():
    assert terms(parse("~ .", COLUMNS)) == COLUMNS == terms(all_of(COLUMNS))
    assert terms(parse("~ . - b", COLUMNS)) == ["a", "c", "d"]


def test_functions_with_options():
    text = "C(a, Treatment(reference='x')) + bs(b, df=4, degree=3) + I((b + 1)**2 / -c)"
    assert terms(parse(text, COLUMNS)) == [
        "C(a, Treatment(base='x'))",
        "bs(b, df=4, degree=3)",
        "I(((b + 1) ** 2) / -c)",
    ]
    assert parse(text, COLUMNS).columns == ["a", "b", "c"]
    odd = 'odd "name"'
    assert terms(parse('Q("a") + log(Q("odd \\"name\\""))', ["a", odd])) == ["a", f"log({odd})"]
    assert terms(parse("np.log(a) + contr", ["a", "contr"])) == ["log(a)", "contr"]


@pytest.mark.parametrize(
    "text",
    ["__import__('os').system('id')", "{__import__('os')}", "{a}", "a.mean()", "a[0]", "eval('a')",
     "log(__import__('os'))", "log(a).real", "(lambda: a)()", "[x for x in a]", "a if b else c",
     "I(a and b)", "I(a @ b)", "I(a := 1)", "C(a, levels=[[1]])", "C(a, levels=b)", "C(log(a))",
     "bs(a, df=b)", "bs(a, nonsense=1)", "bs(a, df=3, df=4)", "log(a, b)", "log(1)", "log()",
     "poly(degree=2)", "Treatment('x')", "C(a, b)", "`a",
     "a `b`", "a b", "a +", "+", "()", "a ** b",
     "a ** 99", "2 * a", "'a'", "f'{a}'", "~ a ~ b", "y ~ a", "a; b", "a\x00", "a | b", "a %in% b",
     "os", "np", "np.os", "Q(a)", "Q('e')", "Q('a', 1)", "hashed(a)", "I(" * 60 + "a" + ")" * 60,
     "I(" + "-" * 90 + "a)",
     "a" + "+a" * 3000, "I(a" + "+a" * 3000 + ")", "bs(a, knots=" + "[" * 3000,
     "a**" + "9" * 5000, "(a + b + c + d)**10:(a + b + c + d)**10 + 3"],
)  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(InputError, match="formula: "):
        parse(text, COLUMNS)


def test_the_refusal_lists_what_is_known():
    with pytest.raises(InputError, match=r"not a function.*covariates are a, b.*sqrt.*Treatment"):
        parse("~ system(a)", COLUMNS)
    with pytest.raises(InputError, match="text"):
        parse(["a"], COLUMNS)


@settings(max_examples=300)
@given(st.text(max_size=30))
def test_any_text_is_a_formula_or_an_input_error(text):
    try:
        found = parse(text, COLUMNS)
    except InputError:
        return
    assert set(found.columns) <= set(COLUMNS)


@settings(max_examples=300)
@given(st.text(min_size=1, max_size=20))
def test_any_name_can_be_quoted(name):
    assert parse(f"~ {quoted(name)} + a", [name, "a"]).columns == list(dict.fromkeys([name, "a"]))
