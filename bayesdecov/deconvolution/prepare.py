"""From tables to a model: align them on one scale, choose noise and prior, build the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.algebra.priors import FLAT, Dirichlet, Prior, SoftmaxNormal
from bayesdecov.algebra.terms import Array
from bayesdecov.deconvolution.align import align_bulk
from bayesdecov.deconvolution.cohort_stage import learn_from_cohort
from bayesdecov.deconvolution.model import EQ8, LIKELIHOOD, Data, Model, model_of
from bayesdecov.deconvolution.options import check_model
from bayesdecov.errors import InputError, Notes
from bayesdecov.io.genes import Alignment
from bayesdecov.reference.reference import Reference
from bayesdecov.reference.structures import FactorCovariance
from bayesdecov.unknown_content.extended import OTHER

AUTO_DF = 4.0


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


def prepare(
    bulk: pd.DataFrame,
    reference: Reference,
    *,
    prior: str | Prior = "flat",
    noise: str = "auto",
    size_factor: str = "auto",
    df: float | str | None = "auto",
    assume_linear: bool = False,
    other: np.random.Generator | None = None,
    notes: Notes | None = None,
) -> Prepared:
    """Align, bring to one scale, learn from the cohort, choose the noise and build the model.

    ``other`` is given where cells that are absent from the reference form a type of their own.
    """
    check_model(prior, noise, size_factor, df)
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
    density_prior, logdet_weight = _prior_of(prior, reference.cell_types, other is not None)
    if noise == "auto":
        noise = _automatic_noise(reference, phi)
    if noise == "none":
        phi = np.zeros(len(phi))
    elif np.isnan(phi).any():
        notes.info("counting noise per unit of expression is not known: estimated per sample")
    model = model_of(
        reference,
        noise,
        prior=density_prior,
        logdet_weight=logdet_weight,
        free_size=free,
        df=_degrees_of_freedom(df, exact),
    )
    y = aligned.whole.loc[reference.genes].to_numpy().T.copy()
    data = model.data(y, phi)._replace(log_odds_shift=shift)
    return Prepared(
        model, data, reference, noise, aligned.whole.columns, aligned.alignment, aligned.said, notes
    )


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
