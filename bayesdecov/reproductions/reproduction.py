"""A reproduction: its name, its subject, and the function that makes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bayesdecov import checks
from bayesdecov.io.outputs import whole_folder
from bayesdecov.io.records import run_record, write_json


class Reproduction(NamedTuple):
    """``make(folder, quick, seed, progress)`` writes CSV and PNG and returns a short text."""

    name: str
    title: str
    source: str
    make: Callable[[Path, bool, int, bool], str]

    def write(
        self,
        folder: Path,
        *,
        quick: bool = False,
        seed: int = 1,
        force: bool = False,
        progress: bool = False,
    ) -> str:
        """Write it to a new folder, whole or not at all, with ``summary.txt`` and ``run.json``."""
        checks.check_whole(seed, "seed", at_least=0)
        with whole_folder(folder, force=force) as partial:
            text = self.make(partial, quick, seed, progress)
            (partial / "summary.txt").write_text(text + "\n", encoding="utf-8")
            settings = {"name": self.name, "source": self.source, "quick": quick, "seed": seed}
            write_json(run_record("reproduce", settings, (), {}), partial / "run.json")
        return text
