r"""The prepared problem: aligned, on one scale, with the noise law chosen and a density built.

.. math:: y_i \sim N\big(s_i \mu p_i,\; V(s_i p_i)\big), \qquad
   V(q) = \sum_j q_j^2 \big(\Sigma_j + \Sigma^{tot}_j / n_j\big)
          + \mathrm{diag}(\varphi_i\,\mu q + \varphi_i^2 / 4)

``Sigma_j`` is the biological covariance, ``Sigma_j^tot / n_j`` the uncertainty of a mean of
``n_j`` replicates, ``phi_i`` the counting noise of bulk i and ``s_i`` its size factor (1 where
bulk and reference are known to share one scale).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.algebra.density import Density
from bayesdecov.algebra.priors import Dirichlet, Prior, SoftmaxNormal
from bayesdecov.algebra.terms import Array, Pieces, Term, information, log_density
from bayesdecov.deconvolution.together import Together, bring_together
from bayesdecov.errors import InputError, Notes
from bayesdecov.foreign.cohort import observed
from bayesdecov.foreign.extended import OTHER, steps, with_profile
from bayesdecov.foreign.learn import learn
from bayesdecov.io.genes import Alignment
from bayesdecov.reference.reference import Reference
from bayesdecov.reference.structures import Covariance, FactorCovariance

NOISES = ("auto", "none", "counting")
SIZE_FACTORS = ("auto", "fixed", "free")
AUTO_DF = 4.0
LIKELIHOOD, EQ8 = 0.5, 1.0  # weights of the log-determinant


@dataclass(frozen=True)
class Problem:
    """Arrays and choices that a fit needs; made by `prepare`.

    ``y`` (sample, gene) is on the reference's scale, divided by ``unit`` (sample,) where the size
    factor is free. ``phi`` is NaN where the counting noise has to be estimated. The likelihood is
    raised to ``power`` (below 1 where intervals were calibrated). Where the last type is `OTHER`,
    ``away`` (replicate, sample) is how far its log-odds lay away in resampled cohorts.
    """

    y: Array
    phi: Array
    unit: Array
    reference: Reference
    covariance: Covariance
    density: Density
    prior: Prior
    logdet_weight: float
    noise: str
    free_size: bool
    df: float | None
    samples: pd.Index
    alignment: Alignment
    scale: str
    notes: Notes
    power: float = 1.0
    away: Array | None = None

    @property
    def n_types(self) -> int:
        """Number of cell types J."""
        return len(self.reference.cell_types)

    @property
    def mu(self) -> Array:
        """Means (gene, cell_type)."""
        return self.reference.mean.to_numpy()

    def target(self, pieces: Pieces) -> Term:
        """What is maximised, without the prior: the likelihood, or the paper's Eq. 8."""
        term = log_density(
            pieces, self.density.n_genes, logdet_weight=self.logdet_weight, df=self.df
        )
        return term if self.power == 1 else Term(*(self.power * part for part in term))

    def information(self, pieces: Pieces) -> Array:
        """Expected information about ``q``."""
        return self.power * information(pieces, self.density.n_genes, df=self.df)

    def about(self, y: Array, phi: Array) -> Problem:
        """The same question about other bulks (sample, gene) on the scale of the reference."""
        unit: Array = np.ones(len(y))
        if self.free_size:
            unit = rough_size(y, self.mu)
            y, phi = y / unit[:, None], phi / unit
        return replace(self, y=y, phi=phi, unit=unit, samples=self.samples[:0], away=None)

    def rows(self, start: int, stop: int) -> Problem:
        """The same problem for some of the samples."""
        return replace(
            self,
            y=self.y[start:stop],
            phi=self.phi[start:stop],
            unit=self.unit[start:stop],
            samples=self.samples[start:stop],
            away=None if self.away is None else self.away[:, start:stop],
        )


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
) -> Problem:
    """Align, bring to one scale, choose the noise law and build the density.

    ``other`` is given where cells that the reference does not know are to be a type of their own.
    """
    checks.choice(noise, NOISES, "noise")
    checks.choice(size_factor, SIZE_FACTORS, "size_factor")
    notes = Notes() if notes is None else notes
    exact = reference.scale == "exact"
    together = bring_together(bulk, reference, assume_linear=assume_linear, notes=notes)
    free = size_factor == "free" or (size_factor == "auto" and not together.same_scale)
    reference, phi = reference.take(together.shared), together.phi
    checks.collinear(reference.mean, "reference")
    alike = checks.nearly_collinear(reference.mean)
    if alike:
        notes.warn(f"these cell types can hardly be told apart with these genes: {alike}")
    away = None
    if other is not None:
        reference, away = _with_other(together, reference, free, other, notes)
    law, logdet_weight = _prior_of(prior, reference.cell_types, other is not None)
    if noise == "auto":
        noise = _automatic_noise(reference, phi)
    if noise == "none":
        phi = np.zeros(len(phi))
    elif np.isnan(phi).any():
        notes.info("counting noise per unit of expression is not known: estimated per sample")
    values = together.whole.loc[reference.genes].to_numpy().T.copy()
    unit: Array = np.ones(len(values))
    if free:
        unit = rough_size(values, reference.mean.to_numpy())
        values, phi = values / unit[:, None], phi / unit
    covariance = likelihood_covariance(reference, noise)
    density = covariance.density(reference.mean.to_numpy(), counting=noise == "counting")
    return Problem(
        y=values,
        phi=phi,
        unit=unit,
        reference=reference,
        covariance=covariance,
        density=density,
        prior=law,
        logdet_weight=logdet_weight,
        noise=noise,
        free_size=free,
        df=_degrees_of_freedom(df, exact),
        samples=together.whole.columns,
        alignment=together.alignment,
        scale=together.said,
        notes=notes,
        away=away,
    )


