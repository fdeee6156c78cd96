"""The function `contrast`: differences of proportions between conditions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtri, softmax
from scipy.stats import qmc

from bayesdecov import checks
from bayesdecov.algebra.simplex import log_ratio_basis
from bayesdecov.algebra.terms import Array
from bayesdecov.cohort.fit import CohortDraws, fast, joint, with_shared_errors
from bayesdecov.cohort.joint import Bulks
from bayesdecov.cohort.measured import Measured, measured
from bayesdecov.cohort.question import Question, design
from bayesdecov.cohort.result import Contrast
from bayesdecov.deconvolution.fitted import FittedProportions
from bayesdecov.deconvolution.predictive import phi_of
from bayesdecov.diagnostics import convergence
from bayesdecov.errors import InputError, Notes
from bayesdecov.io.tables import expression_frame
from bayesdecov.mixed_effects.dependence import split_subjects
from bayesdecov.mixed_effects.prepare import sample_table
from bayesdecov.options import Sampling, given, moved_into, of_class
from bayesdecov.sampling import NUTS_ONLY, Schedule, scheduled
from bayesdecov.verdicts import findings_of_chains, rendered

METHODS = ("fast", "nuts")
_MANY = 1000  # samples above which fewer draws are needed
_POINTS = 64  # to integrate over a new sample's log-ratios
_BLOCK = 4_000_000  # numbers of one block


@moved_into(sampling=Sampling)
def contrast(
    fit: Any,
    covariates: Any,
    formula: str | None = None,
    *,
    at: Mapping[str, tuple[Any, Any]] | None = None,
    subject: Any = None,
    rope: float = 0.0,
    prob: float = 0.95,
    method: str = "fast",
    sampling: Sampling | None = None,
    seed: Any = None,
) -> Contrast:
    r"""Regress cell-type proportions on covariates, with the proportions' own uncertainty.

    Log-ratios of a sample are normal around a linear predictor,

    .. math:: z_i \sim N(B^\top x_i + u_{s(i)}, \Omega), \qquad p_i = \mathrm{softmax}(V z_i),

    and are informed by the sample's likelihood, not by a point estimate. Coefficients have normal
    priors (sd 1 per standard deviation of a covariate, 5 for the intercept), covariances
    inverse-Wishart priors with estimated scale.

    Parameters
    ----------
    fit
        A result of `deconvolve` (methods "laplace" or "nuts") or `gate`, the folder of such a run,
        or a table of proportions (samples x cell types), which is treated as exact.
    covariates
        Samples x covariates: a DataFrame or its path.
    formula
        For example ``"~ group"`` or ``"~ group * age"``; default: the main effects of all columns.
    at
        The values to compare, ``{"age": (30, 60)}``. Default: every label against the first, the
        upper against the lower quartile of a numeric covariate (with two values: the larger against
        the smaller). Other covariates keep the values of the samples, and differences are averaged
        over them (mean proportions over at most 200 combinations, drawn at random).
    subject
        Column of the covariates (or a Series) that names the subject, for paired samples and
        repeated measurements.
    rope
        Half-width of the region of practical equivalence, in percentage points.
    prob
        Probability of the intervals.
    method
        "fast": Gibbs sampling in which every sample is represented by its posterior draws, weighted
        by their inverse prior density; above 400 samples by a normal fitted in the region supported
        by the cohort (expectation propagation). It takes seconds. "nuts": all bulks jointly with
        their exact likelihood; it takes minutes, for up to about a hundred samples of `deconvolve`.
    sampling
        Chains and draws, as `bayesdecov.Sampling`. Default: 4 chains of 1,000 draws (250 for more
        than 1,000 samples) after 200 (100) warm-up steps; "nuts": 2 chains of 500 after 500.
    seed
        None, an int or a Generator.

    Returns
    -------
    Contrast
        ``.table``, ``.samples``, ``.to_inference_data()``, ``.write(folder)``; drawn by
        `bayesdecov.plots.contrast`.

    Raises
    ------
    InputError
        There are no common samples, no posterior, or the covariates are constant or collinear.

    Examples
    --------
    >>> import bayesdecov as bd
    >>> cohort = bd.simulate.convolution(n_samples=12, n_genes=60, n_types=3, seed=1)
    >>> reference = bd.Reference.from_samples(cohort.purified, cohort.labels)
    >>> fit = bd.deconvolve(cohort.bulk, reference, "laplace", seed=1)
    >>> group = {name: "AB"[i % 2] for i, name in enumerate(cohort.bulk.columns)}
    >>> found = bd.contrast(fit, pd.DataFrame({"group": group}), seed=1)
    >>> found.table["contrast"].unique().tolist()
    ['group: B - A']
    """
    started = time.perf_counter()
    checks.check_choice(method, METHODS, "method")
    prob = checks.check_probability(prob, "prob")
    if isinstance(rope, bool) or not isinstance(rope, (int, float)) or not 0 <= rope < 100:
        raise InputError("rope", "must be a number from 0 to below 100 (points)", found=repr(rope))
    notes = Notes()
    data = measured(fit, notes)
    table = sample_table(expression_frame(covariates, "covariates"), "covariates")
    groups: pd.Series | None = None
    if subject is not None:
        groups, table = split_subjects(subject, table, formula)
    data = _shared(data, table, notes)
    table = table.loc[data.samples]
    found = design(table, formula, at)
    n = len(data.samples)
    schedule = _schedule(method, n, of_class(sampling, Sampling, "sampling"))
    rng = checks.make_generator(seed)
    subjects = None if groups is None else _subjects(groups.loc[data.samples], method)
    if method == "nuts":
        bulks, log_size = _bulks(fit, data)
        drawn = joint(bulks, data, found.X, schedule, notes, rng, log_size)
    else:
        drawn = fast(data, found.X, subjects, schedule, notes, rng)
    drawn = with_shared_errors(drawn, found.X, data.shared)
    V = log_ratio_basis(len(data.cell_types))
    sides = [_means(drawn, question, V) for question in found.questions]
    differences = np.stack([second - first for first, second in sides], axis=2)
    measures = _convergence(drawn, differences, notes)
    rows = [
        _rows(question, data.cell_types, first, second, drawn, V, rope, prob)
        for question, (first, second) in zip(found.questions, sides, strict=True)
    ]
    settings: dict[str, Any] = {
        "method": method,
        "formula": formula or "~ " + " + ".join(map(str, table.columns)),
        "subject": subject if isinstance(subject, str) else "none" if subject is None else "given",
        "rope": float(rope),
        "prob": prob,
        "quantity": data.quantity,
        "draws": schedule.draws,
        "tune": schedule.tune,
        "chains": schedule.chains,
        "seed": seed if seed is None or not hasattr(seed, "random") else "generator",
    }
    facts = measures | {"seconds": round(time.perf_counter() - started, 3)}
    samples = pd.DataFrame(
        100 * softmax(drawn.mean @ V.T, axis=1), data.samples.rename("sample"), data.cell_types
    )
    return Contrast(
        pd.concat(rows, ignore_index=True),
        samples,
        settings,
        tuple(notes.lines),
        found.columns,
        data.cell_types,
        found.questions,
        drawn,
        differences,
        facts,
    )


def _shared(data: Measured, table: pd.DataFrame, notes: Notes) -> Measured:
    """The measured samples with covariates."""
    known = data.samples.isin(table.index)
    if not known.any():
        raise InputError(
            "covariates",
            "must share sample names with the proportions",
            found=f"{checks.some(table.index, 3)}; proportions of {checks.some(data.samples, 3)}",
        )
    if not known.all():
        notes.warn(
            f"{int((~known).sum())} samples without covariates were left out: "
            f"{checks.some(data.samples[~known])}"
        )
    spare = table.index.difference(data.samples)
    if len(spare):
        notes.info(f"{len(spare)} rows of the covariates have no proportions: {checks.some(spare)}")
    return data.rows(known)


def _subjects(groups: pd.Series, method: str) -> NDArray[np.intp]:
    """Integer codes of the subjects, some of which must have several samples."""
    subjects = pd.factorize(groups.astype(str))[0]
    if len(np.unique(subjects)) == len(groups):
        raise InputError(
            "subject",
            "must have more than one sample for some subject",
            found=f"{len(groups)} subjects for {len(groups)} samples",
            fix="leave subject= out",
        )
    if method == "nuts":
        raise InputError("subject", "is not an option of method='nuts'", fix="use method='fast'")
    return subjects


def _schedule(method: str, n: int, sampling: Sampling) -> Schedule:
    foreign = {"cores", "max_pareto_k", "bootstrap"} & given(sampling).keys()
    if method == "fast":
        foreign |= {"target_accept", "nuts_sampler"} & given(sampling).keys()
    if foreign:
        name = sorted(foreign)[0]
        fix = "leave it out" + (", or use method='nuts'" if name in NUTS_ONLY[3:] else "")
        raise InputError(name, f"is not an option of method={method!r}", fix=fix)
    if method == "nuts":
        usual = Schedule(draws=500, tune=500, chains=2, target_accept=0.85)
    elif n > _MANY:
        usual = Schedule(draws=250, tune=100)
    else:
        usual = Schedule(draws=1000, tune=200)
    return scheduled(sampling, usual)


def _bulks(fit: Any, data: Measured) -> tuple[Bulks, Array]:
    """The exact likelihood of the samples used."""
    if not isinstance(fit, FittedProportions) or fit.model is None:
        raise InputError(
            "method",
            "'nuts' needs a result of deconvolve in memory",
            found=type(fit).__name__,
            fix="use method='fast'",
        )
    model = fit.model
    density = model.genewise if fit.held is None else model.density
    rows = [str(name) for name in fit.proportions.index]
    chosen = [rows.index(name) for name in data.samples]
    bulk = fit.bulk.to_numpy().T[chosen]
    y = density.project(bulk) if fit.held is None else fit.held[chosen]
    per_cell = None if fit.per_cell is None else np.log(fit.per_cell)
    size = np.log(fit.diagnostics["size_factor"].to_numpy(dtype=float)[chosen])
    if fit.held is not None and fit.unit is not None:
        size = size - np.log(fit.unit[chosen])
    return Bulks(
        density, y, phi_of(fit)[chosen], model.df, model.free_size, per_cell, model.power
    ), size


def _means(drawn: CohortDraws, question: Question, V: Array) -> tuple[Array, Array]:
    """Mean proportions (percent) of both conditions in the population, (chain, draw, cell_type)."""
    chains, count, _, d = drawn.coefficients.shape
    B = drawn.coefficients.reshape(chains * count, -1, d)
    root = np.linalg.cholesky(drawn.total.reshape(chains * count, d, d))
    points = ndtri(qmc.Sobol(d, seed=0).random(_POINTS))  # a new sample's deviations
    sides = []
    for X in (question.X_first, question.X_second):
        p = np.empty((chains * count, len(V)))
        step = max(1, _BLOCK // (_POINTS * len(X) * len(V)))
        for start in range(0, len(B), step):
            rows = slice(start, start + step)
            z = (X @ B[rows])[:, :, None] + (points @ root[rows].transpose(0, 2, 1))[:, None]
            share = softmax(z @ V.T, axis=-1)
            p[rows] = np.einsum("sxk,x->sk", share.mean(axis=2), question.weights)
        sides.append(100 * p.reshape(chains, count, -1))
    return sides[0], sides[1]


def _rows(
    question: Question,
    cell_types: pd.Index,
    first: Array,
    second: Array,
    drawn: CohortDraws,
    V: Array,
    rope: float,
    prob: float,
) -> pd.DataFrame:
    difference = (second - first).reshape(-1, len(V))
    step = question.step
    d = drawn.coefficients.shape[-1]
    log_ratio = np.einsum("l,slk->sk", step, drawn.coefficients.reshape(-1, len(step), d)) @ V.T
    tail = (1 - prob) / 2
    low, high = np.quantile(difference, [tail, 1 - tail], axis=0)
    log_low, log_high = np.quantile(log_ratio, [tail, 1 - tail], axis=0)
    below, above = (difference < 0).mean(axis=0), (difference > 0).mean(axis=0)
    return pd.DataFrame(
        {
            "contrast": question.name,
            "cell_type": cell_types,
            "first": first.mean(axis=(0, 1)),
            "second": second.mean(axis=(0, 1)),
            "difference": difference.mean(axis=0),
            "sd": difference.std(axis=0),
            "low": low,
            "high": high,
            "p_greater": (difference > rope).mean(axis=0),
            "p_less": (difference < -rope).mean(axis=0),
            "lfsr": 1 - np.maximum(below, above),
            "log_ratio": log_ratio.mean(axis=0),
            "log_ratio_low": log_low,
            "log_ratio_high": log_high,
        }
    )


def _convergence(drawn: CohortDraws, differences: Array, notes: Notes) -> dict[str, Any]:
    """Worst convergence diagnostics of coefficients and differences, and a verdict."""
    draws = xr.Dataset(
        {
            "coefficients": (("chain", "draw", "column", "part"), drawn.coefficients),
            "difference": (("chain", "draw", "contrast", "cell_type"), differences),
        }
    )
    found = {name: float(value) for name, value in convergence(draws).items()}
    found.pop("mcse", None)
    if "diverging" in drawn.stats:
        found["divergences"] = int(drawn.stats["diverging"].sum())
    wrong = findings_of_chains(found)
    for finding in wrong:
        notes.warn(str(finding))
    return {**found, "verdict": rendered(wrong)}
