"""`benchmark`: a table of scores from methods and problems."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any

import joblib
import pandas as pd

from bayesdecov import checks, datasets
from bayesdecov.benchmarking.case import Case
from bayesdecov.benchmarking.cohorts import cohorts
from bayesdecov.benchmarking.method import Own, methods_of
from bayesdecov.benchmarking.real import REAL, real
from bayesdecov.benchmarking.result import SCORES, Benchmark
from bayesdecov.benchmarking.run import Options, run_case
from bayesdecov.benchmarking.scenarios import SCENARIOS, simulated
from bayesdecov.errors import InputError
from bayesdecov.progress import track

_WHERE = ("scenario", "level", "repeat", "method", "cell_type", "samples")
EVERY = "real"  # every real data set at hand


def benchmark(
    problems: Iterable[str | Case] | str | None = None,
    methods: Iterable[str] | Mapping[str, str | Own] | None = None,
    *,
    repeats: int | None = None,
    quick: bool = False,
    bootstrap: int | None = None,
    prob: float = 0.95,
    memory: bool = True,
    seed: int = 1,
    n_jobs: int = 1,
    progress: bool | None = None,
) -> Benchmark:
    """Run methods on problems with a known truth and score them.

    Parameters
    ----------
    problems
        Names of simulated scenarios ("noise", "donors", "unknown content", "missing type",
        "spill-over", "resolution", "platforms", see `bayesdecov.benchmarking.scenarios`), of real
        data sets ("sc_mixology", "abis_pbmc"; "real": every one at hand, with the cohorts of
        `bayesdecov.benchmarking.cohorts`), and your own `Case` objects. None: all scenarios, and
        the real data that are available locally.
    methods
        Texts ``method[:option=value[,option=value]]``, such as "map", "nnls" or
        "laplace:covariance=factor,size_factor=free"; ``covariance`` is that of the reference, all
        others are options of `deconvolve`. Or a mapping from a name to such a text or to a
        function of (bulk, reference) that returns proportions (samples x cell types). None: "map",
        "laplace" and all baselines.
    repeats
        Simulated cohorts per scenario. Default: 2; with ``quick``, 1.
    quick
        Fewer samples, genes and levels: takes a minute.
    bootstrap
        Intervals for baselines: number of bootstrap samples of genes (50 suffice for the nominal
        probability, more make the interval ends less noisy).
    prob
        Probability of the intervals.
    memory
        Also measure memory, which runs every estimate twice.
    seed
        An int; scenarios and methods derive their seeds from it.
    n_jobs
        Parallel workers over cases. Times are most accurate with 1.
    progress
        Show a progress bar on standard error. None: at a terminal.

    Returns
    -------
    Benchmark
        ``.scores``, ``.estimates``, ``.levels()``, ``.summary()``. A method that fails on a case
        has a row with its ``error`` and no numbers, and comes last.

    Raises
    ------
    InputError
        Unknown names or options; requested data sets that are not available.

    Examples
    --------
    >>> import bayesdecov as bd
    >>> from bayesdecov.benchmarking import Case, benchmark
    >>> data = bd.simulate.tissue(n_samples=6, n_genes=200, seed=1)
    >>> case = Case(scenario="mine", level="", bulk=data.bulk, truth=data.proportions,
    ...             purified=data.purified, labels=data.labels, genes=80)
    >>> found = benchmark([case], ["map", "nnls"], memory=False)
    >>> list(found.summary().index)
    ['map', 'nnls']
    """
    chosen = methods_of(methods)
    repeats = (1 if quick else 2) if repeats is None else checks.check_whole(repeats, "repeats")
    if bootstrap is not None:
        bootstrap = checks.check_whole(bootstrap, "bootstrap", at_least=2)
    seed = checks.check_whole(seed, "seed", at_least=0)
    n_jobs = checks.check_workers(n_jobs)
    options = Options(checks.check_probability(prob, "prob"), bootstrap, memory, seed)
    notes: list[str] = []
    cases = _cases(problems, repeats, quick, seed, notes)
    started = time.perf_counter()
    jobs = (joblib.delayed(run_case)(case, chosen, options) for case in cases)
    if n_jobs == 1:
        results: Any = (function(*given, **named) for function, given, named in jobs)
    else:
        results = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
        notes.append("several workers ran in parallel: times are longer than with a single worker")
    show = sys.stderr.isatty() if progress is None else progress
    found = [
        one
        for case in track(results, [1] * len(cases), "Benchmarking", show=show, unit="cases")
        for one in case
    ]
    scores = pd.concat([one.scores for one in found], ignore_index=True)
    scores = scores.reindex(columns=[*_WHERE, *SCORES, "error"]).fillna({"error": ""})
    drawn = [one.estimates for one in found if len(one.estimates)]
    settings = {
        "methods": [method.name for method in chosen],
        "problems": list(dict.fromkeys(case.name for case in cases)),
        "repeats": repeats,
        "quick": quick,
        "bootstrap": bootstrap or "none",
        "prob": prob,
        "memory": memory,
        "seed": seed,
        "n_jobs": n_jobs,
    }
    return Benchmark(
        scores=scores,
        estimates=pd.concat(drawn, ignore_index=True) if drawn else pd.DataFrame(),
        settings=settings,
        notes=tuple(notes),
        facts={"seconds": round(time.perf_counter() - started, 1)},
    )


def _cases(
    problems: Iterable[str | Case] | str | None,
    repeats: int,
    quick: bool,
    seed: int,
    notes: list[str],
) -> list[Case]:
    if problems is None:
        here = [name for name in REAL if datasets.present(name)]
        notes += [
            f"{name} is not available and was left out (load it once, or set BAYESDECOV_DATA)"
            for name in REAL
            if name not in here
        ]
        problems = [*SCENARIOS, *here]
    if isinstance(problems, (str, Case)):
        problems = [problems]
    cases: list[Case] = []
    for problem in problems:
        if isinstance(problem, Case):
            cases.append(problem)
            continue
        if problem == EVERY:
            cases += [one for name in REAL if datasets.present(name) for one in real(name)]
            cases += cohorts()
            continue
        checks.check_choice(problem, (*SCENARIOS, *REAL, EVERY), "problems")
        cases += (
            real(problem)
            if problem in REAL
            else simulated(problem, repeats=repeats, quick=quick, seed=seed)
        )
    if not cases:
        raise InputError("problems", "must name at least one problem")
    keys = [(case.scenario, case.level, case.repeat) for case in cases]
    if len(set(keys)) < len(keys):
        raise InputError("problems", "must differ from each other in scenario, level or repeat")
    return cases
