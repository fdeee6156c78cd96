"""The result of `calibrate`: coverage of intervals and ranks of the true values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from bayesdecov import checks
from bayesdecov.calibration.bands import Band
from bayesdecov.results.result import Result

ALPHA = 0.001


@dataclass(frozen=True)
class Calibration(Result):
    """Ranks of true values in posteriors of simulated data, and coverage of their intervals.

    Attributes
    ----------
    ranks
        Simulation x parameter, each between 0 and 99; None for a method without draws.
    coverage
        Tidy: parameter, level, coverage, std_error, trusted (coverage where diagnostics are good),
        simulations. Diagnostics are good if Pareto-k is at most .7 (laplace), no transition
        diverged (nuts) or the optimiser converged (map). Standard errors are those of a calibrated
        method.
    uniform
        Per parameter: the smallest pointwise tail probability of its ranks, the limit for the
        simultaneous band at alpha = .001, and whether the ranks are uniform.
    settings, facts
        The requested options; number of trusted simulations, standard errors and seconds.
    """

    ranks: pd.DataFrame | None
    coverage: pd.DataFrame
    uniform: pd.DataFrame | None
    band: Band | None
    settings: dict[str, Any]
    facts: dict[str, Any]
    notes: tuple[str, ...] = ()

    command = "calibrate"

    def tables(self, prob: float = 0.95) -> dict[str, pd.DataFrame]:
        """``coverage``; with draws also ``ranks`` and ``uniformity``."""
        found = {"coverage": self.coverage}
        if self.ranks is not None and self.uniform is not None:
            found |= {
                "ranks": self.ranks.rename_axis(index="simulation"),
                "uniformity": self.uniform.rename_axis(index="parameter"),
            }
        return found

    def __str__(self) -> str:
        s = self.settings | self.facts
        lines = [
            f"Calibration of {s['model']} by {s['method']}: {s['simulations']} simulations, "
            f"{s['trusted']} with good diagnostics, {s['seconds']:.0f} s"
        ]
        for level, part in self.coverage.groupby("level"):
            error = s["standard_errors"][level]
            lines.append(
                f"  {level:.0%} intervals contain the true value in {part['coverage'].mean():.1%} "
                f"(standard error {error:.1%})"
            )
        if self.uniform is not None:
            bad = self.uniform.index[~self.uniform["uniform"]]
            lines.append(
                f"  ranks: {'uniform' if not len(bad) else 'NOT uniform: ' + checks.some(bad)} "
                f"(simultaneous ECDF band, alpha = {ALPHA:g})"
            )
        return "\n".join(lines)

    __repr__ = __str__
