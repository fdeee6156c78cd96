"""The verb: files and a hierarchy in, counts and proportions out."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from bayesdecov import __version__, checks
from bayesdecov.errors import InputError, Notes
from bayesdecov.gating.composition import draw, overlap, shares
from bayesdecov.gating.gates import ALL
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.result import Gating
from bayesdecov.gating.sample import Failed, Gated, gate_sample
from bayesdecov.gating.sources import sources_of
from bayesdecov.gating.toml_format import to_tree
from bayesdecov.progress import track
from bayesdecov.results import Draws

_SHOWN = 5  # warnings of one kind
_ROUNDING = 1e-12


def gate(
    files: Any,
    hierarchy: Hierarchy | str | Path,
    *,
    seed: int | None = None,
    seeds: int = 1,
    draws: int = 1000,
    n_jobs: int = 1,
    progress: bool | None = None,
) -> Gating:
    r"""Gate flow-cytometry files (DAFi) and make proportions of them, with their uncertainty.

    Every population is what its gate keeps of its parent: events in a region of two markers, or
    whole clusters of events whose centroid lies in it. Clusters are those of k-means in all
    dimensions, so a population keeps its natural shape where a drawn line would cut it.

    (DAFi: Lee et al., *Cytometry A* 93:597-610, 2018, doi:10.1002/cyto.a.23371. With
    ``init="compat"`` counts and memberships are those of its C program, event by event.)

    Parameters
    ----------
    files
        FCS files (2.0, 3.0, 3.1), DAFi's tab-separated event tables (``.txt``, ``.csv``, also
        ``.gz``), or a folder of FCS files; or a mapping of sample names to files or DataFrames
        (events x markers, on the full scale 0 to 4095).
    hierarchy
        A `Hierarchy`, or a file that `Hierarchy.read` reads.
    seed
        First seed of k-means; None: the hierarchy's.
    seeds
        How many seeds, one after the other from the first. Where clusters are gated the seed alone
        moves populations (one of 15 % by 5 % of its size), so more than one says how sure a
        proportion is: estimates are means over seeds, and draws come from all of them.
    draws
        Posterior draws of each sample's proportions: Dirichlet(counts + 1/2) for every seed, the
        seeds in equal parts.
    n_jobs
        Files at a time, through joblib; -1 for all cores.
    progress
        Show a progress bar; None: in a terminal, for more than one file.

    Returns
    -------
    Gating
        ``.counts``, ``.proportions``, ``.intervals()``, ``.table()``, ``.members(sample)``. Files
        that failed are in ``.failures``, with one warning for all of them.

    Raises
    ------
    InputError
        The hierarchy breaks a rule (the gate and the field are named), there are no files, or all
        of them failed.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import bayesdecov as bd
    >>> from bayesdecov.gating import Box, Clustering, Gate, Hierarchy
    >>> rng = np.random.default_rng(0)
    >>> low = rng.normal([1000, 1200], 150, (700, 2))
    >>> high = rng.normal([3000, 2800], 150, (300, 2))
    >>> events = pd.DataFrame(np.vstack([low, high]), columns=["CD3", "CD4"])
    >>> tree = Hierarchy((Gate("T cells", "CD3", "CD4", Box(110, 190, 100, 180)),),
    ...                  clustering=Clustering(k=20))
    >>> result = bd.gate({"donor 1": events}, tree)
    >>> result.proportions.loc["donor 1"].to_dict()
    {'T cells': 0.3, 'rest': 0.7}
    """
    started = time.perf_counter()
    if not isinstance(hierarchy, Hierarchy):
        hierarchy = Hierarchy.read(hierarchy)
    sources = sources_of(files)
    matrix = hierarchy.reading.compensate
    if matrix not in ("file", "none") and not Path(matrix).is_file():
        raise InputError("hierarchy, read.compensate", f"the file {matrix!r} does not exist")
    first = hierarchy.clustering.seed if seed is None else checks.whole(seed, "seed", at_least=0)
    seeds = checks.whole(seeds, "seeds")
    draws = checks.whole(draws, "draws", at_least=max(2, seeds))
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0:
        raise InputError("n_jobs", "must be a whole number, -1 for all cores", found=repr(n_jobs))
    used = [(first + i) % 2**31 for i in range(seeds)]
    outcomes = _run(sources, hierarchy, used, n_jobs, progress)
    notes = Notes()
    # draws depend on a file's place among all files, not on which others can be read
    places = [i for i, outcome in enumerate(outcomes) if isinstance(outcome, Gated)]
    samples = [outcome for outcome in outcomes if isinstance(outcome, Gated)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    if not samples:
        reasons = dict.fromkeys(f"{one.name!r}: {one.error.rstrip('.')}" for one in failures)
        raise InputError("files", "none of the files could be gated",
                         found=f"{len(failures)}; {checks.some(reasons)}")  # fmt: skip
    _tell(notes, [note for sample in samples for note in sample.notes])
    result = _result(samples, places, hierarchy, used, draws, notes)
    if failures:
        said = "; ".join(f"{one.name}: {_short(one.error)}" for one in failures[:_SHOWN])
        more = f"; and {len(failures) - _SHOWN} more" if len(failures) > _SHOWN else ""
        notes.warn(f"{len(failures)} of {len(outcomes)} files failed (the result's failures have "
                   f"the whole messages): {said}{more}")  # fmt: skip
    settings = {
        "bayesdecov": __version__, "method": "dafi", "hierarchy": to_tree(hierarchy),
        "seed": first, "seeds": seeds,
        "draws": draws, "n_jobs": n_jobs,
        "seconds": round(time.perf_counter() - started, 3),
    }  # fmt: skip
    return Gating(
        **result,
        settings=settings,
        notes=tuple(notes.lines),
        hierarchy=hierarchy,
        failures=pd.DataFrame(
            [(one.name, one.file, one.error) for one in failures],
            columns=["sample", "file", "error"],
        ),
        files={name: Path(source) for name, source in sources.items()
               if not isinstance(source, pd.DataFrame)},
    )  # fmt: skip


def _short(error: str) -> str:
    """What was wrong, without what was found and what to do."""
    return error.split("; found ")[0].rstrip(".")


def _run(
    sources: Mapping[str, Any],
    hierarchy: Hierarchy,
    seeds: list[int],
    n_jobs: int,
    progress: bool | None,
) -> list[Gated | Failed]:
    jobs = (
        joblib.delayed(gate_sample)(source, name, hierarchy, seeds)
        for name, source in sources.items()
    )
    if n_jobs == 1 or len(sources) == 1:
        results = (function(*args, **kwargs) for function, args, kwargs in jobs)
    else:
        results = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
    if progress is None:
        progress = len(sources) > 1 and sys.stderr.isatty()
    return list(track(results, [1] * len(sources), "Gating", show=progress, unit="files"))


def _tell(notes: Notes, lines: list[str]) -> None:
    """The first few as warnings, the rest recorded under one warning."""
    for line in lines[:_SHOWN]:
        notes.warn(line)
    if len(lines) > _SHOWN:
        notes.warn(f"{len(lines) - _SHOWN} more notes on files (see the notes of the result)")
        for line in lines[_SHOWN:]:
            notes.info(line)


def _result(
    samples: list[Gated], places: list[int], hierarchy: Hierarchy, seeds: list[int], draws: int,
    notes: Notes,
) -> dict[str, Any]:  # fmt: skip
    """Tables, draws and warnings of the samples that were gated."""
    names = pd.Index([sample.name for sample in samples], name="sample")
    types, rest = hierarchy.types, hierarchy.composition.rest
    columns = [*types, *([rest] if rest else [])]
    of = hierarchy.composition.of
    each = np.array(  # (sample, seed, type)
        [[shares(one, len(types), rest=bool(rest)) for one in s.tallies] for s in samples]
    )
    drawn = np.stack([
        draw(sample.tallies, len(types), rest=bool(rest), draws=draws,
             rng=np.random.default_rng([seeds[0], place]))
        for place, sample in zip(places, samples, strict=True)
    ])  # fmt: skip
    common = [np.mean([one.total for one in sample.tallies]) for sample in samples]
    lost = np.array([sum(not one.total for one in sample.tallies) for sample in samples])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # samples without any denominator
        estimates = np.nanmean(each, axis=1)
        spread = np.nanstd(each, axis=1, ddof=1).max(axis=1) if len(seeds) > 1 else np.nan
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
            "one type, so proportions add up to more than one; choose types that exclude each other"
        )
    if (outside > 0).any():
        notes.warn(
            f"in {checks.some(names[outside > 0])} types hold events that are not in {of!r}; only "
            "those in it are counted"
        )
    empty = lost == len(seeds)
    if empty.any():
        notes.warn(f"no events in {of!r}, so no proportions: {checks.some(names[empty])}")
    some = (lost > 0) & ~empty
    if some.any():
        notes.warn(f"with some seeds there are no events in {of!r}; proportions are those of the "
                   f"other seeds: {checks.some(names[some])}")  # fmt: skip
    counts = np.stack([sample.counts for sample in samples])  # (sample, seed, population)
    _tell_empty(counts.sum(axis=1), hierarchy, names, notes)
    clustered = any(gate.mode == "cluster" for gate in hierarchy.gates)
    if clustered and len(seeds) == 1:
        notes.info("intervals hold counting error only; with seeds=5 they also hold how much the "
                   "start of k-means moves populations")  # fmt: skip
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


def _tell_empty(counts: np.ndarray, hierarchy: Hierarchy, names: pd.Index, notes: Notes) -> None:
    """Gates that keep nothing of what their parent holds; a warning where that is usual."""
    number = {name: i for i, name in enumerate(hierarchy.names)}
    for i, gate in enumerate(hierarchy.gates):
        above = np.ones(len(counts), dtype=bool) if gate.parent is None else (
            counts[:, number[gate.parent]] > 0)  # fmt: skip
        nothing = above & (counts[:, i] == 0)
        if nothing.any():
            said = f"the gate {gate.name!r} keeps nothing in {checks.some(names[nothing])}"
            (notes.warn if nothing.sum() > 0.5 * above.sum() else notes.info)(said)


def _by_seed(
    counts: np.ndarray, names: pd.Index, populations: list[str], seeds: list[int]
) -> pd.DataFrame:
    index = pd.MultiIndex.from_product([names, seeds, populations],
                                       names=["sample", "seed", "population"])  # fmt: skip
    return pd.DataFrame({"count": counts.ravel()}, index=index).reset_index()
