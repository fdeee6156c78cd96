"""All methods on one case: time, memory, metrics; failures become rows."""

from __future__ import annotations

import time
import tracemalloc
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from bayesdecov import checks
from bayesdecov.algebra.terms import Array
from bayesdecov.benchmarking.case import Case
from bayesdecov.benchmarking.method import Method
from bayesdecov.benchmarking.metrics import ALL, metrics
from bayesdecov.errors import InputError
from bayesdecov.reference.reference import Reference
from bayesdecov.results.proportions import Draws, Proportions
from bayesdecov.results.sums import add

T = TypeVar("T")
_WARM: set[str] = set()  # methods whose libraries this process has loaded
_MEGABYTE = 2**20
_LEAST = 1e-9  # of a sum of parts
_ROUNDING = 0.02  # own estimates may be this far from 1 in total


class Found(NamedTuple):
    """Rows of scores and of estimates for one case and method."""

    scores: pd.DataFrame
    estimates: pd.DataFrame


class Options(NamedTuple):
    """Settings common to all cases."""

    prob: float
    bootstrap: int | None
    memory: bool
    seed: int


def run_case(case: Case, methods: Sequence[Method], options: Options) -> list[Found]:
    """Every method on one case, on one thread."""
    built: dict[str | None, Reference | Exception] = {}
    seconds: dict[str | None, float] = {}
    found = []
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("ignore")
        for method in methods:
            key = method.covariance
            if key not in built:
                started = time.perf_counter()
                try:
                    built[key] = case.build(key)
                except Exception as error:  # the other methods must still run
                    built[key] = error
                seconds[key] = time.perf_counter() - started
            found.append(_one(case, method, built[key], seconds[key], options))
    return found


def _one(
    case: Case, method: Method, reference: Reference | Exception, built: float, options: Options
) -> Found:
    where = {
        "scenario": case.scenario,
        "level": case.level,
        "repeat": case.repeat,
        "method": method.name,
    }
    try:
        if isinstance(reference, Exception):
            raise reference
        scores, estimates = _scored(case, method, reference, options)
        scores.loc[scores["cell_type"] == ALL, "reference_seconds"] = built
        scores["error"] = ""
    except Exception as error:  # a failure is a row, not a crash
        said = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        scores = pd.DataFrame({"cell_type": [ALL], "failed": [1.0], "error": [said]})
        estimates = pd.DataFrame()
    for table in (scores, estimates):
        for position, (name, value) in enumerate(where.items()):
            table.insert(position, name, value)
    return Found(scores, estimates)


def _scored(
    case: Case, method: Method, reference: Reference, options: Options
) -> tuple[pd.DataFrame, pd.DataFrame]:
    def estimate(bulk: pd.DataFrame) -> Proportions | pd.DataFrame:
        return method.estimate(bulk, reference, options.seed)

    if method.own is None and method.name not in _WARM:  # load libraries before timing
        estimate(case.bulk.iloc[:, :2])
        _WARM.add(method.name)
    fit, seconds = _timed(lambda: estimate(case.bulk))
    memory = _peak(lambda: estimate(case.bulk)) if options.memory else float("nan")
    with_intervals = float("nan")
    if options.bootstrap and method.own is None and not has_intervals(fit):
        fit, with_intervals = _timed(
            lambda: method.estimate(case.bulk, reference, options.seed, options.bootstrap)
        )
    result = _merged(fit, case)
    shape = case.truth.shape
    estimates = result.proportions
    table = result.intervals(options.prob)
    low, high = (table[end].to_numpy().reshape(shape) for end in ("low", "high"))
    scores = metrics(case.truth, estimates, low, high, prob=options.prob).reset_index()
    lost = estimates.isna().any(axis=1).to_numpy()
    if "converged" in result.diagnostics:
        lost = lost | ~result.diagnostics["converged"].astype(bool).to_numpy()
    first = scores["cell_type"] == ALL
    scores.loc[first, "failed"] = float(lost.mean())
    scores.loc[first, "seconds"] = seconds
    scores.loc[first, "interval_seconds"] = with_intervals
    scores.loc[first, "memory_mb"] = memory
    if case.other is not None and "other" in result.diagnostics:
        other = result.diagnostics[["other"]].astype(float)
        truth = case.other.loc[other.index].to_frame("other")
        gap = np.full(other.shape, np.nan)
        scores = pd.concat([scores, metrics(truth, other, gap, gap).reset_index().iloc[[1]]])
    tidy = pd.DataFrame(
        {
            "sample": table["sample"],
            "cell_type": table["cell_type"],
            "truth": case.truth.to_numpy().ravel(),
            "estimate": table["mean"],
            "low": table["low"],
            "high": table["high"],
        }
    )
    return scores, tidy


