"""Expressions within a formula: columns, numbers, text, arithmetic and a list of functions.

An expression is a tree of the classes below. `show` formats it for users, and `render` for the
engine, with internal names for columns and text: no text from a file or a user is ever part of the
code that the engine evaluates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_SPLINE = (
    "df",
    "knots",
    "degree",
    "include_intercept",
    "lower_bound",
    "upper_bound",
    "extrapolation",
)
_CUBIC = ("df", "knots", "lower_bound", "upper_bound", "constraints")

# Functions allowed in formulas: the engine's name, and options besides the first argument.
FUNCTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "C": ("C", ("contrasts", "levels")),
    "center": ("center", ()),
    "scale": ("scale", ("center", "scale", "ddof")),
    "standardize": ("standardize", ("center", "rescale", "ddof")),
    "log": ("log", ()),
    "log2": ("log2", ()),
    "log10": ("log10", ()),
    "log1p": ("np.log1p", ()),
    "exp": ("exp", ()),
    "sqrt": ("np.sqrt", ()),
    "abs": ("np.abs", ()),
    "bs": ("bs", _SPLINE),
    "cr": ("cr", _CUBIC),
    "cs": ("cs", _CUBIC),
    "cc": ("cc", _CUBIC),
    "poly": ("poly", ("degree", "raw")),
    "I": ("I", ()),
}
# Codings of labels, as the second argument of C().
CONTRASTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Treatment": ("contr.treatment", ("base",)),
    "Sum": ("contr.sum", ()),
    "Helmert": ("contr.helmert", ("reverse", "scale")),
    "Diff": ("contr.diff", ("backward",)),
    "Poly": ("contr.poly", ("scores",)),
}
ALIASES = {
    "np.log": "log",
    "np.log2": "log2",
    "np.log10": "log10",
    "np.log1p": "log1p",
    "np.exp": "exp",
    "np.sqrt": "sqrt",
    "np.abs": "abs",
    "contr.treatment": "Treatment",
    "contr.sum": "Sum",
    "contr.helmert": "Helmert",
    "contr.diff": "Diff",
    "contr.poly": "Poly",
}
RENAMED = {"reference": "base", "contr": "contrasts"}  # names of options in other programs


class Column(NamedTuple):
    """A covariate."""

    name: str


class Number(NamedTuple):
    """A number, or True, False or None, in Python's notation."""

    text: str


class Text(NamedTuple):
    """A label."""

    value: str


class Many(NamedTuple):
    """Several numbers or labels."""

    items: tuple[Number | Text, ...]


class Call(NamedTuple):
    """A function of `FUNCTIONS` or `CONTRASTS` with its arguments and named options."""

    function: str
    arguments: tuple[Expression, ...]
    options: tuple[tuple[str, Expression], ...]


class Operation(NamedTuple):
    """Arithmetic on two expressions."""

    operator: str
    left: Expression
    right: Expression


class Minus(NamedTuple):
    """The negative of an expression."""

    inner: Expression


Expression = Column | Number | Text | Many | Call | Operation | Minus


def parts(expression: Expression) -> Iterator[Expression]:
    """The expression and all of its subexpressions."""
    yield expression
    inner: tuple[Expression, ...] = ()
    if isinstance(expression, Many):
        inner = expression.items
    elif isinstance(expression, Call):
        inner = (*expression.arguments, *(value for _, value in expression.options))
    elif isinstance(expression, Operation):
        inner = (expression.left, expression.right)
    elif isinstance(expression, Minus):
        inner = (expression.inner,)
    for each in inner:
        yield from parts(each)


def columns_of(expression: Expression) -> list[str]:
    """Covariates that the expression uses."""
    return [part.name for part in parts(expression) if isinstance(part, Column)]


def texts_of(expression: Expression) -> list[str]:
    """Labels in the expression."""
    return [part.value for part in parts(expression) if isinstance(part, Text)]


def render(expression: Expression, columns: Mapping[str, str], texts: Mapping[str, str]) -> str:
    """The expression as code for the engine, given internal names of covariates and labels."""
    if isinstance(expression, Column):
        return columns[expression.name]
    if isinstance(expression, Text):
        return texts[expression.value]
    if isinstance(expression, Number):
        return expression.text
    if isinstance(expression, Many):
        return f"[{', '.join(render(item, columns, texts) for item in expression.items)}]"
    if isinstance(expression, Operation):
        left, right = (render(side, columns, texts) for side in (expression.left, expression.right))
        return f"({left} {expression.operator} {right})"
    if isinstance(expression, Minus):
        return f"(-{render(expression.inner, columns, texts)})"
    name = (FUNCTIONS | CONTRASTS)[expression.function][0]
    given = [render(value, columns, texts) for value in expression.arguments]
    given += [f"{key}={render(value, columns, texts)}" for key, value in expression.options]
    return f"{name}({', '.join(given)})"


def show(expression: Expression) -> str:
    """The expression as a user would write it; columns without quoting."""
    if isinstance(expression, Column):
        return expression.name
    if isinstance(expression, Text):
        return repr(expression.value)
    if isinstance(expression, Number):
        return expression.text.removesuffix(".0")
    if isinstance(expression, Many):
        return f"[{', '.join(map(show, expression.items))}]"
    if isinstance(expression, Operation):
        left = _inner(expression.left)
        if expression.operator == "**" and isinstance(expression.left, Minus):
            left = f"({left})"  # -a ** 2 is -(a ** 2)
        return f"{left} {expression.operator} {_inner(expression.right)}"
    if isinstance(expression, Minus):
        return f"-{_inner(expression.inner)}"
    if expression.function in CONTRASTS and not expression.arguments and not expression.options:
        return expression.function
    given = [show(value) for value in expression.arguments]
    given += [f"{key}={show(value)}" for key, value in expression.options]
    return f"{expression.function}({', '.join(given)})"


def _inner(expression: Expression) -> str:
    text = show(expression)
    return f"({text})" if isinstance(expression, Operation) else text


def quoted(name: str) -> str:
    """A covariate's name as in a formula: in backticks unless it is plain."""
    if re.fullmatch(r"[^\W\d][\w.]*", name):
        return name
    return "`" + name.replace("`", "``") + "`"
