"""Related options as frozen objects, which define each of them once.

Functions take the objects, records list their fields, and the command line is generated from them:
the ``help`` of a field is its help on the command line.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ParamSpec, TypeVar

from bayesdecov.errors import InputError

NUTS_ONLY = ("tune", "chains", "cores", "target_accept", "nuts_sampler")  # of `Sampling`
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


def _option(help: str, default: Any = None) -> Any:
    """A field; None leaves the choice to the method."""
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Settings of posterior or bootstrap draws; None leaves a choice to the method.

    Attributes
    ----------
    draws
        Posterior draws per sample ("laplace"), or per chain ("nuts", and ``contrast``).
    tune, chains, cores, target_accept, nuts_sampler
        ``method="nuts"``: warm-up steps of a chain, chains, worker processes, the target
        acceptance of the step-size adaptation, and "nutpie", "pymc" or "auto" (nutpie where it is
        installed).
    max_pareto_k
        ``method="laplace"``: the largest Pareto-k of the importance weights that is accepted.
        Samples above it have no intervals. ``float("inf")`` accepts all.
    bootstrap
        Baselines: number of bootstrap samples of genes, which give intervals.

    Examples
    --------
    >>> import bayesdecov as bd
    >>> bd.Sampling(draws=500, chains=2).draws
    500
    """

    draws: int | None = _option("Posterior draws (laplace), or draws per chain (nuts).")
    tune: int | None = _option("Warm-up steps per chain (nuts).")
    chains: int | None = _option("Chains (nuts).")
    cores: int | None = _option("Worker processes (nuts).")
    target_accept: float | None = _option("Target acceptance probability (nuts).")
    nuts_sampler: str | None = _option("auto, nutpie or pymc.")
    max_pareto_k: float | None = _option("Largest Pareto-k accepted (laplace); inf for all.")
    bootstrap: int | None = _option("Bootstrap samples of genes (baselines).")


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """A reference from another laboratory or platform: what no gene tells of it.

    Attributes
    ----------
    level_sd
        Standard deviation of the logarithm of what a cell type yields (mRNA per cell, efficiency of
        its extraction) relative to the others, beyond ``mrna_per_cell``. It multiplies a cell type
        in all samples alike, so that the expression cannot show it; it widens the levels of all
        samples and hardly the differences between them. Default: .2. 0: proportions are meant as
        fractions of the reference's own units, such as mRNA.

    Examples
    --------
    >>> import bayesdecov as bd
    >>> bd.Elsewhere(level_sd=0.3).level_sd
    0.3
    """

    level_sd: float | None = _option(
        "Platform elsewhere: log-sd of what a cell type yields relative to the others, which no "
        "gene shows; 0 for fractions of mRNA."
    )


@dataclass(frozen=True, kw_only=True)
class DesignOptions:
    """How `fastmix` builds its design matrix from proportions and covariates.

    Attributes
    ----------
    include_covariates
        Whether covariates have main effects besides the products. "auto": no where the
        proportions add up to the same number in all samples (within 2 %), because a main effect
        then equals the sum of the products; otherwise yes. Proportions that add up to 1 within
        2 % in every sample are treated as rounded and scaled to add up to 1.
    rest
        A measured cell type to use as the baseline (an intercept replaces it, and main effects
        are the effects in it), or a new name for one minus the sum of the proportions.
    reference_cell_type
        Omit its products: main effects are then the effects in this cell type.
    random
        Design columns with random effects (names); default: all.
    standardise
        Centre and scale covariates (n - 1 standard deviation): effects, including those of labels,
        are per standard deviation. False: the effect of a label is that of belonging to it.
    weights
        Known covariance of the samples, samples x samples: a DataFrame with their names, or an
        array in the order of the samples that the tables share (the expression's).
    """

    include_covariates: bool | str = _option("Main effects of covariates: auto, yes or no.", "auto")
    rest: str | None = _option(
        "Cell type to leave out, or a name for one minus the sum of the proportions."
    )
    reference_cell_type: str | None = _option("Cell type whose effects the main effects then are.")
    random: Iterable[str] | str | None = _option(
        "Design column with a random effect (repeat). Default: all."
    )
    standardise: bool = _option("Centre and scale the covariates.", True)
    weights: Any = _option("Table: covariance of the samples, samples x samples.")


