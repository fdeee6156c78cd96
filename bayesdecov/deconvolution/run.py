"""A deconvolution from checked options: prepare, calibrate, fit in shards, result."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.baselines import BASELINES
from bayesdecov.deconvolution.options import Options
from bayesdecov.deconvolution.outcome import outcome
from bayesdecov.deconvolution.problem import Problem, prepare
from bayesdecov.deconvolution.pseudobulk import inflation
from bayesdecov.deconvolution.result import Deconvolution
from bayesdecov.deconvolution.sampling import expected_minutes
from bayesdecov.deconvolution.shards import collect, run_shards
from bayesdecov.errors import InputError, Notes
from bayesdecov.io.tables import expression_frame
from bayesdecov.reference.reference import Reference
from bayesdecov.sampling import Sampling

_REACHED = 0.93  # coverage after calibration below which something is wrong
_LONG = 15.0  # minutes of sampling that a user should know of


def run(
    bulk: Any, reference: Any, options: Options, *, stream: int | None = None, first: int = 0
) -> Deconvolution:
    """What `deconvolve` does.

    Draws depend on ``stream`` (from the seed, if it is not given) and on a sample's number, which
    starts at ``first``: a part of a cohort gets what it gets within the whole.
    """
    started = time.perf_counter()
    method, how = options.method, options.sampling
    rng = checks.generator(options.seed)
    notes = Notes()
    problem = prepare(
        expression_frame(bulk, "bulk"),
        as_reference(reference, options.assume_linear),
        prior=options.prior,
        noise=options.noise if options.modelled else "none",
        size_factor=options.size_factor,
        df=options.df,
        assume_linear=options.assume_linear,
        other=rng.spawn(1)[0] if options.other else None,
        notes=notes,
    )
    if method in BASELINES and "other" in BASELINES[method].returns and problem.free_size:
        notes.warn(
            f"{method!r} takes bulk and reference on one scale, which is not known here: the bulk "
            "was scaled by least squares, so other content is hardly seen"
        )
    per_cell = None
    if options.mrna_per_cell is not None:
        per_cell = checks.by_cell_type(
            options.mrna_per_cell, problem.reference.cell_types, "mrna_per_cell"
        )
    calibration: dict[str, Any] = {}
    if options.calibrate:
        problem, calibration = _calibrated(problem, rng)
    if stream is None:
        stream = int(rng.integers(2**62))
    workers = checks.workers(options.n_jobs)
    if method == "nuts":
        workers = _workers(how, workers)
        minutes = expected_minutes(problem, how, workers if workers > 0 else joblib.cpu_count())
        if minutes > _LONG:
            notes.warn(
                f"sampling will take about {minutes:.0f} minutes ({len(problem.y)} samples, "
                f"{problem.y.shape[1]} genes): a 'factor' reference, fewer genes or "
                "method='laplace' are faster"
            )
    shards = run_shards(problem, method, how, stream, workers, options.progress,
                        options.bootstrap or 0, first)  # fmt: skip
    output = collect(shards)
    settings = {
        "method": method,
        "prior": str(options.prior) if options.modelled else "none",
        "noise": problem.noise if options.modelled else "none",
        "size_factor": "free" if problem.free_size else "fixed",
        "df": problem.df if options.modelled and problem.df is not None else "none",
        "draws": options.draws if method in ("laplace", "nuts") else 0,
        "seed": options.shown_seed(),
        "random_stream": stream,
        "n_jobs": options.n_jobs,
        "assume_linear": options.assume_linear,
        "other": options.other,
        "mrna_per_cell": "none" if per_cell is None else per_cell.to_dict(),
        "scale": problem.scale,
        "alignment": str(problem.alignment),
        "seconds": round(time.perf_counter() - started, 3),
    }
    settings |= calibration
    if method == "nuts":
        settings |= {"tune": how.tune, "chains": how.chains, "target_accept": how.target_accept,
                     "nuts_sampler": how.nuts_sampler, "cores": workers}  # fmt: skip
    if options.bootstrap is not None:
        settings["bootstrap"] = options.bootstrap
        notes.info("intervals are from genes drawn with replacement")
    if method == "laplace":
        settings["max_pareto_k"] = float(options.max_pareto_k)
    weights = None if per_cell is None else per_cell.to_numpy()
    return outcome(problem, output, method, options.prior, weights, settings, options.max_pareto_k)


def as_reference(reference: Any, assume_linear: bool) -> Reference:
    """A Reference from what users hand over."""
    if isinstance(reference, Reference):
        return reference
    if isinstance(reference, (str, Path)) and str(reference).lower().endswith(".nc"):
        return Reference.load(reference)
    if isinstance(reference, (pd.DataFrame, str, Path)) or hasattr(reference, "obs_names"):
        return Reference.from_signature(reference, assume_linear=assume_linear)
    raise InputError(
        "reference",
        "must be a Reference, a saved reference.nc or a signature table (genes x cell types)",
        found=type(reference).__name__,
    )


def _calibrated(problem: Problem, rng: np.random.Generator) -> tuple[Problem, dict[str, Any]]:
    """The problem with a likelihood whose intervals hold what they say, and the record of it."""
    found = inflation(problem, rng)
    if found.factor == 1:
        said = f"intervals were left as they are: those of 95 % held {found.before:.1%}"
    else:
        said = (f"intervals were widened {found.factor:.2f}-fold: those of 95 % held "
                f"{found.before:.1%} before and {found.after:.1%} after")  # fmt: skip
    out = "donors" if found.donors else "replicates (donors are not known)"
    say = problem.notes.info if found.after > _REACHED else problem.notes.warn
    say(f"calibration: {said} of the proportions of {found.bulks} pseudo-bulks of {out} that the "
        "reference did not know")  # fmt: skip
    record = {"inflation": found.factor, "coverage_before": found.before,
              "coverage_after": found.after, "pseudo_bulks": found.bulks,
              "left_out": "donors" if found.donors else "replicates"}  # fmt: skip
    return replace(problem, power=found.factor**-2), record


def _workers(how: Sampling, n_jobs: int) -> int:
    if how.cores is not None:
        return how.cores
    return n_jobs if n_jobs != 1 else min(4, joblib.cpu_count())
