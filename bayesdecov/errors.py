"""Errors for input that cannot be used, and warnings about facts that a user should know."""

from __future__ import annotations

import warnings


class InputError(ValueError):
    """Input that breaks a rule: states the argument, the rule, what was found, what to do."""

    def __init__(self, argument: str, rule: str, *, found: str = "", fix: str = "") -> None:
        self.argument, self.rule, self.found, self.fix = argument, rule, found, fix
        message = f"{argument}: {rule}"
        if found:
            message += f"; found {found}"
        message += "."
        if fix:
            message += f" {fix[0].upper()}{fix[1:]}{'' if fix[-1] in '.?' else '.'}"
        super().__init__(_one_line(message))


def _one_line(text: str) -> str:
    """Escape control characters of a file before they reach the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class BayesdecovWarning(UserWarning):
    """A fact about the data or the fit that is also recorded in the result."""


class Notes:
    """Findings and decisions of the analysis; every line is kept in the result."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, line: str) -> None:
        """Record a routine finding or decision."""
        self.lines.append(line)

    def warn(self, line: str) -> None:
        """Record something that a user must not miss, and warn at once."""
        self.lines.append(line)
        warnings.warn(line, BayesdecovWarning, stacklevel=2)
