"""The estimate that every estimator of the mixed model returns."""

from __future__ import annotations

from typing import Any, NamedTuple

from bayesdecov.algebra.terms import Array


class Estimate(NamedTuple):
    """Parameters, gene effects and how they were estimated; ``q`` is the number of random effects.

    Attributes
    ----------
    beta, beta_cov, beta_df, inflation
        Fixed effects (L,), their covariance (L, L), degrees of freedom (L,), and the factor by
        which a correction inflates their standard errors (L,).
    Psi
        Covariance of the random effects, (q, q).
    sigma2
        Residual variances, (1,) or (gene,).
    gamma, sd
        Random effects and posterior standard deviations of the whole effect, (gene, q).
    z, p
        Test statistics and quasi-p-values, (gene, q).
    facts
        Further quantities estimated during the fit, for the record.
    prob_deg, fdr, lfsr, low, high
        Posterior probability that the gene is differentially expressed, Bayesian false-discovery
        rate, local false-sign rate and the 95 % interval of the whole effect, (gene, q); None where
        a method has none.
    """

    beta: Array
    beta_cov: Array
    beta_df: Array
    inflation: Array
    Psi: Array
    sigma2: Array
    gamma: Array
    sd: Array
    z: Array
    p: Array
    facts: dict[str, Any]
    prob_deg: Array | None = None
    fdr: Array | None = None
    lfsr: Array | None = None
    low: Array | None = None
    high: Array | None = None
