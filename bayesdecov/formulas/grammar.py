"""The grammar of formulas: from text to terms.

Allowed are ``~ age + group``, ``group * age``, ``group:age``, ``(a + b + c)**2``, ``a / b``,
``- a``, ``.`` for all covariates and, within a term, the functions of
`bayesdecov.formulas.expressions`. Names with special characters are written in backticks
(a backtick within them is doubled) or as ``Q("name")``. Attributes, indices, braces and other code
are refused.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from bayesdecov.errors import InputError
from bayesdecov.formulas.arithmetic import Arithmetic
from bayesdecov.formulas.expressions import Column, Expression, columns_of, texts_of

_MOST = 1000  # terms

Term = tuple[Expression, ...]  # factors to multiply; empty for the intercept


class Formula(NamedTuple):
    """Terms in order of their degree, without the intercept."""

    terms: tuple[Term, ...]
    intercept: bool

    @property
    def columns(self) -> list[str]:
        """Covariates used in the formula, each once."""
        used = (name for term in self.terms for factor in term for name in columns_of(factor))
        return list(dict.fromkeys(used))

    @property
    def texts(self) -> list[str]:
        """Labels in the formula, each once."""
        named = (text for term in self.terms for factor in term for text in texts_of(factor))
        return list(dict.fromkeys(named))


def all_of(columns: Sequence[str]) -> Formula:
    """The formula with the main effects of all covariates."""
    return Formula(tuple((Column(name),) for name in columns), True)


def parse(text: str, columns: Sequence[str]) -> Formula:
    """Parse a one-sided formula in the covariates ``columns``.

    Raises
    ------
    InputError
        It violates the grammar, calls a function that is not listed, or names a covariate that is
        not among ``columns``.
    """
    if not isinstance(text, str):
        raise InputError(
            "formula", "must be text, such as '~ group + age'", found=type(text).__name__
        )
    return _Parser(text, columns).formula()


class _Parser(Arithmetic):
    """Recursive descent over terms with one method per rule."""

    def formula(self) -> Formula:
        """The whole formula."""
        if self.peek("~"):
            self.at += 1
        if ("sign", "~") in self.tokens[self.at :]:
            raise InputError(
                "formula", "must be one-sided", found=repr(self.text), fix="write '~ age + group'"
            )
        terms, intercept = self._sum([()])
        if self.at < len(self.tokens):
            raise self.error(repr(self.tokens[self.at][1]))
        kept = [term for term in terms if term]
        return Formula(tuple(sorted(kept, key=len)), intercept)

    def _sum(self, terms: list[Term]) -> tuple[list[Term], bool]:
        minus = self.peek("-")
        if self.peek("+", "-"):
            self.at += 1
        while True:
            added: list[Term] = [()]
            if self._number() == 0:  # "0 +" removes the intercept, "- 0" restores it
                self.at, minus = self.at + 1, not minus
            else:
                added = self._product()
            gone = set(map(_key, added))
            terms = [term for term in terms if _key(term) not in gone or not minus]
            if not minus:
                terms = _unique([*terms, *added])
            if len(terms) > _MOST:
                raise self.error(f"more than {_MOST} terms")
            if not self.peek("+", "-"):
                return terms, () in terms
            minus = self.take()[1] == "-"

    def _number(self) -> float | None:
        kind, value = self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")
        return float(value) if kind == "number" else None

    def _product(self) -> list[Term]:
        left = self._interaction()
        while self.peek("*", "/"):
            sign, right = self.take()[1], self._interaction()
            if sign == "*":
                left = _unique([*left, *right, *_times(left, right)])
            else:
                within = tuple(dict.fromkeys(factor for term in left for factor in term))
                left = _unique([*left, *_times([within], right)])
        return left

    def _interaction(self) -> list[Term]:
        left = self._power()
        while self.peek(":"):
            self.at += 1
            left = _times(left, self._power())
        return left

    def _power(self) -> list[Term]:
        base = self._atom()
        if not self.peek("**", "^"):
            return base
        self.at += 1
        kind, value = self.take()
        if kind != "number" or not value.isdigit() or len(value) > 2 or not 1 <= int(value) <= 10:
            raise self.error(f"the power {value!r}, which must be from 1 to 10,")
        power = base
        for _ in range(int(value) - 1):
            power = _times(power, base)
            if len(power) > _MOST:
                raise self.error(f"more than {_MOST} terms")
        return power

    def _atom(self) -> list[Term]:
        if self.peek("("):
            self.at += 1
            self.deeper(1)
            terms, _ = self._sum([])
            self.deeper(-1)
            self.expect(")")
            return terms
        if self.peek("."):
            self.at += 1
            return [(Column(name),) for name in self.columns]
        kind, value = self.take()
        if kind == "number" and float(value) == 1:
            return [()]
        if kind == "name" and self.peek("("):
            return [(self.quoted() if value == "Q" else self.call(value),)]
        if kind in ("name", "quoted"):
            return [(self.column(kind, value),)]
        raise self.error(repr(value))


def _key(term: Term) -> frozenset[Expression]:
    """Identity of a term: a:b and b:a are the same."""
    return frozenset(term)


def _unique(terms: list[Term]) -> list[Term]:
    return list({_key(term): term for term in reversed(terms)}.values())[::-1]


def _times(left: list[Term], right: list[Term]) -> list[Term]:
    return _unique([tuple(dict.fromkeys((*a, *b))) for a, b in itertools.product(left, right)])
