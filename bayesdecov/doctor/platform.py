"""How far the platforms of bulks and reference are apart, and what that costs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import softmax

from bayesdecov import checks
from bayesdecov.algebra.terms import Array
from bayesdecov.deconvolution.elsewhere import known_phi
from bayesdecov.deconvolution.options import LEVEL_SD
from bayesdecov.deconvolution.prepare import Prepared
from bayesdecov.platform.cut import FEWEST, Platform, learn_platform
from bayesdecov.platform.draws import draw_factors, draw_yields, moved_by
from bayesdecov.platform.positive import Profiles
from bayesdecov.platform.rounds import Expression, Mixture

TITLE = "Errors shared by all samples"
_DRAWS = 400
_OUTLIER = 0.25  # weight below which a gene is one


class Apart(NamedTuple):
    """What is said of it, and the table of cell types behind that."""

    sentence: str
    types: pd.DataFrame


def examine_platform(prepared: Prepared, rng: np.random.Generator) -> Apart | None:
    """Learn the genes' factors between the platforms; None where the cohort is too small.

    The table holds, per cell type, its mean proportion and the standard deviation of what all
    samples have in common of its error. That part does not become smaller with more samples.
    """
    y, mu = prepared.data.y, prepared.model.mu
    if len(y) < FEWEST or prepared.reference.scale == "exact":
        return None
    platform, mixture = learn_platform(
        Expression(y, None, known_phi(prepared.data.phi)), Profiles.with_background(mu)
    )
    if platform.level is None:  # too few samples are mixtures of these cell types
        return None
    mean, sd = _levels(platform, mixture, LEVEL_SD, rng)
    types = pd.DataFrame(
        {"mean": mean, "shared_sd": sd}, pd.Index(prepared.reference.cell_types, name="cell_type")
    )
    shifts = platform.shifts
    strange = prepared.reference.genes[shifts.weight < _OUTLIER]
    worst = str(types["shared_sd"].idxmax())
    sentence = (
        f"Genes of bulks and reference differ by factors of {np.exp(platform.tau):.2f} (the "
        "scale of a heavy-tailed law) that all samples share; the error that follows is common to "
        f"all samples, up to +-{sd.max():.1%} of tissue ({worst}; with what cell types yield, a "
        f"log-sd of {LEVEL_SD:g}), and does not shrink with more of them."
    )
    if len(strange):
        sentence += f" Genes that differ by far more: {checks.some(strange)}."
    return Apart(sentence, types)


def _levels(
    platform: Platform, mixture: Mixture, level_sd: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Mean proportions of the cohort and their standard deviation over common draws."""
    n_types = platform.profiles.n_types
    moved = moved_by(draw_factors(platform, _DRAWS, rng), platform, mixture)
    log_q = mixture.coefficients.log_q
    at = softmax(log_q[:, :n_types], axis=-1)
    moved = moved[..., :n_types] + draw_yields(n_types, _DRAWS, level_sd, rng)[:, None]
    drawn = softmax(log_q[:, :n_types] + moved, axis=-1)
    return at.mean(axis=0), drawn.mean(axis=1).std(axis=0, ddof=1)
