"""Expressions within a term: covariates, calls of the listed functions, arithmetic, values."""

from __future__ import annotations

import re

from bayesdecov.formulas.expressions import (
    ALIASES,
    CONTRASTS,
    FUNCTIONS,
    RENAMED,
    Call,
    Column,
    Expression,
    Many,
    Minus,
    Number,
    Operation,
    Text,
    columns_of,
)
from bayesdecov.formulas.reader import Reader

_CONSTANTS = ("True", "False", "None")


class Arithmetic(Reader):
    """Recursive descent with one method per rule, from sums down to values."""

    def column(self, kind: str, value: str) -> Column:
        """A covariate by its name: plain, in backticks or as text."""
        name = value[1:-1].replace("``", "`") if kind == "quoted" else value
        if name not in self.columns:
            if name in CONTRASTS or name in FUNCTIONS:
                raise self.error(f"{name!r} where a covariate is expected")
            raise self.error(f"{name!r}, which is not a covariate,")
        return Column(name)

    def quoted(self) -> Column:
        """``Q("name")``, patsy's notation for names with special characters."""
        self.expect("(")
        kind, value = self.take()
        if kind != "text":
            raise self.error(f"{value!r} in Q()")
        self.expect(")")
        return self.column("text", _unescaped(value))

    def call(self, written: str, *, contrast: bool = False) -> Call:
        """The arguments of a function whose name has been read."""
        name = ALIASES.get(written, written)
        if name not in (CONTRASTS if contrast else FUNCTIONS):
            raise self.error(f"{written!r}, which is not a function of formulas,")
        self.expect("(")
        self.deeper(1)
        known = (FUNCTIONS | CONTRASTS)[name][1]
        given: list[Expression] = []
        options: list[tuple[str, Expression]] = []
        while not self.peek(")"):
            if given or options:
                self.expect(",")
            option = self._option()
            if option is None and options:
                raise self.error(f"an unnamed argument after a named one in {name}()")
            coding = name == "C" and (option == "contrasts" or (option is None and len(given) == 1))
            first = option is None and not given and name in FUNCTIONS
            value = self._contrast() if coding else self._sums() if first else self._literal()
            if option is None:
                given.append(value)
            elif option not in known or option in dict(options):
                raise self.error(f"the option {option!r} of {name}()")
            else:
                options.append((option, value))
        self.expect(")")
        self.deeper(-1)
        if len(given) > len(known) + (name in FUNCTIONS):
            raise self.error(f"too many arguments in {name}()")
        made = Call(name, tuple(given), tuple(options))
        if name in FUNCTIONS and (not given or not columns_of(made)):
            raise self.error(f"{name}() without a covariate")
        if name == "C" and not isinstance(given[0], Column):
            raise self.error("C() of something that is not a covariate")
        return made

    def _option(self) -> str | None:
        """The name of a named option, if one follows."""
        if self.at + 1 < len(self.tokens) and self.tokens[self.at + 1] == ("sign", "="):
            kind, value = self.take()
            self.at += 1
            if kind == "name":
                return RENAMED.get(value, value)
            raise self.error(repr(value))
        return None

    def _contrast(self) -> Call:
        kind, value = self.take()
        name = ALIASES.get(value, value)
        if kind != "name" or name not in CONTRASTS:
            raise self.error(f"{value!r} as a coding of labels")
        return self.call(value, contrast=True) if self.peek("(") else Call(name, (), ())

    def _literal(self) -> Expression:
        """A number, a label, True, False or None, or several numbers or labels."""
        if self.peek("["):
            self.at += 1
            items: list[Number | Text] = []
            while not self.peek("]"):
                if items:
                    self.expect(",")
                if self.peek("["):
                    raise self.error("a list within a list")
                item = self._literal()
                assert isinstance(item, (Number, Text))
                items.append(item)
            self.expect("]")
            return Many(tuple(items))
        minus = self.peek("-")
        if minus:
            self.at += 1
        kind, value = self.take()
        if kind == "number":
            return Number(f"-{_number(value)}" if minus else _number(value))
        if kind == "text" and not minus:
            return Text(_unescaped(value))
        if kind == "name" and value in _CONSTANTS and not minus:
            return Number(value)
        raise self.error(f"{value!r} as a value")

    def _sums(self) -> Expression:
        left = self._products()
        while self.peek("+", "-"):
            left = Operation(self.take()[1], left, self._products())
        return left

    def _products(self) -> Expression:
        left = self._signed()
        while self.peek("*", "/"):
            left = Operation(self.take()[1], left, self._signed())
        return left

    def _signed(self) -> Expression:
        if self.peek("-"):
            self.at += 1
            self.deeper(1)
            inner = self._signed()
            self.deeper(-1)
            return Minus(inner)
        base = self._value()
        if self.peek("**", "^"):
            self.at += 1
            self.deeper(1)
            base = Operation("**", base, self._signed())
            self.deeper(-1)
        return base

    def _value(self) -> Expression:
        if self.peek("("):
            self.at += 1
            self.deeper(1)
            inner = self._sums()
            self.deeper(-1)
            self.expect(")")
            return inner
        kind, value = self.take()
        if kind == "number":
            return Number(f"{float(value)!r}")  # as floats, 10 ** 10 ** 10 overflows at once
        if kind == "name" and self.peek("("):
            return self.quoted() if value == "Q" else self.call(value)
        if kind in ("name", "quoted"):
            return self.column(kind, value)
        raise self.error(repr(value))


def _unescaped(text: str) -> str:
    """The text between the quotes."""
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _number(text: str) -> str:
    """A number as Python writes it: 007 is 7."""
    return str(int(text)) if text.isdigit() and len(text) < 20 else repr(float(text))