@dataclass(frozen=True, kw_only=True)
class EstimatorOptions:
    """Estimation and tests of `fastmix`; None leaves a choice to the method or preset.

    Attributes
    ----------
    variance
        "common" or "gene" (gene-wise residual variances, moderated as in limma; only for "mixture"
        and "joint", and their default).
    reml
        ``method="map"``: restricted likelihood (True, the default) or likelihood.
    diagonal
        Independent random effects, a diagonal Psi ("moments" and "map").
    statistic
        Statistic of the quasi-p-values: "whitened" (EBLUPs times the inverse root of their
        covariance), "marginal" (over their own standard deviation), "prior" (over the standard
        deviation of the random effect, FastMix Eq. 14), "score" (the best test for one shifted
        effect).
        ``method="mixture"`` tests a shift in one effect given the others instead.
    sided
        2, or 1 for ``1 - Phi(|z|)`` as in FastMix Eq. 14.
    contaminated
        ``method="nuts"``: sample the contaminated model, for the effects in which EM finds shifted
        genes, with one residual variance for all genes.
    nu
        ``method="nuts"``: heavy tails, a multivariate t with these degrees of freedom, or
        "estimate" (prior: 2 + Gamma(2, .1)). Not together with ``contaminated``.
    trim
        "moments": share of genes trimmed when estimating the covariance of effects with
        differentially expressed genes.
    screen
        "moments": test that finds such effects: "mixture", "anderson", "shapiro", "none"; or the
        effects' names.
    screen_level, screen_correct
        "moments": level of the tests, and whether it is divided by the number of effects.
    screen_single
        "moments": also screen where there is a single random effect (FastMix 0.2.5 does not).
    covariance
        "moments": "trimmed" (FastMix), "sample" (no trimming), "mcd" or "ogk" (classical robust
        estimates).
    correction
        "moments": "block", the trimmed block between matrix square roots (FastMix Eq. 13), or
        "diagonal", its variances only, as in the R program: correlations are not corrected and the
        result can be indefinite.
    drop_outliers
        "moments": estimate without genes three times as far from the centre as the most extreme of
        as many normal genes; their effects are predicted like all others.
    bias
        "moments": which fixed effects get the robust-mean correction: "flagged", "all" or "none".
    trim_fixed
        "moments": estimate fixed effects only from the genes kept.
    df
        "moments": "satterthwaite", or "residual": ``min(m, n) - L - 1``.
    """

    variance: str | None = _option("Residual variances (mixture): gene or common.")
    reml: bool | None = _option("Restricted likelihood (map).")
    diagonal: bool | None = _option("Independent random effects (moments, map).")
    statistic: str | None = _option("Test statistic: whitened, marginal, prior or score.")
    sided: int | None = _option("Sides of the tests, 1 or 2.")
    contaminated: bool | None = _option("A minority of shifted genes (nuts).")
    nu: float | str | None = _option("Heavy tails (nuts): degrees of freedom, or estimate.")
    trim: float | None = _option("Share of genes trimmed (moments), default 0.5.")
    screen: str | Iterable[str] | None = _option(
        "Test of normality (moments): mixture, anderson, shapiro, none."
    )
    screen_level: float | None = _option("Level of these tests (moments).")
    screen_correct: bool | None = _option("Divide the level by the number of effects (moments).")
    screen_single: bool | None = _option("Also screen a single random effect (moments).")
    covariance: str | None = _option("Covariance (moments): trimmed, sample, mcd or ogk.")
    correction: str | None = _option("Correct the trimmed covariance (moments): block or diagonal.")
    drop_outliers: bool | None = _option("Estimate without extreme genes (moments).")
    bias: str | None = _option("Fixed effects that are corrected (moments): flagged, all, none.")
    trim_fixed: bool | None = _option("Fixed effects from the genes kept (moments).")
    df: str | None = _option("Degrees of freedom (moments): satterthwaite or residual.")


def given(options: Any) -> dict[str, Any]:
    """The fields that are not None."""
    found = {each.name: getattr(options, each.name) for each in fields(options)}
    return {name: value for name, value in found.items() if value is not None}


def of_class(value: Any, group: type[T], argument: str) -> T:
    """The object, or one without any choice for None; anything else is an error."""
    if value is None:
        return group()
    if not isinstance(value, group):
        raise InputError(
            argument, f"must be a bayesdecov.{group.__name__}", found=type(value).__name__
        )
    return value


def grouped(options: Mapping[str, Any], **groups: type) -> dict[str, Any]:
    """Keywords of a function from a flat set of options, with fields grouped into its objects.

    >>> grouped({"seed": 1, "draws": 50}, sampling=Sampling)["sampling"].draws
    50
    """
    rest = dict(options)
    found: dict[str, Any] = {}
    for name, group in groups.items():
        own = {each.name: rest.pop(each.name) for each in fields(group) if each.name in rest}
        if own:
            found[name] = group(**own)
    return rest | found


def moved_into(**groups: type) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Raise an error that names the object for keywords that have become its fields."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        homes = {
            each.name: (name, group.__name__)
            for name, group in groups.items()
            for each in fields(group)
        }
        own = inspect.signature(function).parameters

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            for key in kwargs:
                if key in homes and key not in own:
                    name, group = homes[key]
                    raise InputError(
                        key,
                        f"is a field of {name}",
                        found="a keyword",
                        fix=f"give {name}=bayesdecov.{group}({key}=...)",
                    )
            return function(*args, **kwargs)

        return checked

    return decorate


def renamed(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Raise an error for keywords that have been renamed."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            for key in kwargs:
                if key in names:
                    raise InputError(key, f"is called {names[key]}", fix=f"give {names[key]}=")
            return function(*args, **kwargs)

        return checked

    return decorate