def has_intervals(fit: Proportions | pd.DataFrame) -> bool:
    """Whether a fit has intervals."""
    if isinstance(fit, pd.DataFrame):
        return False
    return fit.draws is not None or fit.covariance is not None


def _merged(fit: Proportions | pd.DataFrame, case: Case) -> Proportions:
    """Align to the truth's samples and cell types; types are summed according to ``merge``."""
    samples, wanted = case.truth.index, case.truth.columns
    if isinstance(fit, pd.DataFrame):
        fit = Proportions(
            proportions=fit,
            diagnostics=pd.DataFrame(index=fit.index),
            method="own",
            quantity="",
            settings={},
            notes=(),
        )
    merge = dict(case.merge or {})
    types = [merge.get(str(name), str(name)) for name in fit.proportions.columns]
    for argument, names in (
        ("truth", wanted.difference(types)),
        ("reference", pd.Index([each for each in types if each]).difference(wanted)),
    ):
        if len(names):
            lacking = "the reference" if argument == "truth" else "the truth"
            raise InputError(
                argument,
                f"must not have cell types that {lacking} does not have",
                found=checks.some(names),
                fix="rename them, or state with merge which "
                "types of the reference sum to which type of the truth",
            )
    rows = fit.proportions.index.get_indexer(samples)
    if (rows < 0).any():
        raise InputError(
            "estimate",
            "must have every sample of the bulk",
            found=f"none for {checks.some(samples[rows < 0])}",
        )
    total = fit.proportions.sum(axis=1, skipna=False).dropna()
    if len(total) and not np.allclose(total, 1, atol=_ROUNDING):
        raise InputError(
            "estimate",
            "must sum to 1 in every sample",
            found=f"{total.min():.4g} to {total.max():.4g}",
        )
    members = {
        name: [str(each) for each, of in zip(fit.proportions, types, strict=True) if of == name]
        for name in wanted
    }
    added = add(fit, members)
    values = added.proportions.to_numpy()[rows]
    draws = None if added.draws is None else added.draws.proportions[rows]
    covariance = None if added.covariance is None else added.covariance[rows]
    if None in types:
        values, draws, covariance = _scaled(values, draws, covariance)
    return Proportions(
        proportions=pd.DataFrame(values, samples, wanted),
        diagnostics=fit.diagnostics.loc[samples],
        method=fit.method,
        quantity=fit.quantity,
        settings=fit.settings,
        notes=fit.notes,
        covariance=covariance,
        draws=None if draws is None else Draws(draws, {}),
    )


def _scaled(
    p: Array, draws: Array | None, covariance: Array | None
) -> tuple[Array, Array | None, Array | None]:
    """Estimates, draws and covariances of parts whose sum is scaled to 1."""
    total = np.maximum(p.sum(axis=1, keepdims=True), _LEAST)
    q = p / total
    if draws is not None:
        draws = draws / np.maximum(draws.sum(axis=-1, keepdims=True), _LEAST)
    if covariance is not None:
        slope = (np.eye(p.shape[1]) - q[:, :, None]) / total[:, :, None]
        covariance = slope @ covariance @ slope.transpose(0, 2, 1)
    return q, draws, covariance


def _timed(call: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    result = call()
    return result, time.perf_counter() - started


def _peak(call: Callable[[], object]) -> float:
    """Peak of the megabytes allocated by Python and NumPy during a call."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] / _MEGABYTE
    finally:
        tracemalloc.stop()
