"""Runs side by side: estimates, intervals, their agreement, and computing time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError, Notes
from bayesdecov.results.result import Result
from bayesdecov.results.run import EFFECTS, PROPORTIONS, Run, run_of, usable

_TRUST = ("nuts", "laplace", "map")  # yardsticks in order of preference
_Z = 1.959964


@dataclass(frozen=True)
class Comparison(Result):
    """Result of `compare`.

    Attributes
    ----------
    table
        Tidy: run, method, the quantity (sample and cell_type, or covariate), mean, sd, low, high,
        difference (from the yardstick) and difference_in_sd (in its posterior sd).
    summary
        One row per run: method, seconds, width of intervals, root mean squared and largest
        difference from the yardstick, both also in its sd, and correlation with it.
    yardstick
        The run with which all are compared: the most exact posterior among them.
    """

    table: pd.DataFrame
    summary: pd.DataFrame
    yardstick: str
    kind: str
    notes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)

    command = "compare"

    @property
    def settings(self) -> dict[str, Any]:  # type: ignore[override]
        """The settings of the comparison."""
        return {"yardstick": self.yardstick, "runs": list(self.summary.index)}

    def tables(self, prob: float = 0.95) -> dict[str, pd.DataFrame]:
        """``comparison`` and ``summary``; intervals are those of the runs."""
        return {"comparison": self.table, "summary": self.summary.rename_axis(index="run")}

    def __str__(self) -> str:
        what = "proportions" if self.kind == PROPORTIONS else "effects"
        shown = self.summary.to_string(float_format=lambda value: f"{value:.4g}")
        notes = "".join(f"\n  note: {note}" for note in self.notes)
        return (
            f"Comparison of {what}: {len(self.summary)} runs, differences from "
            f"{self.yardstick!r}\n{shown}{notes}"
        )

    __repr__ = __str__


def compare(*fits: Any, yardstick: str | None = None) -> Comparison:
    """Compare any number of runs on the same data.

    Proportions are compared sample by sample, even between bulk expression and flow cytometry;
    for `fastmix`, effects on the whole transcriptome are compared.

    Parameters
    ----------
    *fits
        Results of `deconvolve`, `gate` or `fastmix`, folders of finished runs, or ``(name, fit)``
        pairs. All of one kind; estimates that are not in all runs are left out, with a warning.
    yardstick
        Name of the run from which differences are taken; default: the first by "nuts", else by
        "laplace", else by "map", else the first.

    Returns
    -------
    Comparison
        ``.table``, ``.summary``, ``.write(folder)``; `bayesdecov.plots.comparison` draws it.

    Raises
    ------
    InputError
        Fewer than two runs, or runs of different kinds or without common estimates.

    Examples
    --------
    >>> import bayesdecov as bd
    >>> cohort = bd.simulate.convolution(n_samples=4, n_genes=60, n_types=3, seed=1)
    >>> reference = bd.Reference.from_samples(cohort.purified, cohort.labels)
    >>> fits = [bd.deconvolve(cohort.bulk, reference, m, seed=1) for m in ("map", "laplace")]
    >>> bd.compare(*fits).summary.index.tolist()
    ['map', 'laplace']
    """
    runs = _named(
        [run_of(fit[1], str(fit[0])) if isinstance(fit, tuple) else run_of(fit) for fit in fits]
    )
    if len(runs) < 2:
        raise InputError("fits", "needs at least two runs", found=str(len(runs)))
    with usable(*runs.values()):
        return _compared(runs, yardstick)


def _compared(runs: dict[str, Run], yardstick: str | None) -> Comparison:
    kinds = {EFFECTS if run.command == EFFECTS else PROPORTIONS for run in runs.values()}
    if len(kinds) > 1:
        raise InputError(
            "fits", "must all be proportions or all be effects", found=" and ".join(sorted(kinds))
        )
    kind = kinds.pop()
    if yardstick is None:
        ranked = [name for method in _TRUST for name, run in runs.items() if run.method == method]
        yardstick = (ranked or list(runs))[0]
    checks.check_choice(yardstick, tuple(runs), "yardstick")
    parts = {name: _estimates(run) for name, run in runs.items()}
    common = parts[yardstick].index
    for part in parts.values():
        common = common[common.isin(part.index)]
    if not len(common):
        raise InputError(
            "fits", "must have samples and cell types (or covariates) in common", found="none"
        )
    notes = Notes()
    _tell(runs, parts, common, notes)
    base = parts[yardstick].loc[common]
    rows, summary = [], {}
    for name, part in parts.items():
        table, summary[name] = _beside(part.loc[common], base, runs[name])
        table.insert(0, "run", name)
        rows.append(table)
    return Comparison(
        pd.concat(rows, ignore_index=True),
        pd.DataFrame(summary).T.rename_axis("run"),
        yardstick,
        kind,
        tuple(notes.lines),
    )


def _beside(
    mine: pd.DataFrame, base: pd.DataFrame, run: Run
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Estimates of one run with their differences from the yardstick, and a summary."""
    difference = mine["mean"] - base["mean"]
    in_sd = difference / base["sd"].where(base["sd"] > 0)
    table = mine.assign(difference=difference, difference_in_sd=in_sd).reset_index()
    table.insert(0, "method", run.method)
    spread = mine["mean"].std() > 0 and base["mean"].std() > 0
    return table, {
        "method": run.method,
        "seconds": run.seconds,
        "estimates": len(mine),
        "mean_width": float((mine["high"] - mine["low"]).mean()),
        "rms_difference": float(np.sqrt(np.mean(difference**2))),
        "largest_difference": float(difference.abs().max()),
        "rms_in_sd": float(np.sqrt(np.mean(in_sd**2))),
        "largest_in_sd": float(in_sd.abs().max()),
        "correlation": float(mine["mean"].corr(base["mean"])) if spread else float("nan"),
    }


