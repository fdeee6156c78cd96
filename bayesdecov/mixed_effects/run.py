"""Implementation of `fastmix`: read and align, fit by the method, assemble the result."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from bayesdecov import checks
from bayesdecov.errors import InputError, Notes
from bayesdecov.io.blocks import Blocks, stays_on_disk
from bayesdecov.io.tables import expression_frame
from bayesdecov.mixed_effects.estimate import Estimate
from bayesdecov.mixed_effects.joint import Sharpened, calibrated, fit_joint
from bayesdecov.mixed_effects.likelihood import fit_likelihood
from bayesdecov.mixed_effects.mixture import fit_mixture
from bayesdecov.mixed_effects.moments import fit_moments
from bayesdecov.mixed_effects.options import (
    ERRORS,
    METHODS,
    USUAL,
    Choices,
    check_suited,
    resolve,
)
from bayesdecov.mixed_effects.prepare import Problem, prepare
from bayesdecov.mixed_effects.result import MixedEffects
from bayesdecov.mixed_effects.sampling import fit_nuts
from bayesdecov.mixed_effects.uncertain import Uncertain, uncertain
from bayesdecov.options import DesignOptions, EstimatorOptions, Sampling
from bayesdecov.results.proportions import Proportions
from bayesdecov.sampling import scheduled


@dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of `fastmix`, under the same names."""

    method: str
    preset: str | None
    errors: str | None
    formula: str | None
    subject: Any
    design: DesignOptions
    estimator: EstimatorOptions
    sampling: Sampling
    seed: Any
    progress: bool

    @property
    def variance(self) -> str:
        """Residual variances: "common" to all genes, or one per "gene"."""
        usual = "gene" if self.method in ("mixture", "joint") else "common"
        return self.estimator.variance or usual


class Fitted(NamedTuple):
    """An estimate, the problem that it belongs to, and results specific to a method."""

    estimate: Estimate
    problem: Problem
    settings: dict[str, Any]
    posterior: Any = None
    refined: Proportions | None = None
    sharpened: Sharpened | None = None


def run(
    expression: Any, proportions: Any, covariates: Any, standard_errors: Any, request: Request
) -> MixedEffects:
    """Fit the model with the requested options."""
    started = time.perf_counter()
    _check(request)
    choices = resolve(request.preset, request.estimator)
    rng = checks.make_generator(0 if request.seed is None else request.seed)
    notes = Notes()
    needed = request.method == "joint" or request.errors == "calibrate"
    source = uncertain(proportions, standard_errors, notes, needed=needed)
    _check_errors(request.method, request.errors, source)
    problem = _prepared(expression, covariates, source, request, notes)
    settings = _asked(request, source, problem)
    found = _fitted(problem, source, request, choices, notes, rng)
    seed = request.seed
    shown = seed if seed is None or not hasattr(seed, "random") else "generator"
    settings |= found.settings | {"seed": shown}
    facts = found.estimate.facts | {
        "correlation_within_subjects": problem.correlation,
        "seconds": round(time.perf_counter() - started, 3),
    }
    final = found.problem
    return MixedEffects(
        request.method,
        final.design,
        final.genes,
        final.random,
        found.estimate,
        settings,
        tuple(notes.lines),
        final.ls,
        found.posterior,
        found.refined,
        found.sharpened,
        facts,
    )


def _check(request: Request) -> None:
    checks.check_choice(request.method, METHODS, "method")
    wanted = request.design.include_covariates
    if not isinstance(wanted, bool) and wanted != "auto":
        raise InputError("include_covariates", "must be True, False or 'auto'", found=repr(wanted))
    check_suited(request.method, request.preset, request.estimator, request.sampling)


