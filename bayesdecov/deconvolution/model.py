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
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra.counting import inverse_root_of_mean
from bayesdecov.algebra.dense import Dense
from bayesdecov.algebra.density import Density
from bayesdecov.algebra.held import Held
from bayesdecov.algebra.lowrank import LowRank
from bayesdecov.algebra.priors import FLAT, Dirichlet, Prior
from bayesdecov.algebra.terms import Array, Pieces, Term, information, log_density
from bayesdecov.platform.cut import Platform
from bayesdecov.reference.reference import Reference
from bayesdecov.reference.structures import Covariance, FactorCovariance

_SIZE_SD = 3.0  # wide: a background of nine tenths is within one of it
LIKELIHOOD, EQ8 = 0.5, 1.0  # weights of the log-determinant: the likelihood, DeCovarT Eq. 8


class Data(NamedTuple):
    """Bulks as the fit uses them.

    ``y`` (sample, gene) is on the reference's scale, divided by ``unit`` (sample,) where the size
    factor is free. ``phi`` (sample,), the counting noise in the same unit, is NaN where it has to
    be estimated. ``shared_shift`` (replicate, sample, cell_type) is how log-proportions would move
    under errors that all samples share; None where there are none.

    Where variances were learned from the cohort (`bayesdecov.platform`), ``held`` has the packed
    sums of every sample, ``start`` free coordinates near its maximum, ``background`` (sample,) the
    coefficient of the background and ``scale`` (sample,) that of its variances.
    """

    y: Array
    phi: Array
    unit: Array
    shared_shift: Array | None = None
    held: Array | None = None
    start: Array | None = None
    background: Array | None = None
    scale: Array | None = None

    def rows(self, start: int, stop: int) -> Data:
        """Samples from ``start`` to before ``stop``."""
        return self.rows_at(slice(start, stop))

    def rows_at(self, chosen: slice | NDArray[np.intp]) -> Data:
        """The samples at these positions."""

        def of(each: Array | None) -> Any:
            return None if each is None else each[chosen]

        shift = self.shared_shift
        return Data(
            of(self.y),
            of(self.phi),
            of(self.unit),
            None if shift is None else shift[:, chosen],
            of(self.held),
            of(self.start),
            of(self.background),
            of(self.scale),
        )


@dataclass(frozen=True)
class Model:
    """Likelihood and prior of a bulk's proportions.

    Stored: the means ``mu`` (gene, cell_type), the ``covariance`` of the cell types, the
    ``density`` that the fit evaluates, the ``prior``, ``logdet_weight`` (`LIKELIHOOD` or `EQ8`),
    whether the size factor is free, the degrees of freedom ``df`` of the multivariate t (None: the
    normal), the ``power`` to which the likelihood is raised (below 1 where intervals were
    calibrated or residuals have heavy tails), and the ``platform`` where one was learned from the
    cohort: means and covariance then have the genes' factors. ``size_sd`` is the standard deviation
    of the logarithm of a free size factor around that of least squares: where a background could
    explain a bulk alone, a flat prior would not be proper. ``level_sd`` is that of the logarithm of
    what every cell type yields, the same in all samples. Derived: everything else.
    """

    mu: Array
    covariance: Covariance
    density: Density
    prior: Prior = FLAT
    logdet_weight: float = LIKELIHOOD
    free_size: bool = False
    df: float | None = None
    power: float = 1.0
    platform: Platform | None = None
    size_sd: float = np.inf
    level_sd: float = 0.0

    @property
    def n_types(self) -> int:
        """Number of cell types J."""
        return int(self.mu.shape[1])

    @property
    def of_paper(self) -> bool:
        """Whether the prior is that of DeCovarT Eq. 8."""
        return self.logdet_weight == EQ8

    @property
    def mode_of_logs(self) -> bool:
        """Whether modes are those of log-ratios: the prior's density has no maximum in ``p``."""
        prior = self.prior
        return isinstance(prior, Dirichlet) and bool(np.min(np.asarray(prior.alpha)) < 1)

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
        return data_of(self.mu, y, phi, free_size=self.free_size)

    def projected(self, y: Array, held: Array | None) -> Array:
        """What the density takes of bulks: packed sums where variances are held."""
        return self.density.project(y) if held is None else held


def data_of(mu: Array, y: Array, phi: Array, *, free_size: bool) -> Data:
    """Bulks (sample, gene), divided by a rough size factor where it is free."""
    unit: Array = np.ones(len(y))
    if free_size:
        unit = rough_size_factor(y, mu)
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


def model_of_platform(
    reference: Reference,
    noise: str,
    platform: Platform,
    *,
    prior: Prior,
    free_size: bool,
    level_sd: float = 0.0,
) -> Model:
    """The model of a cohort whose platform was learned (`bayesdecov.platform`)."""
    factors, n_types = np.exp(platform.shifts.log), len(reference.cell_types)
    mu = platform.profiles.matrix[:, :n_types]
    covariance = covariance_elsewhere(reference, noise, shifted=platform.level is not None)
    if covariance is None:
        covariance = FactorCovariance(
            np.zeros(mu.shape), np.zeros((len(mu), 0)), np.zeros(0, dtype=np.intp)
        )
    nu = platform.law.nu
    return Model(
        mu,
        covariance.scaled(factors),
        Held(n_types, len(mu)),
        prior,
        free_size=free_size,
        power=(nu + 1) / (nu + 3),  # information of a location under a t, over its weights
        platform=platform,
        size_sd=_SIZE_SD,
        level_sd=level_sd,
    )


def covariance_elsewhere(reference: Reference, noise: str, *, shifted: bool) -> Covariance | None:
    """``Sigma_j`` as replicates show it; None where there are none, for it is a guess then.

    The error of a mean is the same in all samples: where genes have factors (``shifted``) it is
    one of these.
    """
    if int(reference.replicates.max()) <= 1:
        return None
    return likelihood_covariance(reference, noise, of_mean=not shifted)


def likelihood_covariance(reference: Reference, noise: str, *, of_mean: bool = True) -> Covariance:
    """``Sigma_j + Sigma_j^tot / n_j``, without the replicates' own counting noise if asked.

    ``of_mean=False`` leaves out the second term.
    """
    total = reference.covariance
    biology = total
    counting = reference.counting.to_numpy()
    if noise == "counting" and np.isfinite(counting).all():
        mu = reference.mean.to_numpy()
        # a gene that no replicate counted still has a rate: half a count over all replicates
        half = 0.5 * counting / np.maximum(reference.replicates.to_numpy(), 1)
        biology = total.without_noise(np.maximum(mu, half) * counting)
    replicates = reference.replicates.to_numpy().astype(float)
    error = np.divide(1.0, replicates, out=np.zeros_like(replicates), where=replicates > 0)
    return biology.combined(np.ones_like(error), total, error * of_mean)  # type: ignore[arg-type]


def rough_size_factor(y: Array, mu: Array) -> Array:
    """Size factors from least squares weighted by the inverse mean, never negative."""
    weight = inverse_root_of_mean(mu)
    coefficients = np.linalg.lstsq(mu * weight[:, None], (y * weight).T, rcond=None)[0]
    total = np.maximum(coefficients, 0).sum(axis=0)
    fallback = y.sum(axis=1) / mu.mean(axis=1).sum()
    return np.where(total > 0.1 * fallback, total, fallback)
