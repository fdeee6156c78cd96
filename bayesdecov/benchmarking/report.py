"""Contents of the page of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from bayesdecov.baselines import BASELINES
from bayesdecov.benchmarking.real import REAL
from bayesdecov.benchmarking.result import QUALITY, Benchmark
from bayesdecov.plots.benchmark import by_type, cost, heat_map, spill_over
from bayesdecov.reporting import words
from bayesdecov.reporting.page import page
from bayesdecov.reporting.parts import picture, section, table_of

_FEWER, _MORE = (
    1.0,
    0.8,
)  # a remark is added if misses are above twice or below a fifth of the nominal rate
_SHOWN = (
    "rmse_to_best", "best", "worst", "worst_place", *QUALITY,
    "seconds", "memory_mb", "failed", "failures",
)  # fmt: skip


def render(found: Benchmark, name: str, record: Mapping[str, Any] | None = None) -> str:
    """The HTML page of a benchmark; ``record`` is the content of its ``run.json``."""
    return page(name, found.record() if record is None else record, content(found))


def content(found: Benchmark) -> dict[str, Any]:
    """Contents for the template."""
    table = found.summary()
    parts = [_failures(found)]
    if table["rmse"].notna().any():
        parts = [
            _accuracy(found, table),
            _intervals(found, table),
            _correlation(found),
            _spill_over(found),
            *(_real(found, name) for name in REAL),
            _cost(found),
            *parts,
        ]
    methods = [name.partition(":")[0] for name in table.index]
    papers = [
        (BASELINES[name].title, f"https://doi.org/{BASELINES[name].doi}")
        for name in dict.fromkeys(methods)
        if name in BASELINES
    ]
    return {
        "title": "Benchmark of deconvolution methods",
        "verdict": _verdict(found, table),
        "glance": _glance(found),
        "sections": [part for part in parts if part is not None],
        "methods": "Every simulated bulk is a different donor; references come from other "
        "donors. Markers are selected from the reference alone. No method was tuned to these data.",
        "citations": [words.DECOVART, *papers],
    }


def _verdict(found: Benchmark, table: pd.DataFrame) -> dict[str, Any]:
    known = table.dropna(subset=["rmse_to_best"])
    known = known[known["failures"] == 0] if (known["failures"] == 0).any() else known
    if not len(known):
        return {"colour": "poor", "text": "No method gave an estimate.", "reasons": []}
    first = known.iloc[0]
    levels = found.levels()
    levels = levels[levels["method"].isin(known.index)]
    best = levels.loc[levels.groupby(["scenario", "level"], sort=False)["rmse"].idxmin().dropna()]
    wins = best.groupby("method", sort=False).apply(
        lambda part: ", ".join(part["scenario"] + " (" + part["level"] + ")"),
        include_groups=False,
    )
    reasons = [f"{name} is closest to the truth in: {places}" for name, places in wins.items()]
    broken = [str(name) for name in table.index if name not in known.index]
    if broken:
        reasons.append(
            f"excluded from this ranking because they failed on a cohort: {', '.join(broken)}"
        )
    covered = known[known["coverage"].astype(float).notna()]
    for name, row in covered.iterrows():
        value = float(row["coverage"])
        miss = 1 - float(found.settings["prob"])
        if not miss * (1 - _MORE) <= 1 - value <= miss * (1 + _FEWER):
            reasons.append(
                f"{name}: nominal {float(found.settings['prob']):.0%} intervals contain "
                f"{value:.0%} of the true values on average"
            )
    text = (
        f"Closest to the truth overall: {known.index[0]}, with {first['rmse_to_best']:.2f} "
        f"times the error of the best method of each problem."
    )
    return {"colour": "plain", "text": text, "reasons": reasons}


def _glance(found: Benchmark) -> list[tuple[str, str]]:
    whole = found.overall
    cases = whole[["scenario", "level", "repeat"]].drop_duplicates()
    return [
        ("Methods", ", ".join(found.settings["methods"])),
        (
            "Problems",
            f"{len(found.levels()[['scenario', 'level']].drop_duplicates())}, "
            f"{len(cases)} cohorts in all",
        ),
        (
            "Intervals",
            f"{float(found.settings['prob']):.0%}; bootstrap of the methods without any: "
            f"{found.settings['bootstrap']}",
        ),
    ]


def _accuracy(found: Benchmark, table: pd.DataFrame) -> dict[str, Any]:
    text = (
        "Root mean squared error over samples and cell types, mean over repeats. rmse_to_best is "
        "the geometric mean over problems of the ratio of a method's error to the smallest error; "
        "best counts the problems in which it was the smallest; worst is the problem with the "
        "largest ratio. A sample without an estimate counts as a guess of equal proportions "
        "(failed: share of these samples and of those that did not converge); failures are cohorts "
        "without any estimate, and their methods come last."
    )
    shown = table[[name for name in _SHOWN if name in table]]
    shown = shown.dropna(axis=1, how="all")
    return section(
        "Accuracy",
        text,
        [
            picture(heat_map(found, "rmse"), "RMSE, methods x problems"),
            picture(heat_map(found, "bias"), "bias"),
        ],
        [table_of(shown, "Methods, the best first")],
    )


def _intervals(found: Benchmark, table: pd.DataFrame) -> dict[str, Any] | None:
    if not table["coverage"].astype(float).notna().any():
        return None
    text = (
        "Coverage of intervals (for truths strictly between 0 and 1), their width, and the "
        "interval score, which combines both, for samples with an interval (intervals: "
        "their share). Methods without intervals are left out."
    )
    pictures = [
        picture(heat_map(found, name), name) for name in ("coverage", "width", "interval_score")
    ]
    return section("Intervals", text, pictures, [])


def _correlation(found: Benchmark) -> dict[str, Any]:
    text = (
        "Correlation over samples within each cell type, then averaged. Pooled over cell types "
        "it would be high whenever a method knows which types are abundant."
    )
    return section(
        "Ranking of samples",
        text,
        [
            picture(heat_map(found, "r_types"), "correlation"),
            picture(heat_map(found, "ccc"), "concordance"),
        ],
        [],
    )


def _spill_over(found: Benchmark) -> dict[str, Any] | None:
    if not len(found.estimates) or "spill-over" not in set(found.estimates["scenario"]):
        return None
    text = "Estimates in samples of a single cell type; off the diagonal is spill-over."
    return section("Spill-over", text, [picture(spill_over(found), "spill-over")], [])


def _real(found: Benchmark, name: str) -> dict[str, Any] | None:
    part = found.scores[(found.scores["scenario"] == name) & (found.scores["cell_type"] != "all")]
    if not part["r"].notna().any():
        return None
    text = "Correlation with the truth and mean error of each cell type."
    pictures = [picture(by_type(found, name, metric), metric) for metric in ("r", "mae")]
    return section(f"Real data: {name}", text, pictures, [])


def _cost(found: Benchmark) -> dict[str, Any]:
    text = (
        "Seconds per cohort on one thread, without building the reference (reference_seconds in "
        "scores.csv) and without bootstrap; peak of allocated memory."
    )
    pictures = [
        picture(cost(found), "error against time"),
        picture(heat_map(found, "seconds"), "seconds"),
    ]
    if found.overall["memory_mb"].notna().any():
        pictures.append(picture(heat_map(found, "memory_mb"), "memory"))
    return section("Cost", text, pictures, [])


def _failures(found: Benchmark) -> dict[str, Any] | None:
    whole = found.overall
    failed = whole[whole["error"] != ""]
    partly = whole[(whole["error"] == "") & (whole["failed"] > 0)]
    if not len(failed) and not len(partly):
        return None
    tables = []
    for part, columns, caption in (
        (failed, ["scenario", "level", "repeat", "error"], "No estimate at all"),
        (
            partly,
            ["scenario", "level", "repeat", "failed"],
            "Share of samples without a converged estimate",
        ),
    ):
        if len(part):
            tables.append(
                table_of(part.set_index("method")[columns].replace({np.nan: ""}), caption)
            )
    return section("Failures", "", [], tables)
