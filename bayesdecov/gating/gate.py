"""`gate`: counts and proportions from files and a hierarchy."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError, Notes
from bayesdecov.gating.files import read_hierarchy
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.result import Gating
from bayesdecov.gating.sample import Failed, Gated, gate_sample
from bayesdecov.gating.sources import sources_of
from bayesdecov.gating.summarise import SHOWN, tables_of, tell_files
from bayesdecov.gating.toml_format import to_tree
from bayesdecov.progress import track


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
    r"""Gate flow-cytometry files (DAFi) and estimate proportions, with their uncertainty.

    A gate keeps, of its parent population, the events in a region of two markers, or whole
    clusters of events whose centroid lies in the region. Clusters come from k-means in all
    dimensions, so a population keeps its natural shape where a drawn line would cut it.

    (DAFi: Lee et al., *Cytometry A* 93:597-610, 2018, doi:10.1002/cyto.a.23371. With
    ``init="compat"``, counts and memberships equal those of its C program, event by event.)

    Parameters
    ----------
    files
        FCS files (2.0, 3.0, 3.1), DAFi's tab-separated event tables (``.txt``, ``.csv``, also
        ``.gz``), or a folder of FCS files; or a mapping of sample names to files or DataFrames
        (events x markers, on the full scale 0 to 4095).
    hierarchy
        A `Hierarchy`, or a file that `read_hierarchy` reads.
    seed
        First seed of k-means; None: the hierarchy's.
    seeds
        Number of consecutive seeds, from the first. Where clusters are gated, the seed alone
        changes the size of populations (one of 15 % by 5 % of its size), so several seeds show how
        stable a proportion is: estimates are means over seeds, and draws come from all of them.
    draws
        Posterior draws of each sample's proportions: Dirichlet(counts + 1/2), in equal parts
        from the seeds.
    n_jobs
        Number of files gated in parallel, through joblib; -1 for all cores.
    progress
        Show a progress bar; None: in a terminal, for more than one file.

    Returns
    -------
    Gating
        ``.counts``, ``.proportions``, ``.intervals()``, ``.table()``, ``.members(sample)``. Files
        that failed are listed in ``.failures``, with a single warning.

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
        hierarchy = read_hierarchy(hierarchy)
    sources = sources_of(files)
    matrix = hierarchy.reading.compensate
    if matrix not in ("file", "none") and not Path(matrix).is_file():
        raise InputError("hierarchy, read.compensate", f"the file {matrix!r} does not exist")
    first = (
        hierarchy.clustering.seed if seed is None else checks.check_whole(seed, "seed", at_least=0)
    )
    seeds = checks.check_whole(seeds, "seeds")
    draws = checks.check_whole(draws, "draws", at_least=max(2, seeds))
    n_jobs = checks.check_workers(n_jobs)
    used = [(first + i) % 2**31 for i in range(seeds)]
    outcomes = _run(sources, hierarchy, used, n_jobs, progress)
    notes = Notes()
    # draws depend on a file's place among all files, not on which others can be read
    places = [i for i, outcome in enumerate(outcomes) if isinstance(outcome, Gated)]
    samples = [outcome for outcome in outcomes if isinstance(outcome, Gated)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    if not samples:
        reasons = dict.fromkeys(f"{one.name!r}: {one.error.rstrip('.')}" for one in failures)
        raise InputError(
            "files",
            "none of the files could be gated",
            found=f"{len(failures)}; {checks.some(reasons)}",
        )
    tell_files(notes, [note for sample in samples for note in sample.notes])
    result = tables_of(samples, places, hierarchy, used, draws, notes)
    if failures:
        said = "; ".join(f"{one.name}: {_short(one.error)}" for one in failures[:SHOWN])
        more = f"; and {len(failures) - SHOWN} more" if len(failures) > SHOWN else ""
        notes.warn(
            f"{len(failures)} of {len(outcomes)} files failed (the result's failures contain "
            f"the full messages): {said}{more}"
        )
    settings = {
        "method": "dafi",
        "hierarchy": to_tree(hierarchy),
        "seed": first,
        "seeds": seeds,
        "draws": draws,
        "n_jobs": n_jobs,
    }
    return Gating(
        **result,
        settings=settings,
        facts={"seconds": round(time.perf_counter() - started, 3)},
        notes=tuple(notes.lines),
        hierarchy=hierarchy,
        failures=pd.DataFrame(
            [(one.name, one.file, one.error) for one in failures],
            columns=["sample", "file", "error"],
        ),
        files={
            name: Path(source)
            for name, source in sources.items()
            if not isinstance(source, pd.DataFrame)
        },
    )


def _short(error: str) -> str:
    """The first part of a message: without the value found and the advice."""
    return error.split("; found ")[0].rstrip(".")


def _run(
    sources: Mapping[str, Any],
    hierarchy: Hierarchy,
    seeds: list[int],
    n_jobs: int,
    progress: bool | None,
) -> list[Gated | Failed]:
    jobs = (
        joblib.delayed(gate_sample)(
            # workers may have been started in another folder
            Path(source).absolute() if isinstance(source, (str, Path)) else source,
            name,
            hierarchy,
            seeds,
        )
        for name, source in sources.items()
    )
    if n_jobs == 1 or len(sources) == 1:
        results = (function(*args, **kwargs) for function, args, kwargs in jobs)
    else:
        results = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
    if progress is None:
        progress = len(sources) > 1 and sys.stderr.isatty()
    return list(track(results, [1] * len(sources), "Gating", show=progress, unit="files"))
