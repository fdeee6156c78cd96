"""A fitted deconvolution: the estimates and their model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from bayesdecov.algebra.terms import Array
from bayesdecov.deconvolution.model import Model
from bayesdecov.errors import InputError
from bayesdecov.reference.reference import Reference
from bayesdecov.results.posterior_draws import PosteriorDraws, before_shift
from bayesdecov.results.proportions import Proportions


class Normal(NamedTuple):
    """The normal approximation at the mode of the free coordinates."""

    mean: Array  # (sample, parameter)
    covariance: Array  # (sample, parameter, parameter)


@dataclass(frozen=True, kw_only=True)
class FittedProportions(Proportions):
    """Cell-type proportions of bulk samples, their uncertainty, and how they were estimated.

    Attributes
    ----------
    proportions
        Samples x cell types, rows sum to 1: the maximum of the likelihood or posterior
        (``method="map"``), the posterior mean (``"laplace"``, ``"nuts"``), or a baseline's
        estimate.
    diagnostics
        One row per sample; `deconvolve` explains the columns.
    method, prior, noise
        The method, prior and noise model of the fit.
    quantity
        "mRNA fractions", "cell fractions", or "fractions of the reference's units".
    settings
        The options used, with defaults resolved, and the seed.
    facts
        Results beside the estimates: scale, alignment, seconds, factor and coverage of a
        calibration.
    notes
        Findings and decisions: scale, missing genes, fallbacks, guesses.
    reference
        The reference, restricted to the genes used.
    draws
        Posterior draws (`Draws`); None without a posterior.
    model, normal
        Prior and likelihood; the normal approximation behind the draws. None where there is none.
    unit
        Scale of the size factors, (sample,): 1 where they are fixed.
    per_cell
        mRNA per cell, (cell_type,), where fractions of cells are reported.
    maxima
        Beside draws: proportions that maximise the posterior density ("map") and the likelihood
        ("mle"), samples x cell types.
    log_odds_shift
        Where there are `other` cells: shifts of their log-odds in the draws, which represent the
        uncertainty of their profile, (replicate, sample); draws use the replicates in turn.
    """

    prior: str
    noise: str
    reference: Reference
    bulk: pd.DataFrame
    model: Model | None = None
    normal: Normal | None = None
    maxima: dict[str, pd.DataFrame] = field(default_factory=dict)
    log_odds_shift: Array | None = None
    unit: Array | None = None
    per_cell: Array | None = None

    command = "deconvolve"

    def record(self, **about: Any) -> dict[str, Any]:
        """The content of ``run.json``, with the settings of the reference."""
        record = super().record(**about)
        record["settings"] |= {
            "reference": self.reference.settings,
            "replicates": self.reference.replicates.to_dict(),
        }
        return record

    def posterior_draws(self) -> PosteriorDraws:
        """Draws and the prior they include; no prior for a bootstrap or DeCovarT Eq. 8."""
        found = super().posterior_draws()
        if self.draws is None or self.model is None:
            return found._replace(prior=None)
        shift = self.log_odds_shift
        return found._replace(
            prior=None if self.model.of_paper else self.model.prior,
            per_cell=self.per_cell,
            unshifted=before_shift(self.draws.proportions, shift, self.per_cell),
        )

    def require_model(self) -> Model:
        """The model; an error for the baselines, which have none."""
        if self.model is None:
            raise InputError(
                "fit",
                "must have a likelihood for this",
                found=f"method={self.method!r}",
                fix="use method 'map', 'laplace' or 'nuts'",
            )
        return self.model
