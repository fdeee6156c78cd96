"""What goes wrong, in two kinds: input that cannot be used, and facts that a user should know."""

from __future__ import annotations

import warnings


class InputError(ValueError):
    """Input that breaks a rule: says which argument, the rule, what was found, what to do."""

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
    """Control characters of a file are shown, not sent to the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class BayesdecovWarning(UserWarning):
    """A fact about the data or the fit that is also recorded in the result."""


class Notes:
    """What was found and decided during the analysis; every line ends up in the result."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, line: str) -> None:
        """Record something that was done as announced."""
        self.lines.append(line)

    def warn(self, line: str) -> None:
        """Record something that a user should know without looking, and warn at once."""
        self.lines.append(line)
        warnings.warn(line, BayesdecovWarning, stacklevel=2)