def _tell(
    runs: dict[str, Run], parts: dict[str, pd.DataFrame], common: pd.Index, notes: Notes
) -> None:
    """Warn of settings that make runs less comparable."""
    trees = {str(run.settings["hierarchy"]) for run in runs.values() if "hierarchy" in run.settings}
    if len(trees) > 1:
        notes.warn("these runs were gated with different hierarchies (settings of run.json)")
    for what, meaning in (
        ("quantity", "different quantities"),
        ("interval_probability", "intervals of different probability"),
    ):
        values = {str(run.settings.get(what)) for run in runs.values()}
        if len(values) > 1:
            notes.warn(f"these runs report {meaning}: {', '.join(sorted(values))}")
    for name, part in parts.items():
        lost = part.index[~part.index.isin(common)]
        if len(lost):
            labels = [
                " ".join(map(str, label)) if isinstance(label, tuple) else str(label)
                for label in lost
            ]
            notes.warn(
                f"{name}: {len(lost)} of {len(part)} estimates are not in all runs and are "
                f"left out: {checks.some(labels)}"
            )


def _named(runs: list[Run]) -> dict[str, Run]:
    """Runs by name; runs with the same name are numbered."""
    named: dict[str, Run] = {}
    for run in runs:
        name, number = run.name, 2
        while name in named:
            name, number = f"{run.name} ({number})", number + 1
        named[name] = run
    return named


def _estimates(run: Run) -> pd.DataFrame:
    """Estimate, sd and 95 % limits: proportions, or effects on the whole transcriptome."""
    if run.command != EFFECTS:
        table = run.tables["intervals"].copy()
        table["sample"] = table["sample"].astype(str)
        return table.set_index(["sample", "cell_type"])[["mean", "sd", "low", "high"]]
    fixed = run.tables["fixed"]
    estimate, error = fixed["estimate"].astype(float), fixed["std_error"].astype(float)
    return pd.DataFrame(
        {"mean": estimate, "sd": error, "low": estimate - _Z * error, "high": estimate + _Z * error}
    ).rename_axis("covariate")
