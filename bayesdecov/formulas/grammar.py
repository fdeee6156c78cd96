"""The grammar of formulas: from text to terms.

``~ age + group``, ``group * age``, ``group:age``, ``(a + b + c)**2``, ``a / b``, ``- a``, ``.`` for
all covariates; within a term the functions of `bayesdecov.formulas.expressions`. Names that are not
plain stand in backticks (a backtick within them twice) or in ``Q("name")``. Nothing else can be
said: there are no attributes, indices, braces or other code.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

from bayesdecov import checks
from bayesdecov.errors import InputError
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
    quoted,
)

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>`(?:[^`]|``)*`)
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[^\W\d][\w.]*)
      | (?P<sign>\*\*|[-+*/^:~(),=\[\].])
    )""",
    re.VERBOSE,
)
_CONSTANTS = ("True", "False", "None")
_DEEPEST = 50  # parentheses within parentheses
_MOST = 1000  # terms

Term = tuple[Expression, ...]  # factors that are multiplied; none: the intercept


class Formula(NamedTuple):
    """Terms in order of their degree (the intercept is not among them)."""

    terms: tuple[Term, ...]
    intercept: bool

    @property
    def columns(self) -> list[str]:
        """Covariates that the formula uses, each once."""
        used = (name for term in self.terms for factor in term for name in columns_of(factor))
        return list(dict.fromkeys(used))


def all_of(columns: Sequence[str]) -> Formula:
    """The formula that adds up all covariates."""
    return Formula(tuple((Column(name),) for name in columns), True)


def parse(text: str, columns: Sequence[str]) -> Formula:
    """Read a one-sided formula about ``columns``.

    Raises
    ------
    InputError
        It breaks the grammar, calls something else than the listed functions, or names a covariate
        that is not among ``columns``.
    """
    if not isinstance(text, str):
        raise InputError("formula", "must be text, such as '~ group + age'",
                         found=type(text).__name__)  # fmt: skip
    return _Parser(text, columns).formula()


