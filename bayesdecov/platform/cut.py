r"""The level of the cell types and the genes' factors between platforms, in two stages.

The mean of all bulks, each divided by its size, is a mixture itself, with the cohort's mean
proportions. Fitted as one bulk it gives the **level** of every cell type; what remains of each gene
is its factor between the platforms, as far as it is not noise,

.. math:: \log a_g = \kappa_g r_g, \qquad \kappa_g = \frac{\tau_g^2}{\tau_g^2 + v_g}, \qquad
          \tau_g^2 = \tau^2 / u_g,

with ``r`` the log-ratio of mean and fit, ``v`` the variance of a gene's mean over the samples,
``u`` the weights of a t and :math:`\tau^2` what the scatter of ``r`` has beyond ``v``. The samples
are then fitted with profiles :math:`a_g\mu_{gj}`.

This is a cut model: deviations of samples do not feed back into the level. The joint likelihood
would; but factors and levels are confounded but for the curvature of mixtures of genes that are
no markers, which is right only if profiles are exact in every entry.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra.moderation import moderated, variance_prior
from bayesdecov.algebra.terms import Array
from bayesdecov.platform.level import fit_level
from bayesdecov.platform.noise import Law
from bayesdecov.platform.positive import Profiles
from bayesdecov.platform.rounds import CONCENTRATION, Expression, Mixture, fit_mixtures

FEWEST = 3  # samples; one or two cannot tell a gene's factor from its scatter
_LEAST_SHARE = 0.2  # of cell types in a bulk
_LEVELS = 2  # times that the level is fitted
_LEAST_RATIO = 1e-3  # of mean to fit
_LEAST_SPREAD = 1e-5  # squared log-units


class Level(NamedTuple):
    """Of the mean bulk: log-coefficients and their covariance.

    ``share`` is that of each column in every gene's fit, (gene, column).
    """

    log_q: Array
    covariance: Array
    share: Array


class GeneShifts(NamedTuple):
    """Natural logarithms of the genes' factors, all (gene,)."""

    log: Array
    sd: Array  # of what is not known of them
    kept: Array  # kappa: the part of the log-ratio that is the factor's
    weight: Array  # of the t: small for an outlier


class Platform(NamedTuple):
    """What a cohort says of its platform; without a level where it is too small."""

    profiles: Profiles  # with the genes' factors
    law: Law
    gene: Array
    shifts: GeneShifts
    level: Level | None
    tau: float

    @property
    def background(self) -> Array:
        """The profile of the background (gene,): the column after the cell types."""
        return np.asarray(self.profiles.matrix[:, self.profiles.n_types])


def learn_platform(bulks: Expression, profiles: Profiles) -> tuple[Platform, Mixture]:
    """The platform of a cohort, and its samples fitted with it.

    Samples that are no mixture of the cell types are left out.
    """
    mixture = fit_mixtures(bulks, profiles)
    usable = _mixtures(mixture, profiles)
    if 0 < usable.sum() < len(usable):
        phi = None if bulks.phi is None else bulks.phi[usable]
        bulks = bulks._replace(y=bulks.y[usable], phi=phi)
        mixture = fit_mixtures(bulks, profiles)
    if len(bulks.y) < FEWEST:
        none, noise = np.zeros(bulks.y.shape[1]), mixture.noise
        shifts = GeneShifts(none, none, none, none + 1)
        return Platform(profiles, noise.law, noise.gene, shifts, None, 0.0), mixture
    spread = _spread_of_ratios(bulks, mixture)
    for _ in range(_LEVELS):
        level, shifts, tau = _level(bulks, mixture, profiles, spread)
        factors = np.exp(shifts.log)
        scaled = profiles.scaled(factors)
        variances = bulks.variances
        mixture = fit_mixtures(
            bulks._replace(
                variances=None if variances is None else variances * factors[:, None] ** 2
            ),
            scaled,
            start=mixture.coefficients.log_q,
            law=mixture.noise.law,
        )
        spread = (mixture.variance / mixture.mean**2).mean(axis=0) / len(bulks.y)
    noise = mixture.noise
    return Platform(scaled, noise.law, noise.gene, shifts, level, tau), mixture


def _mixtures(mixture: Mixture, profiles: Profiles) -> NDArray[np.bool_]:
    """Samples that the cell types explain: not the background, nor their own scale alone."""
    q = np.exp(mixture.coefficients.log_q)
    size = q[:, : profiles.n_types].sum(axis=1)
    of_types = q[:, : profiles.n_types] @ profiles.matrix[:, : profiles.n_types].sum(axis=0)
    share = of_types / mixture.mean.sum(axis=1)
    return np.asarray((share > _LEAST_SHARE) & (size > _LEAST_SHARE * np.median(size)))


def _spread_of_ratios(bulks: Expression, mixture: Mixture) -> Array:
    """Variance of a gene's mean over the samples, from the scatter around its own mean.

    The variance law cannot be asked before factors are known: they would be counted as scatter.
    """
    ratio = bulks.y / mixture.mean
    ratio = ratio / np.maximum(ratio.mean(axis=0), _LEAST_RATIO)
    df = len(ratio) - 1
    variances = np.maximum(ratio.var(axis=0, ddof=1), _LEAST_SPREAD)
    return moderated(variances, df, variance_prior(variances, df)) / len(ratio)


def _level(
    bulks: Expression, mixture: Mixture, profiles: Profiles, spread: Array
) -> tuple[Level, GeneShifts, float]:
    """Fit the mean bulk with the reference's own profiles, and split what remains."""
    q = np.exp(mixture.coefficients.log_q)
    size = q[:, : profiles.n_types].sum(axis=1, keepdims=True)
    mean_bulk = (bulks.y / size).mean(axis=0)
    found = fit_level(mean_bulk, profiles, np.log((q / size).mean(axis=0)), CONCENTRATION)
    fit = profiles.matrix @ np.exp(found.log_q)
    ratio = np.log(np.maximum(mean_bulk / fit, _LEAST_RATIO))
    tau2 = max(found.c2 - float(np.median(spread)), 0.0)
    own = tau2 / found.weights
    kept = own / (own + spread)
    # the information of a location under a t is smaller than the weights say
    covariance = np.linalg.inv(found.information) * (found.nu + 3) / (found.nu + 1)
    share = profiles.matrix * np.exp(found.log_q) / fit[:, None]
    return (
        Level(found.log_q, covariance, share),
        GeneShifts(kept * ratio, np.sqrt(kept * spread), kept, found.weights),
        float(np.sqrt(tau2)),
    )
