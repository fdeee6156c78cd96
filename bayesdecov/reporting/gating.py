"""Contents of a report about gating."""

from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd

from bayesdecov import checks
from bayesdecov.io.files import file_names
from bayesdecov.plots.proportions import intervals, stacked_bars
from bayesdecov.reporting import words
from bayesdecov.reporting.parts import Picture, picture, section, table_of
from bayesdecov.results.run import Run

_SPREAD = 0.02  # larger standard deviations of a proportion over seeds are reported
_SHARE_LOST = 0.05  # of a sample's events with missing values
_PANELS = 24  # samples of a gate that are drawn
_WIDTH = 900


def content(run: Run) -> dict[str, Any]:
    """Contents for the template."""
    return {
        "title": "Cell populations by flow cytometry",
        "verdict": _verdict(run),
        "glance": _glance(run),
        "sections": [
            part
            for part in (
                _proportions(run),
                _gates(run),
                _populations(run),
                _reading(run),
                _failures(run),
            )
            if part is not None
        ],
        "methods": words.of_gating(run.settings, len(run.tables["proportions"]), run.version),
        "citations": words.citations(run.method, words.DAFI),
    }


def _verdict(run: Run) -> dict[str, Any]:
    table = run.tables["diagnostics"]
    number = {
        name: table[name].astype(float)
        for name in ("events", "used", "overlap", "seed_sd", "denominator")
    }
    kinds = {
        "no events of the denominator": number["denominator"] == 0,
        "types overlap, so proportions sum to more than one": number["overlap"] > 0,
        f"a proportion has a standard deviation above {_SPREAD:g} over seeds": (
            number["seed_sd"] > _SPREAD
        ),
        f"more than {_SHARE_LOST:.0%} of the events have missing values": (
            1 - number["used"] / number["events"] > _SHARE_LOST
        ),
    }
    populations = run.tables["populations"]
    found = populations.pivot(index="sample", columns="population", values="count").astype(float)
    parents = dict(zip(populations["population"], populations["parent"], strict=True))
    for name in dict.fromkeys(populations["population"]):
        above = found[parents[name]] > 0 if parents[name] in found else found[name] >= 0
        nothing = above & (found[name] == 0)
        if nothing.sum() > 0.5 * above.sum():
            kinds[f"the gate {name!r} keeps nothing"] = nothing.reindex(table.index.astype(str))
    reasons = [
        f"{kind}: {int(bad.sum())} ({checks.some(table.index[bad])})"
        for kind, bad in kinds.items()
        if bad.any()
    ]
    failed = [one["sample"] for one in run.record.get("failures", [])]
    if failed:
        reasons.append(f"files that could not be gated: {len(failed)} ({checks.some(failed)})")
    n = len(table)
    if not reasons:
        text = f"Gated: {n} of {n}; no problems were found."
        return {"colour": "good", "text": text, "reasons": []}
    text = f"Gated: {n} of {n + len(failed)}. Please note:"
    return {"colour": "mixed", "text": text, "reasons": reasons}


def _glance(run: Run) -> list[tuple[str, str]]:
    s = run.settings
    tree = s["hierarchy"]
    events = run.tables["diagnostics"]["events"].astype(int)
    return [
        ("Samples", str(len(events))),
        ("Events", f"{events.sum():,} ({events.min():,} to {events.max():,} per sample)"),
        ("Hierarchy", f"{tree['name'] or 'without a name'}, {len(tree['gate'])} gates"),
        ("Proportions are", str(s["quantity"])),
        (
            "K-means",
            f"k = {tree['cluster']['k']}, {tree['cluster']['init']}, {s['seeds']} seed(s) "
            f"from {s['seed']}, inherit {tree['cluster']['inherit']}",
        ),
        ("Time", f"{run.seconds:.3g} s"),
    ]


def _proportions(run: Run) -> dict[str, Any]:
    table = run.tables["intervals"]
    view = SimpleNamespace(
        proportions=run.tables["proportions"].astype(float),
        method=run.method,
        quantity=run.settings["quantity"],
        intervals=lambda prob: table,
    )
    prob = float(run.settings["interval_probability"])
    several = int(run.settings["seeds"]) > 1
    what = "counting error and spread over seeds" if several else "counting error only (one seed)"
    return section(
        "Proportions",
        f"Intervals of {prob:.0%} include {what}.",
        [
            picture(stacked_bars(view), "Proportions of every sample as stacked bars"),  # type: ignore[arg-type]
            picture(intervals(view, prob=prob), "Proportions with intervals, a panel per type"),  # type: ignore[arg-type]
        ],
        [table_of(table.set_index("sample"), "Proportions with intervals")],
    )


def _gates(run: Run) -> dict[str, Any] | None:
    """Strips of the gates: drawn from the fit, or read from the folder of the run."""
    names = [gate["name"] for gate in run.settings["hierarchy"]["gate"]]
    if isinstance(run.source, Path):
        stems = file_names(names).values()
        found = [_from_file(path) for stem in stems for path in _files(run.source, stem)]
        text = "" if found else "The run drew no plots (--no-plots)."
    else:
        from bayesdecov.plots import gate

        samples = list(run.source.pictures)[:_PANELS]
        found = [
            picture(gate(run.source, name, samples), f"Gate {name}, a panel per sample")
            for name in names
        ]
        left = len(run.source.pictures) - len(samples)
        text = f"The first {_PANELS} samples; the other {left} are not drawn." if left else ""
    said = (
        "White: all events; dark: the parent; colour: the population; crosses: centroids of "
        "kept clusters."
    )
    return section("Gates", f"{said} {text}".strip(), found, [])


def _files(folder: Path, stem: str) -> list[Path]:
    one = folder / "plots" / f"gate-{stem}.png"
    first = one.with_name(f"gate-{stem}-page1.png")
    return [path for path in (one, first) if path.is_file()]


def _from_file(path: Path) -> Picture:
    encoded = base64.b64encode(path.read_bytes()).decode("ascii")
    return Picture(f"data:image/png;base64,{encoded}", path.stem, _WIDTH)


def _populations(run: Run) -> dict[str, Any]:
    table = run.tables["populations"]
    names = list(dict.fromkeys(table["population"]))
    wide = table.pivot(index="sample", columns="population", values="percent_parent")[names]
    counts = table.pivot(index="sample", columns="population", values="count")[names]
    return section(
        "Populations",
        "",
        [],
        [
            table_of(wide.astype(float), "Percent of parent"),
            table_of(counts.astype(float).round().astype(int), "Events"),
        ],
    )


def _reading(run: Run) -> dict[str, Any]:
    return section("How files were read", "", [], [table_of(run.tables["diagnostics"], "Files")])


def _failures(run: Run) -> dict[str, Any] | None:
    failures = pd.DataFrame(run.record.get("failures", []))
    if not len(failures):
        return None
    return section(
        "Files that failed", "", [], [table_of(failures.set_index("sample")[["error"]], "Errors")]
    )