class _Parser:
    """Recursive descent, one method for each rule."""

    def __init__(self, text: str, columns: Sequence[str]) -> None:
        self.text, self.columns = text, list(columns)
        self.tokens: list[tuple[str, str]] = []
        self.at = self.depth = 0
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise self._error(f"{text[position:].strip()[:20]!r}")
            self.tokens.append((str(match.lastgroup), str(match[match.lastgroup or 0])))
            position = match.end()

    # tokens

    def _peek(self, *signs: str) -> bool:
        kind, value = self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")
        return kind == "sign" and value in signs

    def _take(self) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise self._error("its end too early")
        self.at += 1
        return self.tokens[self.at - 1]

    def _expect(self, sign: str) -> None:
        if not self._peek(sign):
            found = self.tokens[self.at][1] if self.at < len(self.tokens) else "the end"
            raise self._error(f"{found!r} where {sign!r} belongs")
        self.at += 1

    def _error(self, found: str) -> InputError:
        return InputError(
            "formula", "cannot be evaluated", found=f"{found} in {self.text!r}",
            fix=f"the covariates are {checks.some(map(quoted, self.columns), 20)}; a formula may "
            f"use + - : * / ** ( ) and {', '.join(FUNCTIONS)}, with {', '.join(CONTRASTS)} in C(); "
            "names that are not plain go into backticks",
        )  # fmt: skip

    def _deeper(self, by: int) -> None:
        self.depth += by
        if self.depth > _DEEPEST:
            raise self._error(f"more than {_DEEPEST} parentheses within each other")

    # terms

    def formula(self) -> Formula:
        if self._peek("~"):
            self.at += 1
        if ("sign", "~") in self.tokens[self.at :]:
            raise InputError("formula", "must be one-sided", found=repr(self.text),
                             fix="write '~ age + group'")  # fmt: skip
        terms, intercept = self._sum([()])
        if self.at < len(self.tokens):
            raise self._error(repr(self.tokens[self.at][1]))
        kept = [term for term in terms if term]
        return Formula(tuple(sorted(kept, key=len)), intercept)

    def _sum(self, terms: list[Term]) -> tuple[list[Term], bool]:
        minus = self._peek("-")
        if self._peek("+", "-"):
            self.at += 1
        while True:
            added: list[Term] = [()]
            if self._number() == 0:  # "0 +" takes the intercept away, "- 0" brings it back
                self.at, minus = self.at + 1, not minus
            else:
                added = self._product()
            gone = set(map(_key, added))
            terms = [term for term in terms if _key(term) not in gone or not minus]
            if not minus:
                terms = _unique([*terms, *added])
            if len(terms) > _MOST:
                raise self._error(f"more than {_MOST} terms")
            if not self._peek("+", "-"):
                return terms, () in terms
            minus = self._take()[1] == "-"

    def _number(self) -> float | None:
        kind, value = self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")
        return float(value) if kind == "number" else None

    def _product(self) -> list[Term]:
        left = self._interaction()
        while self._peek("*", "/"):
            sign, right = self._take()[1], self._interaction()
            if sign == "*":
                left = _unique([*left, *right, *_times(left, right)])
            else:
                within = tuple(dict.fromkeys(factor for term in left for factor in term))
                left = _unique([*left, *_times([within], right)])
        return left

    def _interaction(self) -> list[Term]:
        left = self._power()
        while self._peek(":"):
            self.at += 1
            left = _times(left, self._power())
        return left

    def _power(self) -> list[Term]:
        base = self._atom()
        if not self._peek("**", "^"):
            return base
        self.at += 1
        kind, value = self._take()
        if kind != "number" or not value.isdigit() or not 1 <= int(value) <= 10:
            raise self._error(f"the power {value!r}, which must be 1 to 10,")
        power = base
        for _ in range(int(value) - 1):
            power = _times(power, base)
            if len(power) > _MOST:
                raise self._error(f"more than {_MOST} terms")
        return power

    def _atom(self) -> list[Term]:
        if self._peek("("):
            self.at += 1
            self._deeper(1)
            terms, _ = self._sum([])
            self._deeper(-1)
            self._expect(")")
            return terms
        if self._peek("."):
            self.at += 1
            return [(Column(name),) for name in self.columns]
        kind, value = self._take()
        if kind == "number" and float(value) == 1:
            return [()]
        if kind == "name" and self._peek("("):
            return [(self._quoted() if value == "Q" else self._call(value),)]
        if kind in ("name", "quoted"):
            return [(self._column(kind, value),)]
        raise self._error(repr(value))

    # expressions

    def _column(self, kind: str, value: str) -> Column:
        name = value[1:-1].replace("``", "`") if kind == "quoted" else value
        if name not in self.columns:
            if name in CONTRASTS or name in FUNCTIONS:
                raise self._error(f"{name!r} where a covariate belongs")
            raise self._error(f"{name!r}, which is no covariate,")
        return Column(name)

    def _quoted(self) -> Column:
        """``Q("name")``, which is patsy's way of writing names that are not plain."""
        self._expect("(")
        kind, value = self._take()
        if kind != "text":
            raise self._error(f"{value!r} in Q()")
        self._expect(")")
        return self._column("text", _unescaped(value))

    def _call(self, written: str, *, contrast: bool = False) -> Call:
        name = ALIASES.get(written, written)
        if name not in (CONTRASTS if contrast else FUNCTIONS):
            raise self._error(f"{written!r}, which is no function of formulas,")
        self._expect("(")
        self._deeper(1)
        known = (FUNCTIONS | CONTRASTS)[name][1]
        given: list[Expression] = []
        options: list[tuple[str, Expression]] = []
        while not self._peek(")"):
            if given or options:
                self._expect(",")
            option = self._option()
            if option is None and options:
                raise self._error(f"an argument without a name after one with a name in {name}()")
            coding = name == "C" and (option == "contrasts" or (option is None and len(given) == 1))
            first = option is None and not given and name in FUNCTIONS
            value = self._contrast() if coding else self._sums() if first else self._literal()
            if option is None:
                given.append(value)
            elif option not in known or option in dict(options):
                raise self._error(f"the option {option!r} of {name}()")
            else:
                options.append((option, value))
        self._expect(")")
        self._deeper(-1)
        if len(given) > len(known) + (name in FUNCTIONS):
            raise self._error(f"too many arguments of {name}()")
        made = Call(name, tuple(given), tuple(options))
        if name in FUNCTIONS and (not given or not columns_of(made)):
            raise self._error(f"{name}() without a covariate")
        if name == "C" and not isinstance(given[0], Column):
            raise self._error("C() of something that is no covariate")
        return made

    def _option(self) -> str | None:
        """The name of a named option, if one comes next."""
        if self.at + 1 < len(self.tokens) and self.tokens[self.at + 1] == ("sign", "="):
            kind, value = self._take()
            self.at += 1
            if kind == "name":
                return RENAMED.get(value, value)
            raise self._error(repr(value))
        return None

    def _contrast(self) -> Call:
        kind, value = self._take()
        name = ALIASES.get(value, value)
        if kind != "name" or name not in CONTRASTS:
            raise self._error(f"{value!r} as a coding of labels")
        return self._call(value, contrast=True) if self._peek("(") else Call(name, (), ())

    def _literal(self) -> Expression:
        """A number, a label, True, False or None, or several numbers or labels."""
        if self._peek("["):
            self.at += 1
            items: list[Number | Text] = []
            while not self._peek("]"):
                if items:
                    self._expect(",")
                item = self._literal()
                if not isinstance(item, (Number, Text)):
                    raise self._error("a list within a list")
                items.append(item)
            self._expect("]")
            return Many(tuple(items))
        minus = self._peek("-")
        if minus:
            self.at += 1
        kind, value = self._take()
        if kind == "number":
            return Number(f"-{_number(value)}" if minus else _number(value))
        if kind == "text" and not minus:
            return Text(_unescaped(value))
        if kind == "name" and value in _CONSTANTS and not minus:
            return Number(value)
        raise self._error(f"{value!r} as a value")

    def _sums(self) -> Expression:
        left = self._products()
        while self._peek("+", "-"):
            left = Operation(self._take()[1], left, self._products())
        return left

    def _products(self) -> Expression:
        left = self._signed()
        while self._peek("*", "/"):
            left = Operation(self._take()[1], left, self._signed())
        return left

    def _signed(self) -> Expression:
        if self._peek("-"):
            self.at += 1
            self._deeper(1)
            inner = self._signed()
            self._deeper(-1)
            return Minus(inner)
        base = self._value()
        if self._peek("**", "^"):
            self.at += 1
            self._deeper(1)
            base = Operation("**", base, self._signed())
            self._deeper(-1)
        return base

    def _value(self) -> Expression:
        if self._peek("("):
            self.at += 1
            self._deeper(1)
            inner = self._sums()
            self._deeper(-1)
            self._expect(")")
            return inner
        kind, value = self._take()
        if kind == "number":
            return Number(f"{float(value)!r}")  # 10 ** 10 ** 10 is infinite, not endless
        if kind == "name" and self._peek("("):
            return self._quoted() if value == "Q" else self._call(value)
        if kind in ("name", "quoted"):
            return self._column(kind, value)
        raise self._error(repr(value))


def _unescaped(text: str) -> str:
    """What stands between quotes."""
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _number(text: str) -> str:
    """A number as Python writes it: 007 is 7."""
    return str(int(text)) if text.isdigit() else repr(float(text))


def _key(term: Term) -> frozenset[Expression]:
    """a:b and b:a are one term."""
    return frozenset(term)


def _unique(terms: list[Term]) -> list[Term]:
    return list({_key(term): term for term in reversed(terms)}.values())[::-1]


def _times(left: list[Term], right: list[Term]) -> list[Term]:
    return _unique([tuple(dict.fromkeys((*a, *b))) for a, b in itertools.product(left, right)])
