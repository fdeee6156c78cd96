"""From tables to a model: align them on one scale, choose noise and prior, build the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.algebra.priors import FLAT, JEFFREYS, Dirichlet, Prior, SoftmaxNormal
from bayesdecov.algebra.terms import Array
from bayesdecov.deconvolution.align import align_bulk
from bayesdecov.deconvolution.cohort_stage import learn_from_cohort
from bayesdecov.deconvolution.elsewhere import ONE_PLATFORM, Stage, held, learn_stage
from bayesdecov.deconvolution.model import (
    EQ8,
    LIKELIHOOD,
    Data,
    Model,
    data_of,
    model_of,
    model_of_platform,
)
from bayesdecov.deconvolution.options import check_model, level_sd_of, name_of_platform
from bayesdecov.errors import InputError, Notes
from bayesdecov.io.genes import Alignment
from bayesdecov.options import Elsewhere
from bayesdecov.reference.reference import Reference
from bayesdecov.reference.structures import FactorCovariance
from bayesdecov.unknown_content.extended import OTHER

AUTO_DF = 4.0
COUNTING = "counting"


@dataclass(frozen=True)
class Prepared:
    """A model, the data that it is fitted to, and their origin."""

    model: Model
    data: Data
    reference: Reference
    noise: str
    samples: pd.Index
    alignment: Alignment
    scale: str
    notes: Notes
    stage: Stage = ONE_PLATFORM


def prepare(
    bulk: pd.DataFrame,
    reference: Reference,
    *,
    prior: str | Prior = "auto",
    noise: str = "auto",
    size_factor: str = "auto",
    df: float | str | None = "auto",
    platform: str | Elsewhere = "auto",
    assume_linear: bool = False,
    other: np.random.Generator | None = None,
    notes: Notes | None = None,
    known: Stage | None = None,
) -> Prepared:
    """Align, bring to one scale, learn from the cohort, choose the noise and build the model.

    ``other`` is given where cells that are absent from the reference form a type of their own,
    ``known`` where the whole cohort has been asked about its platform already.
    """
    check_model(prior, noise, size_factor, df, platform)
    notes = Notes() if notes is None else notes
    exact = reference.scale == "exact"
    if "licence" in reference.settings:
        notes.info(reference.notes[0])
    aligned = align_bulk(bulk, reference, assume_linear=assume_linear, notes=notes)
    free = size_factor == "free" or (size_factor == "auto" and not aligned.same_scale)
    reference, phi = reference.take(aligned.shared), aligned.phi
    checks.check_collinear(reference.mean, "reference")
    alike = checks.find_nearly_collinear(reference.mean)
    if alike:
        notes.warn(f"these genes hardly distinguish these cell types: {alike}")
    reference, shift = learn_from_cohort(
        aligned, reference, free_size=free, other=other, notes=notes
    )
    y = aligned.whole.loc[reference.genes].to_numpy().T.copy()
    chosen, logdet_weight = _prior_of(prior, reference.cell_types, other is not None)
    usual = (noise, size_factor, df) == ("auto", "auto", "auto") and prior_is_usual(prior)
    told = name_of_platform(platform)
    if _has_one_platform(told, exact=exact, other=other is not None, usual=usual):
        stage = ONE_PLATFORM
    elif known is not None:
        stage = known
    else:
        sized = data_of(reference.mean.to_numpy(), y, phi, free_size=size_factor != "fixed")
        stage = learn_stage(sized, reference, COUNTING)
    if stage.platform is None:
        noise = _automatic_noise(reference, phi) if noise == "auto" else noise
        model = model_of(
            reference,
            noise,
            prior=chosen,
            logdet_weight=logdet_weight,
            free_size=free,
            df=_degrees_of_freedom(df, exact),
        )
        data = model.data(y, np.zeros(len(phi)) if noise == "none" else phi)
        data = data._replace(shared_shift=shift)
        if noise == COUNTING and np.isnan(phi).any():
            notes.info("counting noise per unit of expression is not known: estimated per sample")
    else:
        noise = COUNTING
        model = model_of_platform(
            reference,
            noise,
            stage.platform,
            prior=JEFFREYS if prior == "auto" else chosen,
            free_size=size_factor != "fixed",
            level_sd=level_sd_of(platform),
        )
        data = held(model, model.data(y, phi), reference)
    if stage.said:
        notes.info(stage.said)
    return Prepared(
        model, data, reference, noise, aligned.whole.columns, aligned.alignment, aligned.said,
        notes, stage,
    )  # fmt: skip


def _has_one_platform(platform: str, *, exact: bool, other: bool, usual: bool) -> bool:
    """Whether bulks and reference are taken to be of one platform; ``usual`` options leave it open.

    Raises
    ------
    InputError
        Another one is asked for, with exact moments.
    """
    if platform == "elsewhere" and exact:
        raise InputError(
            "platform",
            "'elsewhere' needs a reference made from data",
            found="exact moments",
            fix="leave it out",
        )
    return platform == "same" or exact or other or (platform == "auto" and not usual)


def prior_is_usual(prior: str | Prior) -> bool:
    """Whether a prior is the default or one of the proportions that says little."""
    return isinstance(prior, Dirichlet) or prior in ("auto", "flat", "jeffreys")


def _prior_of(prior: str | Prior, cell_types: pd.Index, other: bool) -> tuple[Prior, float]:
    """The prior and the weight of the log-determinant (1 for DeCovarT Eq. 8).

    ``other`` cells have a concentration of 1 unless one is given.
    """
    if isinstance(prior, Dirichlet):
        n_types = len(cell_types)
        if other:
            prior = _with_concentration(prior, n_types)
        if isinstance(prior.alpha, (Mapping, pd.Series)):
            named = checks.match_cell_types(prior.alpha, cell_types, "prior")
            prior = Dirichlet(tuple(float(value) for value in named))
        alpha = np.asarray(prior.alpha, dtype=float)
        if alpha.ndim:
            prior = Dirichlet(tuple(alpha.tolist()))
        if alpha.ndim and len(alpha) != n_types:
            raise InputError(
                "prior",
                "needs one concentration per cell type",
                found=f"{len(alpha)} for {n_types} cell types",
            )
        if not (np.isfinite(alpha).all() and (alpha > 0).all()):
            raise InputError("prior", "concentrations must be positive", found=repr(prior))
        return prior, LIKELIHOOD
    if isinstance(prior, SoftmaxNormal):
        checks.check_positive(prior.scale, "prior scale")
        return prior, LIKELIHOOD
    if prior == "normal":
        return SoftmaxNormal(), LIKELIHOOD
    if prior == "jeffreys":
        return JEFFREYS, LIKELIHOOD
    return FLAT, EQ8 if prior == "decovart" else LIKELIHOOD


def _with_concentration(prior: Dirichlet, n_types: int) -> Dirichlet:
    """The prior with concentration 1 for `OTHER` where only the known types have their own."""
    alpha = prior.alpha
    if isinstance(alpha, (Mapping, pd.Series)):
        return prior if OTHER in alpha else Dirichlet({**alpha, OTHER: 1.0})
    each = np.ravel(np.asarray(alpha, dtype=float)).tolist()
    return Dirichlet((*each, 1.0)) if np.ndim(alpha) and len(each) == n_types - 1 else prior


def _automatic_noise(reference: Reference, phi: Array) -> str:
    """Counting noise wherever it is known or needed.

    Exact moments are the whole model. With a shared diagonal (``factor``), genes that are silent in
    a cell type have noise already, and without counting noise the cost of the likelihood does not
    depend on the number of genes. Elsewhere an unknown noise is estimated, because silent genes
    with a little background from another platform would otherwise dominate the fit.
    """
    if reference.scale == "exact":
        return "none"
    shared = isinstance(reference.covariance, FactorCovariance) and (
        reference.covariance.multiplier is not None
    )
    return "none" if shared and not np.isfinite(phi).all() else "counting"


def _degrees_of_freedom(df: float | str | None, exact: bool) -> float | None:
    if df is None or (df == "auto" and exact):
        return None
    return AUTO_DF if df == "auto" else float(df)
