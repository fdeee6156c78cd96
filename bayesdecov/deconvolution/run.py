"""A deconvolution from checked options: prepare, calibrate, fit in shards, result."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.baselines import BASELINES
from bayesdecov.deconvolution.assemble import assemble
from bayesdecov.deconvolution.cell_fractions import mrna_per_cell
from bayesdecov.deconvolution.chains import expected_minutes
from bayesdecov.deconvolution.elsewhere import MOST, ONE_PLATFORM, Stage, spread_over
from bayesdecov.deconvolution.options import DeconvolutionRequest
from bayesdecov.deconvolution.prepare import Prepared, prepare
from bayesdecov.deconvolution.pseudobulk import inflation
from bayesdecov.deconvolution.result import Deconvolution
from bayesdecov.deconvolution.shards import Task, collect, run_shards
from bayesdecov.errors import BayesdecovWarning, InputError
from bayesdecov.io.blocks import Blocks
from bayesdecov.io.tables import expression_frame
from bayesdecov.reference.public import PUBLISHED
from bayesdecov.reference.public import reference as published_reference
from bayesdecov.reference.reference import Reference
from bayesdecov.sampling import Schedule

_REACHED = 0.93  # coverage after calibration below which something is wrong
_LONG = 15.0  # minutes of sampling from which a user is warned


def run(
    bulk: Any,
    reference: Any,
    request: DeconvolutionRequest,
    *,
    stream: int | None = None,
    first: int = 0,
    known: Stage | None = None,
) -> Deconvolution:
    """Carry out `deconvolve`.

    Draws depend on ``stream`` (from the seed, if it is not given) and on a sample's number, which
    starts at ``first``: a part of a cohort gets the same results as within the whole. ``known`` is
    what the whole has told about its platform.
    """
    started = time.perf_counter()
    rng = checks.make_generator(request.seed)
    table, chosen = (
        expression_frame(bulk, "bulk"),
        as_reference(reference, request.assume_linear),
    )
    if known is None and table.shape[1] > MOST:
        known = stage_of(Blocks(table, "bulk"), chosen, request)
    other = rng.spawn(1)[0] if request.other else None
    prepared = _prepared(table, chosen, request, other, known)
    per_cell = mrna_per_cell(request.mrna_per_cell, prepared.reference, prepared.notes)
    _tell(request, prepared)
    calibration: dict[str, Any] = {}
    if request.calibrate:
        prepared, calibration = _calibrated(prepared, rng)
    if stream is None:
        stream = int(rng.integers(2**62))
    schedule, workers = request.schedule, checks.check_workers(request.n_jobs)
    if request.method == "nuts":
        workers = _workers(schedule, workers)
        _warn_if_long(prepared, schedule, workers)
    variances = prepared.reference.covariance.variances()
    task = Task(request.method, prepared.model, schedule, variances, stream, request.bootstrap)
    output = collect(
        run_shards(task, prepared.data, n_jobs=workers, progress=request.progress, first=first)
    )
    settings = _settings(request, prepared, workers) | {
        "random_stream": stream,
        "mrna_per_cell": "none" if per_cell is None else per_cell.to_dict(),
    }
    facts = {
        "scale": prepared.scale,
        "alignment": str(prepared.alignment),
        "seconds": round(time.perf_counter() - started, 3),
        **calibration,
    }
    if prepared.model.platform is not None:
        law = prepared.model.platform.law
        facts |= {"tau": _tau(prepared), "scatter": float(np.sqrt(law.c2)), "tails": law.nu}
    weights = None if per_cell is None else per_cell.to_numpy()
    return assemble(prepared, output, request, weights, settings, facts)


def stage_of(bulk: Blocks, reference: Reference, request: DeconvolutionRequest) -> Stage:
    """What a cohort has told about its platform, from samples spread over it."""
    if request.platform_asked == "same" or request.other:
        return ONE_PLATFORM
    with warnings.catch_warnings():  # the fit will warn
        warnings.simplefilter("ignore", BayesdecovWarning)
        some = bulk.some(spread_over(bulk.n_samples))
        return _prepared(some, reference, request, None, None).stage


def _prepared(
    bulk: pd.DataFrame,
    reference: Reference,
    request: DeconvolutionRequest,
    other: np.random.Generator | None,
    known: Stage | None,
) -> Prepared:
    return prepare(
        bulk,
        reference,
        prior=request.prior,
        noise=request.noise if request.modelled else "none",
        size_factor=request.size_factor,
        df=request.df,
        platform=request.platform_asked,
        assume_linear=request.assume_linear,
        other=other,
        known=known,
    )


def _tell(request: DeconvolutionRequest, prepared: Prepared) -> None:
    """Notes that follow from the method alone."""
    method = request.method
    if method in BASELINES and "other" in BASELINES[method].returns and prepared.model.free_size:
        prepared.notes.warn(
            f"{method!r} assumes bulk and reference on one scale, which is unknown here: the bulk "
            "was scaled by least squares, so other content is hardly detected"
        )
    asked = request.platform == "auto" and request.modelled
    if asked and prepared.model.platform is None and prepared.reference.scale != "exact":
        prepared.notes.info(
            "bulks and reference were taken to be of one platform, because an option was chosen "
            "that only its model has (prior, noise, size_factor, df, other or calibrate): factors "
            "of the genes between platforms, if there are any, are in no interval"
        )
    if request.bootstrap:
        prepared.notes.info("intervals are from a bootstrap of genes")


def _settings(request: DeconvolutionRequest, prepared: Prepared, workers: int) -> dict[str, Any]:
    """Every option after defaults were resolved."""
    modelled, schedule, df = request.modelled, request.schedule, prepared.model.df
    settings: dict[str, Any] = {
        "method": request.method,
        "platform": "same" if prepared.model.platform is None else "elsewhere",
        "level_sd": prepared.model.level_sd,
        "prior": _name_of_prior(request.prior, prepared) if modelled else "none",
        "noise": prepared.noise if modelled else "none",
        "size_factor": "free" if prepared.model.free_size else "fixed",
        "df": df if modelled and df is not None else "none",
        "draws": schedule.draws if request.method in ("laplace", "nuts") else 0,
        "seed": request.shown_seed(),
        "n_jobs": request.n_jobs,
        "assume_linear": request.assume_linear,
        "other": request.other,
    }
    if request.method == "nuts":
        settings |= schedule._asdict() | {"cores": workers}
    if request.bootstrap:
        settings["bootstrap"] = request.bootstrap
    if request.method == "laplace":
        settings["max_pareto_k"] = float(request.max_pareto_k)
    return settings


def _tau(prepared: Prepared) -> float | str:
    platform = prepared.model.platform
    assert platform is not None
    return "not learned" if platform.level is None else platform.tau


def _name_of_prior(prior: Any, prepared: Prepared) -> str:
    if prior != "auto":
        return str(prior)
    return "flat" if prepared.model.platform is None else "jeffreys"


def _warn_if_long(prepared: Prepared, schedule: Schedule, workers: int) -> None:
    """Warn where sampling will take long."""
    at_once = workers if workers > 0 else joblib.cpu_count()
    minutes = expected_minutes(prepared.model, prepared.data, schedule, at_once)
    if minutes > _LONG:
        prepared.notes.warn(
            f"sampling will take about {minutes:.0f} minutes ({len(prepared.samples)} samples, "
            f"{len(prepared.reference.genes)} genes): a 'factor' reference, fewer genes or "
            "method='laplace' are faster"
        )


def as_reference(reference: Any, assume_linear: bool) -> Reference:
    """A Reference from the argument of a user."""
    if isinstance(reference, Reference):
        return reference
    if isinstance(reference, (str, Path)) and str(reference).lower().endswith(".nc"):
        return Reference.load(reference)
    if isinstance(reference, str) and reference in PUBLISHED:
        return published_reference(reference)
    if isinstance(reference, (pd.DataFrame, str, Path)) or hasattr(reference, "obs_names"):
        return Reference.from_signature(reference, assume_linear=assume_linear)
    raise InputError(
        "reference",
        "must be a Reference, a saved reference.nc, a signature table (genes x cell types) or the "
        "name of a published signature",
        found=type(reference).__name__,
    )


def _calibrated(prepared: Prepared, rng: np.random.Generator) -> tuple[Prepared, dict[str, Any]]:
    """The model with its likelihood tempered to nominal coverage, and the record of it."""
    found = inflation(prepared, rng)
    if found.factor == 1:
        said = f"intervals were not widened: 95 % intervals contained {found.before:.1%}"
    else:
        said = (
            f"intervals were widened {found.factor:.2f}-fold: 95 % intervals contained "
            f"{found.before:.1%} before and {found.after:.1%} after"
        )
    out = "donors" if found.donors else "replicates (donors are not known)"
    say = prepared.notes.info if found.after > _REACHED else prepared.notes.warn
    say(
        f"calibration: {said} of the proportions of {found.bulks} pseudo-bulks of {out} that "
        "were left out of the reference"
    )
    record = {
        "inflation": found.factor,
        "coverage_before": found.before,
        "coverage_after": found.after,
        "pseudo_bulks": found.bulks,
        "left_out": "donors" if found.donors else "replicates",
    }
    model = replace(prepared.model, power=found.factor**-2)
    return replace(prepared, model=model), record


def _workers(schedule: Schedule, n_jobs: int) -> int:
    if schedule.cores is not None:
        return schedule.cores
    return n_jobs if n_jobs != 1 else min(4, joblib.cpu_count())
