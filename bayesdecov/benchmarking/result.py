"""The result of a benchmark: scores of every method, case and cell type."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayesdecov.benchmarking.metrics import ALL
from bayesdecov.results.result import Result

_WHERE = ["scenario", "level", "method"]
QUALITY = (
    "rmse",
    "mae",
    "r_types",
    "ccc",
    "bias",
    "coverage",
    "width",
    "interval_score",
    "intervals",
)  # averaged over problems
SCORES = (
    "r",
    "r_types",
    "ccc",
    "rmse",
    "mae",
    "bias",
    "negative",
    "coverage",
    "width",
    "interval_score",
    "intervals",
    "failed",
    "seconds",
    "interval_seconds",
    "reference_seconds",
    "memory_mb",
)


@dataclass(frozen=True)
class Benchmark(Result):
    """Methods x cases x metrics.

    Attributes
    ----------
    scores
        One row per case, method and cell type ("all" for all of them, "other" for content that
        is absent from the reference); the columns are those of `bayesdecov.benchmarking.metrics`
        and, on the rows "all", ``failed`` (share of samples without an estimate or that did not
        converge), ``seconds`` (the estimate, one thread), ``interval_seconds`` (bootstrap),
        ``reference_seconds`` (markers and covariances), ``memory_mb`` (peak of allocated memory)
        and ``error``.
    estimates
        One row per case, method, sample and cell type: truth, estimate, low, high.
    settings, notes, facts
        The requested options; problems left out; seconds.
    """

    scores: pd.DataFrame
    estimates: pd.DataFrame
    settings: dict[str, Any]
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    command = "benchmark"
    compressed = frozenset({"estimates"})

    @property
    def overall(self) -> pd.DataFrame:
        """The rows of all cell types together."""
        return self.scores[self.scores["cell_type"] == ALL].reset_index(drop=True)

    def levels(self) -> pd.DataFrame:
        """Means over repeats: one row per scenario, level and method, in the order of the run.

        ``rmse_se`` is the Monte-Carlo standard error of ``rmse``; ``failures`` counts repeats
        without any estimate.
        """
        whole = self.overall
        groups = whole.groupby(_WHERE, sort=False)
        table = groups[list(SCORES)].mean()
        repeats = groups["rmse"].count()
        table.insert(
            table.columns.get_loc("rmse") + 1, "rmse_se", groups["rmse"].std() / np.sqrt(repeats)
        )
        table["repeats"] = groups.size()
        table["failures"] = groups["error"].agg(lambda said: int((said != "").sum()))
        return table.reset_index()

    def summary(self) -> pd.DataFrame:
        """One row per method, the best first; methods with failures come last.

        ``rmse_to_best`` is the geometric mean, over scenarios and levels, of the ratio of the
        method's rmse to the smallest (1: the best everywhere), ``best`` counts how often it was the
        best, and ``worst`` is its largest ratio and where it occurred; all others are means.
        """
        levels = self.levels()
        levels["place"] = levels["scenario"] + ": " + levels["level"]
        smallest = levels.groupby("place")["rmse"].transform("min")
        levels["ratio"] = levels["rmse"] / np.maximum(smallest, 1e-12)
        rows = {}
        for name, part in levels.groupby("method", sort=False):
            known = part.dropna(subset="ratio")
            row: dict[str, Any] = {
                "rmse_to_best": np.nan,
                "best": 0,
                "worst": np.nan,
                "worst_place": "",
                "cases": len(known),
            }
            if len(known):
                worst = known.loc[known["ratio"].idxmax()]
                row |= {
                    "rmse_to_best": float(np.exp(np.log(known["ratio"]).mean())),
                    "best": int((known["ratio"] <= 1 + 1e-9).sum()),
                    "worst": float(worst["ratio"]),
                    "worst_place": worst["place"],
                }
            for column in (*QUALITY, "failed", "seconds", "memory_mb"):
                row[column] = float(part[column].mean())
            row["failures"] = int(part["failures"].sum())
            rows[name] = row
        table = pd.DataFrame(rows).T.infer_objects().rename_axis("method")
        broken = (table["failures"] > 0).rename("broken")
        order = pd.concat([broken, table["rmse_to_best"]], axis=1)
        return table.loc[order.sort_values(["broken", "rmse_to_best"], na_position="last").index]

    def tables(self, prob: float = 0.95) -> dict[str, pd.DataFrame]:
        """``scores``, ``levels``, ``summary`` and ``estimates``."""
        return {
            "scores": self.scores,
            "levels": self.levels(),
            "summary": self.summary(),
            "estimates": self.estimates,
        }

    def __str__(self) -> str:
        table = self.summary()
        problems = self.overall[["scenario", "level"]].drop_duplicates()
        cohorts = self.overall[["scenario", "level", "repeat"]].drop_duplicates()
        lines = [
            f"Benchmark: {len(table)} methods x {len(problems)} problems, {len(cohorts)} cohorts",
            f"  {'method':<34} {'rmse/best':>9} {'best':>5} {'r':>6} {'cover':>6} {'width':>6} "
            f"{'sec':>7} {'failed':>6}",
        ]
        for name, row in table.iterrows():
            numbers = [
                _short(row[each], digits)
                for each, digits in (
                    ("rmse_to_best", 2),
                    ("best", 0),
                    ("r_types", 2),
                    ("coverage", 2),
                    ("width", 3),
                    ("seconds", 2),
                    ("failed", 2),
                )
            ]
            lines.append(
                "  {:<34} {:>9} {:>5} {:>6} {:>6} {:>6} {:>7} {:>6}".format(
                    str(name)[:34], *numbers
                )
            )
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    __repr__ = __str__


def _short(value: Any, digits: int) -> str:
    return "-" if pd.isna(value) else f"{float(value):.{digits}f}"
