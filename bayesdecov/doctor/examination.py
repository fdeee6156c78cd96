"""Result of an examination: a verdict in words, and the tables behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from bayesdecov.results.result import Result

_ROWS = 12  # of a printed table


@dataclass(frozen=True)
class Examination(Result):
    """A verdict and its tables.

    Attributes
    ----------
    title
        What was examined.
    verdict
        Sentences, the most important first.
    sections
        Tables by title, the most important rows first.
    settings, notes
        Options, and notes on identifiers, scale and samples left out.
    """

    title: str
    verdict: tuple[str, ...]
    sections: dict[str, pd.DataFrame]
    settings: dict[str, Any]
    notes: tuple[str, ...]
    facts: dict[str, Any] = field(default_factory=dict)

    command = "doctor"

    def __str__(self) -> str:
        lines = [self.title, "", "Verdict"]
        lines += [f"  * {sentence}" for sentence in self.verdict]
        for title, table in self.sections.items():
            shown = table.head(_ROWS).to_string(float_format=lambda x: f"{x:.3g}")
            lines += ["", title, *(f"  {line}" for line in shown.splitlines())]
            if len(table) > _ROWS:
                lines.append(f"  ... {len(table)} rows in all")
        if self.notes:
            lines += ["", "Data", *(f"  * {note}" for note in self.notes)]
        return "\n".join(lines)

    __repr__ = __str__

    def tables(self, prob: float = 0.95) -> dict[str, pd.DataFrame]:
        """The sections, by the first words of their titles."""
        return {
            "_".join(title.lower().split()[:3]): table for title, table in self.sections.items()
        }

    def record(self, **about: Any) -> dict[str, Any]:
        """The content of ``run.json``, with the verdict."""
        return super().record(**about) | {"verdict": list(self.verdict)}

    def extra_files(self, folder: Path) -> None:
        """Write ``verdict.txt``, the printed page."""
        (folder / "verdict.txt").write_text(f"{self}\n", encoding="utf-8")
