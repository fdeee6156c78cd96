"""Result of every analysis: tables, an ArviZ container where there are draws, a record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from bayesdecov.io.outputs import whole_folder
from bayesdecov.io.records import RECORD, run_record, write_json
from bayesdecov.io.tables import write_table

POSTERIOR = "posterior.nc"


class Result(ABC):
    """An analysis as its command writes it.

    Attributes
    ----------
    command
        The command of the command line.
    compressed
        Names of the tables that are written as ``.csv.gz``.
    settings
        The options used, with defaults resolved.
    facts
        Estimates and measurements of the whole analysis.
    notes
        Findings and decisions of the analysis, in words.
    """

    command: ClassVar[str]
    compressed: ClassVar[frozenset[str]] = frozenset()
    settings: dict[str, Any]
    facts: dict[str, Any]
    notes: tuple[str, ...]

    @abstractmethod
    def tables(self, prob: float = 0.95) -> dict[str, pd.DataFrame]:
        """All tables by file name; intervals contain the true value with probability ``prob``.

        A table whose index has a name is written with it, any other without its index.
        """

    def to_inference_data(self) -> Any:
        """ArviZ container of the draws; None where a result has none."""
        return None

    def extra_files(self, folder: Path) -> None:  # noqa: B027 (a hook that most do not need)
        """Write files other than tables and the posterior into ``folder``."""

    def record(
        self,
        *,
        prob: float = 0.95,
        inputs: Mapping[str, Path] | None = None,
        arguments: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Content of ``run.json``: settings, facts, versions, checksums of the inputs, warnings.

        ``arguments`` are those of the command line.
        """
        both = self.settings | self.facts
        record = run_record(self.command, both, self.notes, inputs or {}, arguments)
        if "seconds" in self.facts:
            record["timings"] = {"seconds": self.facts["seconds"]}
        return record

    def fill(
        self,
        folder: Path,
        *,
        prob: float = 0.95,
        inputs: Mapping[str, Path] | None = None,
        arguments: Sequence[str] = (),
        posterior: Any = None,
    ) -> None:
        """Write all files into a folder that exists.

        ``posterior`` takes the place of ``to_inference_data()``.
        """
        for name, table in self.tables(prob).items():
            ending = ".csv.gz" if name in self.compressed else ".csv"
            write_table(table, folder / f"{name}{ending}")
        posterior = self.to_inference_data() if posterior is None else posterior
        if posterior is not None:
            from bayesdecov import _arviz  # ArviZ takes a second to load

            _arviz.save(posterior, folder / POSTERIOR)
        self.extra_files(folder)
        record = self.record(prob=prob, inputs=inputs, arguments=arguments)
        write_json(record, folder / RECORD)

    def write(self, folder: str | Path, *, force: bool = False) -> None:
        """Write tables, posterior and ``run.json`` into a new folder, whole or not at all.

        Parameters
        ----------
        folder
            Must not exist, or be the folder of an earlier run with ``force``.
        force
            Replace an earlier run.
        """
        with whole_folder(Path(folder), force=force) as partial:
            self.fill(partial)
