"""The result of `contrast`: differences of proportions between conditions, with uncertainty."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayesdecov.algebra.simplex import log_ratio_basis
from bayesdecov.cohort.fit import CohortDraws
from bayesdecov.cohort.question import Question
from bayesdecov.results.result import Result

_NOTES = 5


@dataclass(frozen=True)
class Contrast(Result):
    """Differences of cell-type proportions between conditions.

    Attributes
    ----------
    table
        One row per contrast and cell type: ``first`` and ``second`` (mean proportions of the two
        conditions, in percent), ``difference`` (second - first, percentage points) with ``sd``,
        ``low`` and ``high``, ``p_greater`` (probability of a difference above ``rope``),
        ``p_less`` (below -``rope``), ``lfsr`` (probability that the sign is wrong), and the
        difference of centred log-ratios with ``log_ratio_low`` and ``log_ratio_high``.
    samples
        Proportions of the samples in percent, shrunk towards the cohort.
    settings, facts, notes
        The requested options; convergence diagnostics and seconds; messages about the fit.
    columns, cell_types, questions, draws
        Design columns, parts, comparisons, and the draws behind the table.
    """

    table: pd.DataFrame
    samples: pd.DataFrame
    settings: dict[str, Any]
    notes: tuple[str, ...]
    columns: list[str]
    cell_types: pd.Index
    questions: list[Question]
    draws: CohortDraws
    differences: np.ndarray  # (chain, draw, contrast, cell_type), percentage points
    facts: dict[str, Any] = field(default_factory=dict)

    command = "contrast"

    def to_inference_data(self) -> Any:
        """ArviZ container: ``difference`` (chain, draw, contrast, cell_type), ``coefficients``.

        Coefficients are changes in centred log-ratios per standard deviation of the design column.
        """
        import xarray as xr

        from bayesdecov._arviz import from_groups

        V = log_ratio_basis(len(self.cell_types))
        chains, draws = self.differences.shape[:2]
        coords = {
            "chain": np.arange(chains),
            "draw": np.arange(draws),
            "contrast": [one.name for one in self.questions],
            "cell_type": list(self.cell_types),
            "column": self.columns,
        }
        posterior = xr.Dataset(
            {
                "difference": (("chain", "draw", "contrast", "cell_type"), self.differences),
                "coefficients": (
                    ("chain", "draw", "column", "cell_type"),
                    self.draws.coefficients @ V.T,
                ),
            },
            coords,
        )
        groups = {"posterior": posterior}
        if self.draws.stats:
            groups["sample_stats"] = xr.Dataset(
                {name: (("chain", "draw"), value) for name, value in self.draws.stats.items()},
                {name: coords[name] for name in ("chain", "draw")},
            )
        return from_groups(groups, self.settings | self.facts)

    def tables(self, prob: float = 0.95) -> dict[str, pd.DataFrame]:
        """``contrasts`` and ``samples``; interval probability as in ``settings``, not ``prob``."""
        return {"contrasts": self.table, "samples": self.samples.rename_axis(index="sample")}

    def __str__(self) -> str:
        s, f = self.settings, self.facts
        lines = [
            f"Contrast: {len(self.samples)} samples, {len(self.cell_types)} cell types, "
            f"{s['formula']}",
            f"  method: {s['method']}   R-hat {f['r_hat']:.3f}, at least {f['ess_bulk']:.0f} "
            "effective draws",
        ]
        prob = f"{s['prob']:.0%}"
        for name, part in self.table.groupby("contrast", sort=False):
            lines.append(f"  {name}   (percentage points, {prob} interval)")
            order = part.reindex(part["lfsr"].sort_values(kind="stable").index)
            for row in order.head(8).itertuples(index=False):
                lines.append(
                    f"    {row.cell_type[:28]:<28} {row.first:6.2f} -> {row.second:6.2f}   "
                    f"{row.difference:+.2f} ({row.low:+.2f}, {row.high:+.2f})   "
                    f"lfsr {row.lfsr:.3f}"
                )
            if len(order) > 8:
                lines.append(f"    ... and {len(order) - 8} more (.table)")
        lines += [f"  note: {note}" for note in self.notes[:_NOTES]]
        return "\n".join(lines)

    __repr__ = __str__
