"""Tokens of a formula, and error messages for its parsers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.formulas.expressions import CONTRASTS, FUNCTIONS, quoted

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
_LONGEST = 400  # tokens
_LETTERS = 1000  # characters of a token
_DEEPEST = 50  # nested parentheses


class Reader:
    """Text as tokens, read one by one."""

    def __init__(self, text: str, columns: Sequence[str]) -> None:
        self.text, self.columns = text, list(columns)
        self.tokens: list[tuple[str, str]] = []
        self.at = self.depth = 0
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise self.error(f"{text[position:].strip()[:20]!r}")
            self.tokens.append((str(match.lastgroup), str(match[match.lastgroup or 0])))
            position = match.end()
            if len(self.tokens) > _LONGEST or len(self.tokens[-1][1]) > _LETTERS:
                raise self.error(f"more than {_LONGEST} parts, or one above {_LETTERS} characters")

    def peek(self, *signs: str) -> bool:
        """Whether one of these signs follows."""
        kind, value = self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")
        return kind == "sign" and value in signs

    def take(self) -> tuple[str, str]:
        """The next token: its kind and text."""
        if self.at >= len(self.tokens):
            raise self.error("an unexpected end")
        self.at += 1
        return self.tokens[self.at - 1]

    def expect(self, sign: str) -> None:
        """Read a sign that must follow."""
        if not self.peek(sign):
            found = self.tokens[self.at][1] if self.at < len(self.tokens) else "the end"
            raise self.error(f"{found!r} where {sign!r} is expected")
        self.at += 1

    def error(self, found: str) -> InputError:
        """An error that states what was found and which formulas are allowed."""
        return InputError(
            "formula",
            "cannot be evaluated",
            found=f"{found} in {self.text[:200]!r}",
            fix=f"the covariates are {checks.some(map(quoted, self.columns), 20)}; a formula may "
            f"use + - : * / ** ( ) and {', '.join(FUNCTIONS)}, with {', '.join(CONTRASTS)} in C(); "
            "names with special characters go into backticks",
        )

    def deeper(self, by: int) -> None:
        """Count nested parentheses."""
        self.depth += by
        if self.depth > _DEEPEST:
            raise self.error(f"more than {_DEEPEST} nested parentheses")
