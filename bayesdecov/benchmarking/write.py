"""The files of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bayesdecov.io.outputs import whole_folder
from bayesdecov.io.records import run_record, write_json
from bayesdecov.io.tables import write_table

if TYPE_CHECKING:
    from bayesdecov.benchmarking.result import Benchmark

_PLOTS = ("rmse", "r_types", "coverage", "seconds")
_DPI = 120


def write_benchmark(
    found: Benchmark, folder: Path, *, force: bool = False, arguments: Sequence[str] = ()
) -> None:
    """``scores.csv``, ``levels.csv``, ``summary.csv``, estimates, pictures, ``benchmark.html``."""
    from bayesdecov.plots.benchmark import heat_map
    from bayesdecov.reporting.benchmark import content
    from bayesdecov.reporting.page import page

    record = run_record("benchmark", found.settings, found.notes, found.inputs, arguments)
    with whole_folder(folder, force=force) as partial:
        write_table(found.scores, partial / "scores.csv")
        write_table(found.levels(), partial / "levels.csv")
        write_table(found.summary(), partial / "summary.csv", index_label="method")
        write_table(found.estimates, partial / "estimates.csv.gz")
        (partial / "plots").mkdir()
        levels = found.levels()
        for metric in _PLOTS:
            if levels[metric].notna().any():
                heat_map(found, metric).savefig(partial / "plots" / f"{metric}.png", dpi=_DPI)
        text = page(folder.resolve().name, record, content(found))
        (partial / "benchmark.html").write_text(text, encoding="utf-8")
        write_json(record, partial / "run.json")
