"""Trees of expressions: what they use, how they are shown, and what the engine gets."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.formulas.expressions import (
    ALIASES,
    CONTRASTS,
    FUNCTIONS,
    Call,
    Column,
    Many,
    Minus,
    Number,
    Operation,
    Text,
    columns_of,
    parts,
    quoted,
    render,
    show,
    texts_of,
)
from bayesdecov.formulas.grammar import parse

COLUMNS = {"a": "bdv0_", "b": "bdv1_", "odd name": "bdv2_"}


def drawn(rng, depth=4):
    """Arithmetic on columns and numbers."""
    kind = rng.integers(7) if depth else rng.integers(2)
    if kind == 0:
        return Column(list(COLUMNS)[rng.integers(2)])
    if kind == 1:
        return Number(repr(float(rng.integers(1, 30)) / 4))
    if kind == 2:
        return Minus(drawn(rng, depth - 1))
    sign = ["+", "-", "*", "/", "**"][rng.integers(5)]
    left, right = drawn(rng, depth - 1), drawn(rng, depth - 1)
    if sign == "**":
        base = Operation("+", Column("a"), left)
        return Operation(sign, Minus(base) if rng.integers(2) else base, Number("2.0"))
    return Operation(sign, left, right)


def value(expression, given):
    if isinstance(expression, Column):
        return given[expression.name]
    if isinstance(expression, Number):
        return float(expression.text)
    if isinstance(expression, Minus):
        return -value(expression.inner, given)
    left, right = (value(side, given) for side in (expression.left, expression.right))
    return {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "**": np.power}[
        expression.operator
    ](left, right)


@pytest.mark.parametrize("seed", range(60))
def test_what_is_shown_and_what_is_rendered_have_the_value_of_the_tree(seed):
    """Python evaluates both; what is shown is read as the same expression."""
    rng = np.random.default_rng(seed)
    tree = Operation("+", Column("a"), drawn(rng))
    given = {"a": rng.uniform(1, 2, 5), "b": rng.uniform(1, 2, 5)}
    with np.errstate(all="ignore"):
        expected = value(tree, given)
        engine = {COLUMNS[name]: numbers for name, numbers in given.items()}
        np.testing.assert_allclose(eval(render(tree, COLUMNS, {}), {}, engine), expected)
        again = parse(f"I({show(tree)})", ["a", "b"]).terms[0][0].arguments[0]
        np.testing.assert_allclose(value(again, given), expected)
    assert columns_of(tree) == columns_of(again)


def test_a_call_with_all_that_it_can_hold():
    call = Call(
        "C",
        (Column("odd name"), Call("Treatment", (), (("base", Text("x'; y")),))),
        (("levels", Many((Text("b"), Text("x'; y"), Number("3")))),),
    )
    assert columns_of(call) == ["odd name"]
    assert texts_of(call) == ["x'; y", "b", "x'; y"]
    assert len(list(parts(call))) == 8
    code = render(call, COLUMNS, {"x'; y": "t0", "b": "t1"})
    assert code == "C(bdv2_, contr.treatment(base=t0), levels=[t1, t0, 3])"
    assert show(call) == """C(odd name, Treatment(base="x'; y"), levels=['b', "x'; y", 3])"""
    assert show(Call("C", (Column("a"), Call("Sum", (), ())), ())) == "C(a, Sum)"


def test_every_function_is_rendered_by_the_engines_name():
    for name, (engine, _) in FUNCTIONS.items():
        assert render(Call(name, (Column("a"),), ()), COLUMNS, {}) == f"{engine}(bdv0_)"
    for name, (engine, _) in CONTRASTS.items():
        assert render(Call(name, (), ()), {}, {}) == f"{engine}()"
    assert set(ALIASES.values()) <= set(FUNCTIONS) | set(CONTRASTS)


@pytest.mark.parametrize(("name", "written"), [
    ("age", "age"), ("a.b_1", "a.b_1"), ("ä", "ä"), ("_a", "_a"), ("1a", "`1a`"), ("", "``"),
    ("a b", "`a b`"), ("a`b", "`a``b`"), ("a-b", "`a-b`"), ("a\n", "`a\n`"),
])  # fmt: skip
def test_names_that_are_not_plain_stand_in_backticks(name, written):
    assert quoted(name) == written
