"""What an examination returns: a verdict in words, and the tables behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

_ROWS = 12  # of a printed table


@dataclass(frozen=True)
class Examination:
    """A verdict and its tables.

    Attributes
    ----------
    title
        What was examined.
    verdict
        Sentences, the most important first.
    tables
        Tables by title, the most important rows first.
    settings, notes
        Options, and what was found on the way: identifiers, scale, samples left out.
    """

    title: str
    verdict: tuple[str, ...]
    tables: dict[str, pd.DataFrame]
    settings: dict[str, Any]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        lines = [self.title, "", "Verdict"]
        lines += [f"  * {sentence}" for sentence in self.verdict]
        for title, table in self.tables.items():
            shown = table.head(_ROWS).to_string(float_format=lambda x: f"{x:.3g}")
            lines += ["", title, *(f"  {line}" for line in shown.splitlines())]
            if len(table) > _ROWS:
                lines.append(f"  ... {len(table)} rows in all")
        if self.notes:
            lines += ["", "Data", *(f"  * {note}" for note in self.notes)]
        return "\n".join(lines)

    __repr__ = __str__

    def write(
        self, folder: str | Path, *, force: bool = False,
        inputs: Mapping[str, Path] | None = None, arguments: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """``verdict.txt``, a CSV for each table and ``run.json``, whole or not at all."""
        from bayesdecov.io.outputs import whole_folder
        from bayesdecov.io.records import run_record, write_json
        from bayesdecov.io.tables import write_table

        with whole_folder(Path(folder), force=force) as partial:
            (partial / "verdict.txt").write_text(str(self) + "\n", encoding="utf-8")
            for title, table in self.tables.items():
                name = "_".join(title.lower().split()[:3])
                write_table(table, partial / f"{name}.csv", index_label=str(table.index.name))
            record = run_record("doctor", self.settings, self.notes, inputs or {}, arguments)
            record["verdict"] = list(self.verdict)
            write_json(record, partial / "run.json")