def _with_other(
    together: Together, reference: Reference, free: bool, rng: np.random.Generator, notes: Notes
) -> tuple[Reference, Array]:
    """The reference with a cell type learned from the cohort, and what resampling says of it."""
    if free:
        raise InputError(
            "other", "needs bulk and reference on one scale: what is missing from a total cannot "
            "be seen where the total is free", found=together.said,
            fix="give counts or TPM of all genes for both, or size_factor='fixed' if a unit "
            "means the same in both",
        )  # fmt: skip
    if OTHER in reference.cell_types:
        raise InputError("other", f"a cell type of the reference is called {OTHER!r} already",
                         fix="rename it")  # fmt: skip
    cohort = observed(together.whole, together.phi, reference)
    found = learn(cohort, rng)
    extended = with_profile(reference, cohort, found.profile)
    low, high = np.quantile(found.replicates.mean(axis=1), [0.025, 0.975])
    notes.info(
        f"other cells: profile learned from {found.learned_from} samples and {len(cohort.genes)} "
        f"genes, {len(extended.genes) - len(reference.genes)} of which were added to the "
        f"reference's; mean share {found.share.mean():.1%}, {low:.1%} to {high:.1%} in "
        f"{len(found.replicates)} resampled cohorts"
    )
    return extended, steps(found.share, found.replicates)


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


def _prior_of(prior: str | Prior, cell_types: pd.Index, other: bool) -> tuple[Prior, float]:
    """The prior and the weight of the log-determinant (1 for the paper's Eq. 8).

    ``other`` cells have a concentration of 1 unless one is given.
    """
    if isinstance(prior, Dirichlet):
        n_types = len(cell_types)
        if other:
            prior = _with_concentration(prior, n_types)
        if isinstance(prior.alpha, (Mapping, pd.Series)):
            named = checks.by_cell_type(prior.alpha, cell_types, "prior")
            prior = Dirichlet(tuple(float(value) for value in named))
        alpha = np.asarray(prior.alpha, dtype=float)
        if alpha.ndim:
            prior = Dirichlet(tuple(alpha.tolist()))
        if alpha.ndim and len(alpha) != n_types:
            raise InputError("prior", "needs one concentration per cell type",
                             found=f"{len(alpha)} for {n_types} cell types")  # fmt: skip
        if not (np.isfinite(alpha).all() and (alpha > 0).all()):
            raise InputError("prior", "concentrations must be positive", found=repr(prior))
        return prior, LIKELIHOOD
    if isinstance(prior, SoftmaxNormal):
        checks.positive(prior.scale, "prior scale")
        return prior, LIKELIHOOD
    checks.choice(prior, ("flat", "decovart", "normal"), "prior")
    if prior == "normal":
        return SoftmaxNormal(), LIKELIHOOD
    return Dirichlet(1.0), EQ8 if prior == "decovart" else LIKELIHOOD


def _with_concentration(prior: Dirichlet, n_types: int) -> Dirichlet:
    """The prior with a concentration of 1 for `OTHER`, where others have their own and it none."""
    alpha = prior.alpha
    if isinstance(alpha, (Mapping, pd.Series)):
        return prior if OTHER in alpha else Dirichlet({**alpha, OTHER: 1.0})
    each = np.ravel(np.asarray(alpha, dtype=float)).tolist()
    return Dirichlet((*each, 1.0)) if np.ndim(alpha) and len(each) == n_types - 1 else prior


def _automatic_noise(reference: Reference, phi: Array) -> str:
    """Counting noise wherever it is known or needed.

    Exact moments are the whole model. A shared diagonal (``factor``) already keeps genes that are
    silent in a cell type from looking exact, and without counting noise its likelihood does not
    depend on the number of genes; elsewhere an unknown noise is estimated, because a bulk of
    another platform with a little background would otherwise be fitted to its silent genes.
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
    return AUTO_DF if df == "auto" else checks.positive(df, "df")


def rough_size(y: Array, mu: Array) -> Array:
    """Size factors from least squares weighted by the inverse mean, never negative."""
    weight = 1 / np.sqrt(mu.mean(axis=1) + 1e-3 * mu.mean())
    coefficients = np.linalg.lstsq(mu * weight[:, None], (y * weight).T, rcond=None)[0]
    total = np.maximum(coefficients, 0).sum(axis=0)
    fallback = y.sum(axis=1) / mu.mean(axis=1).sum()
    return np.where(total > 0.1 * fallback, total, fallback)