def _prepared(
    expression: Any, covariates: Any, source: Uncertain, request: Request, notes: Notes
) -> Problem:
    """Align the tables, build the design and regress every gene on it."""
    errors, design = request.errors, request.design
    if stays_on_disk(expression) and request.method != "joint" and errors != "calibrate":
        expression = Blocks(expression, "expression")
    else:
        expression = expression_frame(expression, "expression")
    problem = prepare(
        expression,
        source.table,
        expression_frame(covariates, "covariates"),
        formula=request.formula,
        include_covariates=design.include_covariates,
        rest=design.rest,
        reference_cell_type=design.reference_cell_type,
        random=design.random,
        standardise=design.standardise,
        weights=design.weights,
        subject=request.subject,
        notes=notes,
        unsure=source.stated,
    )
    estimator = request.estimator
    if (estimator.contaminated or estimator.nu is not None) and (
        len(problem.ls.random) < len(problem.ls.mean)
    ):
        raise InputError(
            "random",
            "must include all columns with contaminated=True or nu=",
            fix="leave random= out",
        )
    if errors == "calibrate":
        return calibrated(problem, source.aligned(problem.cells), notes)
    if source.stated and request.method != "joint":
        notes.info(
            "errors of the proportions were ignored, which shrinks effects: method='joint' "
            "or errors='calibrate' accounts for them"
        )
    return problem


def _asked(request: Request, source: Uncertain, problem: Problem) -> dict[str, Any]:
    """Options with defaults filled in, as written to ``run.json``."""
    errors, design, subject = request.errors, request.design, request.subject
    return {
        "method": request.method,
        "preset": request.preset,
        "errors": "none stated"
        if not source.stated
        else "joint"
        if request.method == "joint"
        else errors or "ignore",
        "formula": request.formula,
        "variance": request.variance,
        "include_covariates": bool((problem.design.columns["kind"] == "covariate").any()),
        "rest": design.rest,
        "reference_cell_type": design.reference_cell_type,
        "random": problem.random,
        "standardise": design.standardise,
        "weights": "given" if design.weights is not None else "none",
        "subject": subject
        if isinstance(subject, str)
        else "given"
        if subject is not None
        else "none",
    }


def _fitted(
    problem: Problem,
    source: Uncertain,
    request: Request,
    choices: Choices,
    notes: Notes,
    rng: np.random.Generator,
) -> Fitted:
    """The estimate of the method."""
    estimator, method = request.estimator, request.method
    tests = {"statistic": choices.statistic, "sided": choices.sided}
    if method == "moments":
        estimate = fit_moments(problem.ls, choices, problem.random, notes, rng)
        return Fitted(estimate, problem, asdict(choices))
    if method == "map":
        estimate = fit_likelihood(problem.ls, choices, estimator.reml is not False, notes)
        return Fitted(estimate, problem, {"diagonal": choices.diagonal} | tests)
    if method == "nuts":
        columns, schedule = list(problem.design.table.columns), scheduled(request.sampling, USUAL)
        estimate, posterior = fit_nuts(
            problem.ls,
            columns,
            choices,
            schedule,
            notes,
            rng,
            contaminated=bool(estimator.contaminated),
            nu=estimator.nu,
            progress=request.progress,
        )
        asked = {
            "contaminated": bool(estimator.contaminated),
            "nu": "none" if estimator.nu is None else estimator.nu,
        }
        return Fitted(estimate, problem, tests | schedule._asdict() | asked, posterior)
    if method == "joint":
        covariance = source.aligned(problem.cells)
        shared = source.moves(problem.cells)
        joint = fit_joint(
            problem, covariance, source.least, request.variance, notes, rng, shared=shared
        )
        estimate, problem, refined, sharpened = joint
        return Fitted(estimate, problem, {}, None, refined, sharpened)
    estimate = fit_mixture(problem.ls, request.variance, problem.random, notes, rng)
    return Fitted(estimate, problem, {})


def _check_errors(method: str, errors: str | None, source: Uncertain) -> None:
    """Check that the method can use errors of proportions, and that they are stated if needed."""
    if errors is not None:
        checks.check_choice(errors, ERRORS, "errors")
    if method == "joint" and errors is not None:
        raise InputError(
            "errors", "is not an option of method='joint', which models them", fix="leave it out"
        )
    if not source.stated and (method == "joint" or errors == "calibrate"):
        needs = "method='joint'" if method == "joint" else "errors='calibrate'"
        raise InputError(
            "proportions",
            f"must come with their uncertainty for {needs}",
            found="a table or a result without uncertainty",
            fix="give standard_errors=, or a result of deconvolve with method 'laplace' or 'nuts'",
        )
