r"""The model of a bulk given its proportions, and the data of the bulks.

.. math:: y_i \sim N\big(s_i \mu p_i,\; V(s_i p_i)\big), \qquad
   V(q) = \sum_j q_j^2 \big(\Sigma_j + \Sigma^{tot}_j / n_j\big)
          + \mathrm{diag}(\varphi_i\,\mu q + \varphi_i^2 / 4)

(DeCovarT Eq. 7 with technical noise). ``Sigma_j`` is the biological covariance,
``Sigma_j^tot / n_j`` the uncertainty of a mean of ``n_j`` replicates, ``phi_i`` the counting noise
of bulk i and ``s_i`` its size factor (1 where bulk and reference are known to share one scale).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from bayesdecov.algebra.counting import inverse_root_of_mean
from bayesdecov.algebra.dense import Dense
from bayesdecov.algebra.density import Density
from bayesdecov.algebra.lowrank import LowRank
from bayesdecov.algebra.priors import FLAT, Prior
from bayesdecov.algebra.terms import Array, Pieces, Term, information, log_density
from bayesdecov.reference.reference import Reference
from bayesdecov.reference.structures import Covariance

LIKELIHOOD, EQ8 = 0.5, 1.0  # weights of the log-determinant: the likelihood, DeCovarT Eq. 8


class Data(NamedTuple):
    """Bulks as the fit uses them.

    ``y`` (sample, gene) is on the reference's scale, divided by ``unit`` (sample,) where the size
    factor is free. ``phi`` (sample,), the counting noise in the same unit, is NaN where it has to
    be estimated. Where the last cell type was learned from the cohort, ``log_odds_shift``
    (replicate, sample) holds the differences of its log-odds in resampled cohorts.
    """

    y: Array
    phi: Array
    unit: Array
    log_odds_shift: Array | None = None

    def rows(self, start: int, stop: int) -> Data:
        """Some of the samples."""
        shift = self.log_odds_shift
        return Data(
            self.y[start:stop],
            self.phi[start:stop],
            self.unit[start:stop],
            None if shift is None else shift[:, start:stop],
        )


@dataclass(frozen=True)
class Model:
    """Likelihood and prior of a bulk's proportions.

    Stored: the means ``mu`` (gene, cell_type), the ``covariance`` of the cell types, the
    ``density`` that the fit evaluates, the ``prior``, ``logdet_weight`` (`LIKELIHOOD` or `EQ8`),
    whether the size factor is free, the degrees of freedom ``df`` of the multivariate t (None: the
    normal), and the ``power`` to which the likelihood is raised (below 1 where intervals were
    calibrated). Derived: everything else.
    """

    mu: Array
    covariance: Covariance
    density: Density
    prior: Prior = FLAT
    logdet_weight: float = LIKELIHOOD
    free_size: bool = False
    df: float | None = None
    power: float = 1.0

    @property
    def n_types(self) -> int:
        """Number of cell types J."""
        return int(self.mu.shape[1])

    @property
    def of_paper(self) -> bool:
        """Whether the prior is that of DeCovarT Eq. 8."""
        return self.logdet_weight == EQ8

    @cached_property
    def genewise(self) -> Dense | LowRank:
        """The density in the form that gives every gene separately."""
        density: Dense | LowRank = self.covariance.density(self.mu, counting=True)  # type: ignore[assignment]
        return density

    def target(self, pieces: Pieces) -> Term:
        """The objective without the prior: the likelihood, or DeCovarT Eq. 8."""
        term = log_density(
            pieces, self.density.n_genes, logdet_weight=self.logdet_weight, df=self.df
        )
        return term if self.power == 1 else Term(*(self.power * part for part in term))

    def information(self, pieces: Pieces) -> Array:
        """Expected information about ``q``."""
        return self.power * information(pieces, self.density.n_genes, df=self.df)

    def data(self, y: Array, phi: Array) -> Data:
        """Bulks (sample, gene) on the scale of the reference, as this model uses them."""
        unit: Array = np.ones(len(y))
        if self.free_size:
            unit = rough_size_factor(y, self.mu)
            y, phi = y / unit[:, None], phi / unit
        return Data(y, phi, unit)


def model_of(
    reference: Reference,
    noise: str,
    *,
    prior: Prior = FLAT,
    logdet_weight: float = LIKELIHOOD,
    free_size: bool = False,
    df: float | None = None,
) -> Model:
    """The model that a reference implies; ``noise`` is "none" or "counting"."""
    covariance = likelihood_covariance(reference, noise)
    mu = reference.mean.to_numpy()
    density = covariance.density(mu, counting=noise == "counting")
    return Model(mu, covariance, density, prior, logdet_weight, free_size, df)


def likelihood_covariance(reference: Reference, noise: str) -> Covariance:
    """``Sigma_j + Sigma_j^tot / n_j``, without the replicates' own counting noise if asked."""
    total = reference.covariance
    biology = total
    counting = reference.counting.to_numpy()
    if noise == "counting" and np.isfinite(counting).all():
        mu = reference.mean.to_numpy()
        # a gene that no replicate counted still has a rate: half a count over all replicates
        half = 0.5 * counting / np.maximum(reference.replicates.to_numpy(), 1)
        biology = total.without_noise(np.maximum(mu, half) * counting)
    replicates = reference.replicates.to_numpy().astype(float)
    of_mean = np.divide(1.0, replicates, out=np.zeros_like(replicates), where=replicates > 0)
    return biology.combined(np.ones_like(of_mean), total, of_mean)  # type: ignore[arg-type]


def rough_size_factor(y: Array, mu: Array) -> Array:
    """Size factors from least squares weighted by the inverse mean, never negative."""
    weight = inverse_root_of_mean(mu)
    coefficients = np.linalg.lstsq(mu * weight[:, None], (y * weight).T, rcond=None)[0]
    total = np.maximum(coefficients, 0).sum(axis=0)
    fallback = y.sum(axis=1) / mu.mean(axis=1).sum()
    return np.where(total > 0.1 * fallback, total, fallback)
