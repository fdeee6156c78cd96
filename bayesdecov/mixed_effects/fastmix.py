"""The verb: cell-type-specific differential expression from tables."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from bayesdecov import checks
from bayesdecov.errors import InputError, Notes
from bayesdecov.io.blocks import Blocks, stays_on_disk
from bayesdecov.io.tables import expression_frame
from bayesdecov.mixed_effects.joint import Sharpened, calibrated, fit_joint
from bayesdecov.mixed_effects.likelihood import fit_likelihood
from bayesdecov.mixed_effects.mixture import fit_mixture
from bayesdecov.mixed_effects.moments import fit_moments
from bayesdecov.mixed_effects.options import resolve
from bayesdecov.mixed_effects.prepare import prepare
from bayesdecov.mixed_effects.result import MixedEffects
from bayesdecov.mixed_effects.sampling import fit_nuts
from bayesdecov.mixed_effects.uncertain import Uncertain, uncertain
from bayesdecov.results import Proportions
from bayesdecov.sampling import Sampling

METHODS = ("moments", "map", "mixture", "nuts", "joint")
ERRORS = ("ignore", "calibrate")
_MOMENTS_ONLY = (
    "trim", "screen", "screen_level", "screen_correct", "screen_single", "covariance",
    "drop_outliers", "correction", "bias", "trim_fixed", "df",
)  # fmt: skip
_TRIMMED_ONLY = (
    "screen", "screen_level", "screen_correct", "screen_single", "correction", "bias", "trim_fixed",
)  # fmt: skip


def fastmix(
    expression: Any,
    proportions: Any,
    covariates: Any,
    method: str = "moments",
    preset: str | None = None,
    *,
    standard_errors: Any = None,
    errors: str | None = None,
    formula: str | None = None,
    include_covariates: bool | str = "auto",
    rest: str | None = None,
    reference_cell_type: str | None = None,
    random: Iterable[str] | str | None = None,
    standardise: bool = True,
    weights: Any = None,
    subject: Any = None,
    variance: str | None = None,
    reml: bool | None = None,
    trim: float | None = None,
    screen: str | Iterable[str] | None = None,
    screen_level: float | None = None,
    screen_correct: bool | None = None,
    screen_single: bool | None = None,
    covariance: str | None = None,
    drop_outliers: bool | None = None,
    correction: str | None = None,
    diagonal: bool | None = None,
    bias: str | None = None,
    trim_fixed: bool | None = None,
    statistic: str | None = None,
    sided: int | None = None,
    df: str | None = None,
    draws: int | None = None,
    tune: int | None = None,
    chains: int | None = None,
    cores: int | None = None,
    target_accept: float | None = None,
    nuts_sampler: str | None = None,
    contaminated: bool | None = None,
    nu: float | str | None = None,
    seed: Any = None,
    progress: bool = False,
) -> MixedEffects:
    r"""Find cell-type-specific effects of covariates, in the whole transcriptome and gene by gene.

    .. math:: y_g = X(\beta + \gamma_g) + \varepsilon_g,\quad \varepsilon_g \sim N(0, \sigma^2 I),
              \quad \gamma_g \sim N(0, \Psi) \text{ but for a minority of genes}

    (FastMix, medRxiv 2021.09.14.21263182, Eq. 4-10.) ``X`` holds the cell-type proportions, the
    covariates and all their products, and is the same for every gene: :math:`\beta` is the effect
    on the whole transcriptome, :math:`\gamma_g` the deviation of gene ``g``, and the genes that
    react are outliers of :math:`N(0, \Psi)`.

    Parameters
    ----------
    expression
        Genes x samples: a DataFrame, an AnnData (samples in obs) or the path of a table. Any scale
        on which the effects of cell types add up; normalise counts first.
    proportions
        Samples x cell types, fractions between 0 and 1: a table or its path, or what knows how
        sure it is: the result of `deconvolve` or `gate`, the folder of such a run, an ArviZ
        container with ``proportions`` in its posterior, or a table and its standard errors.
    covariates
        Samples x covariates: numbers or labels. Aligned by sample name, like everything else.
    method
        "moments": the paper's robust moment estimator. "map": maximum likelihood or REML of the
        normal model, exact. "mixture": a normal contaminated by shifted genes, fitted by EM, with
        the posterior probability of being differentially expressed; usually the best. "nuts": the
        posterior of the normal model (PyMC), at a cost that does not depend on the number of genes,
        or with ``contaminated=True`` of the mixture's, gene by gene. "joint": the mixture with
        proportions that have errors. Measured proportions are noisy anchors of the true ones,
        which all genes together sharpen (``.refined``); what is left of the errors widens
        intervals, false-sign rates and tests. Errors of proportions shrink effects and hide
        genes in all other methods.
    preset
        "fastmix-0.2.5" for the R program's choices, "paper" for the paper's text, None for ours;
        options given by name go before it.
    standard_errors
        Of a table of proportions: a table like it, or one number. A posterior has its own.
    errors
        What the other methods do with proportions that have errors. "ignore" (default): take them
        as exact. "calibrate": replace them by their expectation given the measured ones under the
        cohort's own distribution (regression calibration), which undoes the shrinkage on average;
        unstable where errors are as large as the differences between samples.
    formula
        Which covariates, e.g. ``"~ group + age"`` or ``"~ group * `age at visit`"``; default: all
        columns. Labels are coded against their first value.
    include_covariates
        Whether covariates have main effects besides the products. "auto": not where the
        proportions add up to the same number in all samples (within 2 %), because a main effect
        then equals the sum of the products; otherwise yes. Proportions that add up to 1 within
        2 % in every sample are taken as rounded and scaled to add up to 1.
    rest
        A measured cell type that is to be the baseline (an intercept takes its place, and main
        effects are those in it), or a new name for what the proportions leave to 1.
    reference_cell_type
        Leave its products out: main effects are then the effects in this cell type.
    random
        Design columns with random effects (names); default: all.
    standardise
        Centre and scale covariates (n - 1 standard deviation): effects are per standard deviation,
        also those of labels. False keeps them: the effect of a label is that of having it.
    weights
        Known covariance of the samples, samples x samples: a DataFrame with their names, or an
        array in the order of the samples that the tables share (the expression's).
    subject
        Column of ``covariates`` (or a Series) that names repeatedly measured subjects: samples of
        a subject are equally correlated, estimated by REML from the residuals.
    variance
        "common" or "gene" (residual variances of their own, moderated as in limma;
        "mixture" and "joint" only, and their default).
    reml
        ``method="map"``: restricted likelihood (True, the default) or likelihood.
    trim, screen, screen_level, screen_correct, screen_single, covariance
        Choices of the moment estimator: see `bayesdecov.mixed_effects.options.Options`.
    drop_outliers, correction, bias, trim_fixed, df
        More of them: see `bayesdecov.mixed_effects.options.Options`.
    diagonal
        Independent random effects (``method`` "moments" and "map").
    statistic, sided
        Test statistic of the quasi-p-values ("whitened", "marginal", "prior", "score") and number
        of sides. ``method="mixture"`` tests a shift in one effect given the others instead.
    draws, tune, chains, cores, target_accept, nuts_sampler
        ``method="nuts"``: posterior draws and warm-up steps per chain (1000), chains (4),
        processes, the sampler's acceptance (.9), and "nutpie", "pymc" or "auto" (nutpie where
        it is installed).
    contaminated
        ``method="nuts"``: sample the contaminated model, in the effects in which EM finds shifted
        genes, with one residual variance for all genes.
    nu
        ``method="nuts"``: heavy tails, a multivariate t with these degrees of freedom, or
        "estimate" (prior: 2 + Gamma(2, .1)). Not together with ``contaminated``.
    seed
        For NUTS, the draws of parameters behind ``prob_deg`` and ``q_value`` (``method="mixture"``)
        and the random starts of ``covariance="mcd"``. None is 0: calls repeat.
    progress
        Show the sampler's progress bar.

    Returns
    -------
    MixedEffects
        ``.fixed``, ``.genes``, ``.covariance``, ``.noise``, ``.scores(...)``,
        ``.to_inference_data()``.

    Raises
    ------
    InputError
        Says which argument, the rule, what was found and what to do.

    Examples
    --------
    >>> import bayesdecov as bd
    >>> cohort = bd.simulate.fastmix("III", n_genes=300, n_samples=30, seed=1)
    >>> de = bd.fastmix(cohort.expression, cohort.proportions, cohort.covariates, "mixture")
    >>> de.fixed.index.tolist()[:5]
    ['Cell1', 'Cell2', 'Cell3', 'Group', 'Cell1.Group']
    >>> de.top("Cell1.Group", 3).columns.tolist()[:4]
    ['effect', 'random_effect', 'sd', 'p_value']
    >>> cohort = bd.simulate.fastmix("III", n_genes=300, n_samples=30, proportions="dirichlet",
    ...                              error_sd=0.05, seed=1)
    >>> de = bd.fastmix(cohort.expression, cohort.measured, cohort.covariates, "joint",
    ...                 standard_errors=0.05)
    >>> de.refined.proportions.shape
    (30, 3)
    """
    started = time.perf_counter()
    checks.choice(method, METHODS, "method")
    if not isinstance(include_covariates, bool) and include_covariates != "auto":
        raise InputError("include_covariates", "must be True, False or 'auto'",
                         found=repr(include_covariates))  # fmt: skip
    given: dict[str, Any] = {
        "trim": trim, "screen": screen, "screen_level": screen_level,
        "screen_correct": screen_correct, "screen_single": screen_single,
        "covariance": covariance, "correction": correction, "diagonal": diagonal, "bias": bias,
        "trim_fixed": trim_fixed, "statistic": statistic, "sided": sided, "df": df,
        "drop_outliers": drop_outliers,
    }  # fmt: skip
    sampling: dict[str, Any] = {
        "draws": draws, "tune": tune, "chains": chains, "cores": cores,
        "target_accept": target_accept, "nuts_sampler": nuts_sampler,
    }  # fmt: skip
    robust = {"contaminated": contaminated, "nu": nu}
    _suited(method, preset, given | {"reml": reml} | sampling | robust, variance)
    options, how = resolve(preset, given), Sampling.of(sampling | {"progress": progress})
    variance = variance or ("gene" if method in ("mixture", "joint") else "common")
    rng = checks.generator(0 if seed is None else seed)
    notes = Notes()
    needed = method == "joint" or errors == "calibrate"
    source = uncertain(proportions, standard_errors, notes, needed=needed)
    _suited_errors(method, errors, source)
    if stays_on_disk(expression) and method != "joint" and errors != "calibrate":
        expression = Blocks(expression, "expression")
    else:
        expression = expression_frame(expression, "expression")
    problem = prepare(
        expression, source.table,
        expression_frame(covariates, "covariates"), formula=formula,
        include_covariates=include_covariates, rest=rest,
        reference_cell_type=reference_cell_type, random=random,
        standardise=standardise, weights=weights, subject=subject, notes=notes,
        unsure=source.stated,
    )  # fmt: skip
    if errors == "calibrate":
        problem = calibrated(problem, source.aligned(problem.cells), notes)
    elif source.stated and method != "joint":
        notes.info("errors of the proportions are ignored, which shrinks effects: method='joint' "
                   "or errors='calibrate' take them into account")  # fmt: skip
    settings: dict[str, Any] = {
        "method": method, "preset": preset,
        "errors": "none stated" if not source.stated else "joint" if method == "joint"
        else errors or "ignore", "formula": formula, "variance": variance,
        "include_covariates": bool((problem.design.columns["kind"] == "covariate").any()),
        "rest": rest, "reference_cell_type": reference_cell_type, "random": problem.random,
        "standardise": standardise, "weights": "given" if weights is not None else "none",
        "subject": subject if isinstance(subject, str) else "given" if subject is not None
        else "none",
        "correlation_within_subjects": problem.correlation,
    }  # fmt: skip
    if (contaminated or nu is not None) and len(problem.ls.random) < len(problem.ls.mean):
        raise InputError(
            "random", "all columns need random effects with contaminated=True or nu=",
            fix="leave random= out",
        )  # fmt: skip
    posterior: Any = None
    refined: Proportions | None = None
    sharpened: Sharpened | None = None
    if method == "moments":
        estimate = fit_moments(problem.ls, options, problem.random, notes, rng)
        settings |= asdict(options)
    elif method == "map":
        estimate = fit_likelihood(problem.ls, options, reml is not False, notes)
        settings |= {"diagonal": options.diagonal, "statistic": options.statistic,
                     "sided": options.sided}  # fmt: skip
    elif method == "nuts":
        columns = list(problem.design.table.columns)
        estimate, posterior = fit_nuts(
            problem.ls, columns, options, how, notes, rng, contaminated=bool(contaminated), nu=nu
        )
        settings |= {"statistic": options.statistic, "sided": options.sided}
    elif method == "joint":
        joint = fit_joint(
            problem, source.aligned(problem.cells), source.least, variance, notes, rng
        )
        estimate, problem, refined, sharpened = joint
    else:
        estimate = fit_mixture(problem.ls, variance, problem.random, notes, rng)
    settings |= estimate.settings
    settings |= {
        "seed": seed if seed is None or not hasattr(seed, "random") else "generator",
        "seconds": round(time.perf_counter() - started, 3),
    }
    return MixedEffects(
        method, problem.design, problem.genes, problem.random, estimate, settings,
        tuple(notes.lines), problem.ls, posterior, refined, sharpened,
    )  # fmt: skip


def _suited_errors(method: str, errors: str | None, source: Uncertain) -> None:
    """Errors of proportions are used by those who can, and only where they are stated."""
    if errors is not None:
        checks.choice(errors, ERRORS, "errors")
    if method == "joint" and errors is not None:
        raise InputError("errors", "is not an option of method='joint', which models them",
                         fix="leave it out")  # fmt: skip
    if not source.stated and (method == "joint" or errors == "calibrate"):
        needs = "method='joint'" if method == "joint" else "errors='calibrate'"
        raise InputError(
            "proportions", f"must say how sure they are for {needs}",
            found="a table or a method without uncertainty",
            fix="give standard_errors=, or what deconvolve returns with method 'laplace' or 'nuts'",
        )  # fmt: skip


def _suited(method: str, preset: str | None, given: dict[str, Any], variance: str | None) -> None:
    """Options that the method would ignore are refused."""
    used = [name for name, value in given.items() if value is not None]
    sampled = [name for name in used if name in (*Sampling._fields, "contaminated", "nu")]
    if method == "moments":
        foreign = ["reml"] if "reml" in used else sampled
    elif method == "map":
        foreign = [name for name in used if name in _MOMENTS_ONLY] + sampled
    elif method == "nuts":
        foreign = [name for name in used if name in (*_MOMENTS_ONLY, "diagonal", "reml")]
        _robust(given["contaminated"], given["nu"])
    else:
        foreign = used
    if given["covariance"] in ("sample", "mcd", "ogk"):
        wasted = [name for name in used if name in _TRIMMED_ONLY]
        if given["covariance"] != "mcd" and "trim" in used:
            wasted.append("trim")
        if wasted:
            raise InputError(wasted[0], f"is not used with covariance={given['covariance']!r}",
                             fix="leave one of them out")  # fmt: skip
    if preset is not None and method != "moments":
        foreign.append("preset")
    if foreign:
        home = (
            "nuts"
            if foreign[0] in (*Sampling._fields, "contaminated", "nu")
            else ("map" if foreign[0] == "reml" else "moments")
        )
        raise InputError(foreign[0], f"is not an option of method={method!r}",
                         fix=f"leave it out, or use method={home!r}")  # fmt: skip
    if variance is not None:
        checks.choice(variance, ("common", "gene"), "variance")
        if variance == "gene" and method not in ("mixture", "joint"):
            raise InputError(
                "variance", "'gene' needs method='mixture' or 'joint'", found=f"method={method!r}"
            )


def _robust(contaminated: Any, nu: Any) -> None:
    """Heavy tails or a minority of shifted genes, and numbers that make sense."""
    if contaminated not in (None, True, False):
        raise InputError("contaminated", "must be True or False", found=repr(contaminated))
    fixed = isinstance(nu, (int, float)) and not isinstance(nu, bool) and nu > 2
    if not (nu is None or nu == "estimate" or fixed):
        raise InputError("nu", "must be a number above 2, or 'estimate'", found=repr(nu))
    if contaminated and nu is not None:
        raise InputError("nu", "is not used with contaminated=True, which is robust itself",
                         fix="leave one of them out")  # fmt: skip
