"""Tables, draws and warnings of the samples that were gated."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import Notes
from bayesdecov.gating.composition import draw, overlap, shares
from bayesdecov.gating.gates import ALL
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.sample import Gated
from bayesdecov.results.proportions import Draws

SHOWN = 5  # warnings of one kind
_ROUNDING = 1e-12


def tell_files(notes: Notes, lines: list[str]) -> None:
    """The first few as warnings, the rest recorded under one warning."""
    for line in lines[:SHOWN]:
        notes.warn(line)
    if len(lines) > SHOWN:
        notes.warn(f"{len(lines) - SHOWN} more notes on files (see the notes of the result)")
        for line in lines[SHOWN:]:
            notes.info(line)


def tables_of(
    samples: list[Gated],
    places: list[int],
    hierarchy: Hierarchy,
    seeds: list[int],
    draws: int,
    notes: Notes,
) -> dict[str, Any]:
    """Tables, draws and warnings of the samples that were gated."""
    names = pd.Index([sample.name for sample in samples], name="sample")
    types, rest = hierarchy.types, hierarchy.composition.rest
    columns = [*types, *([rest] if rest else [])]
    of = hierarchy.composition.of
    each = np.array(  # (sample, seed, type)
        [[shares(one, len(types), rest=bool(rest)) for one in s.tallies] for s in samples]
    )
    drawn = np.stack(
        [
            draw(
                sample.tallies,
                len(types),
                rest=bool(rest),
                draws=draws,
                rng=np.random.default_rng([seeds[0], place]),
            )
            for place, sample in zip(places, samples, strict=True)
        ]
    )
    diagnostics, estimates = _diagnostics(samples, names, each, of, notes)
    counts = np.stack([sample.counts for sample in samples])  # (sample, seed, population)
    _tell_empty(counts.sum(axis=1), hierarchy, names, notes)
    clustered = any(gate.mode == "cluster" for gate in hierarchy.gates)
    if clustered and len(seeds) == 1:
        notes.info(
            "intervals include only the counting error; with seeds=5 they also include the "
            "variation due to the initialisation of k-means"
        )
    if not hierarchy.composition.types:
        notes.info(f"proportions: the leaves of the hierarchy, {', '.join(types)}")
    base = "all events" if of == ALL else of
    mean = counts.mean(axis=1) if len(seeds) > 1 else counts[:, 0]
    return {
        "proportions": pd.DataFrame(estimates, names, columns),
        "diagnostics": diagnostics,
        "method": "dafi",
        "quantity": f"fractions of {base}",
        "draws": Draws(drawn[:, None], {}),
        "counts": pd.DataFrame(mean, names, hierarchy.names),
        "by_seed": _by_seed(counts, names, hierarchy.names, seeds),
        "packed": {sample.name: sample.packed for sample in samples},
        "pictures": {sample.name: sample.picture for sample in samples},
    }


def _diagnostics(
    samples: list[Gated], names: pd.Index, each: np.ndarray, of: str, notes: Notes
) -> tuple[pd.DataFrame, np.ndarray]:
    """Diagnostics of every sample and the mean of its proportions ``each`` over the seeds."""
    n_seeds = each.shape[1]
    common = [np.mean([one.total for one in sample.tallies]) for sample in samples]
    lost = np.array([sum(not one.total for one in sample.tallies) for sample in samples])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # samples without any denominator
        estimates = np.nanmean(each, axis=1)
        spread = np.nanstd(each, axis=1, ddof=1).max(axis=1) if n_seeds > 1 else np.nan
    spread = np.where(np.asarray(spread) < _ROUNDING, 0.0, spread)
    shared = np.array([overlap(sample.tallies[0]) for sample in samples])
    outside = np.array([sample.tallies[0].outside for sample in samples])
    diagnostics = pd.DataFrame([sample.facts for sample in samples], index=names)
    diagnostics.insert(2, "denominator", common)
    diagnostics.insert(3, "overlap", shared)
    diagnostics.insert(4, "seed_sd", spread)
    if (shared > 0).any():
        notes.warn(
            f"types overlap: in {checks.some(names[shared > 0])} events are counted for more than "
            "one type, so proportions sum to more than one; choose mutually exclusive types"
        )
    if (outside > 0).any():
        notes.warn(
            f"in {checks.some(names[outside > 0])} types contain events that are not in {of!r}; "
            "only events in it are counted"
        )
    empty = lost == n_seeds
    if empty.any():
        notes.warn(f"no events in {of!r}, so no proportions: {checks.some(names[empty])}")
    some = (lost > 0) & ~empty
    if some.any():
        notes.warn(
            f"with some seeds there are no events in {of!r}; proportions are those of the other "
            f"seeds: {checks.some(names[some])}"
        )
    return diagnostics, estimates


def _tell_empty(counts: np.ndarray, hierarchy: Hierarchy, names: pd.Index, notes: Notes) -> None:
    """Gates that keep no event of a non-empty parent; a warning if that is so in most samples."""
    number = {name: i for i, name in enumerate(hierarchy.names)}
    for i, gate in enumerate(hierarchy.gates):
        above = (
            np.ones(len(counts), dtype=bool)
            if gate.parent is None
            else (counts[:, number[gate.parent]] > 0)
        )
        nothing = above & (counts[:, i] == 0)
        if nothing.any():
            said = f"the gate {gate.name!r} keeps nothing in {checks.some(names[nothing])}"
            (notes.warn if nothing.sum() > 0.5 * above.sum() else notes.info)(said)


def _by_seed(
    counts: np.ndarray, names: pd.Index, populations: list[str], seeds: list[int]
) -> pd.DataFrame:
    index = pd.MultiIndex.from_product(
        [names, seeds, populations], names=["sample", "seed", "population"]
    )
    return pd.DataFrame({"count": counts.ravel()}, index=index).reset_index()
