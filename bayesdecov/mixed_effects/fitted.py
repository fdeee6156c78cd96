"""A fitted mixed model: the estimates and the tables derived from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import false_discovery_control
from scipy.stats import t as student

from bayesdecov import checks
from bayesdecov.algebra.shared_design import LeastSquares
from bayesdecov.algebra.terms import Array
from bayesdecov.mixed_effects.design import Design
from bayesdecov.mixed_effects.estimate import Estimate
from bayesdecov.results.proportions import Proportions
from bayesdecov.results.result import Result

_REACH = float(ndtri(0.975))


@dataclass(frozen=True)
class FittedEffects(Result):
    """Cell-type-specific effects of covariates: transcriptome-wide and gene by gene.

    Attributes
    ----------
    method
        "moments", "map", "mixture", "nuts" or "joint".
    design
        The design shared by all genes: columns, variance inflation, standardisation.
    random
        Names of the design columns with random effects.
    settings
        The requested options, with defaults filled in.
    facts
        Estimates made during the fit, convergence diagnostics, run time in seconds.
    notes
        Messages about the data and the fit: scale, samples left out, aliased columns,
        non-convergence.
    least_squares
        Gene-wise least squares, the only form in which the estimators use the expression.
    posterior
        Draws of the parameters (``method="nuts"``), or None.
    refined
        Proportions refined with the expression of all genes (``method="joint"``), with their
        intervals, or None. ``design`` and ``least_squares`` are then based on them.
    sharpened
        The data they were computed from, for `to_pymc`.
    """

    method: str
    design: Design
    gene_names: pd.Index
    random: list[str]
    estimate: Estimate
    settings: dict[str, Any]
    notes: tuple[str, ...]
    least_squares: LeastSquares = field(repr=False)
    posterior: Any = field(default=None, repr=False)
    refined: Proportions | None = field(default=None, repr=False)
    sharpened: Any = field(default=None, repr=False)
    facts: dict[str, Any] = field(default_factory=dict)

    command = "fastmix"

    def tables(self, prob: float = 0.95) -> dict[str, pd.DataFrame]:
        """``fixed``, ``genes``, ``covariance`` and ``design``.

        After ``method="joint"`` also the refined ``proportions`` and their ``intervals``.
        """
        found = {
            "fixed": self.fixed.rename_axis(index="covariate"),
            "genes": self.genes,
            "covariance": self.covariance.rename_axis(index="covariate"),
            "design": self.design.columns.rename_axis(index="column"),
        }
        if self.refined is not None:
            found["proportions"] = self.refined.proportions.rename_axis(index="sample")
            found["intervals"] = self.refined.intervals(prob)
        return found

    def record(self, **about: Any) -> dict[str, Any]:
        """Content of ``run.json``, with the standardisation and the residual variance."""
        record = super().record(**about)
        noise = self.noise
        record["settings"] |= {
            "standardisation": self.design.coding.scaling.to_dict("index"),
            "residual_variance": noise if isinstance(noise, float) else float(noise.median()),
        }
        return record

    @cached_property
    def fixed(self) -> pd.DataFrame:
        """Effects on the whole transcriptome.

        Indexed by covariate (design column): estimate, std_error, t, df, p_value, q_value
        (Benjamini-Hochberg).
        """
        e = self.estimate
        error = np.sqrt(np.diag(e.beta_cov)) * e.inflation
        t = e.beta / error
        p = 2 * student.sf(np.abs(t), e.beta_df)
        return pd.DataFrame(
            {
                "estimate": e.beta,
                "std_error": error,
                "t": t,
                "df": e.beta_df,
                "p_value": p,
                "q_value": false_discovery_control(p),
            },
            index=pd.Index(self.design.table.columns, name="covariate"),
        )

    @property
    def covariance(self) -> pd.DataFrame:
        """Covariance of the random effects (Psi)."""
        return pd.DataFrame(self.estimate.Psi, self.random, self.random)

    @property
    def noise(self) -> float | pd.Series:
        """Residual variance: one number, or one per gene (``variance="gene"``)."""
        values = self.estimate.sigma2
        if len(values) == 1:
            return float(values[0])
        return pd.Series(values, self.gene_names, name="residual_variance")

    @property
    def effects(self) -> pd.DataFrame:
        """Fixed plus random effect of every design column, genes x columns."""
        values = np.tile(self.estimate.beta, (len(self.gene_names), 1))
        values[:, self.least_squares.random] += self.estimate.gamma
        return pd.DataFrame(values, self.gene_names, list(self.design.table.columns))

    @property
    def random_effects(self) -> pd.DataFrame:
        """Gene-specific deviations from the fixed effects, genes x random effects."""
        return self._wide(self.estimate.gamma)

    @property
    def p_values(self) -> pd.DataFrame:
        """Quasi-p-values of the random effects, genes x random effects."""
        return self._wide(self.estimate.p)

    @cached_property
    def q_values(self) -> pd.DataFrame:
        """False-discovery rates within each random effect, genes x random effects.

        ``method="mixture"``: the Bayesian rate, that is the mean posterior probability of no shift
        among all genes at least as probably shifted, as an 80 % upper bound over the uncertainty of
        the parameters. For a gene with ``prob_deg`` below 0.5 it is at least ``1 - prob_deg``.
        Otherwise Benjamini-Hochberg.
        """
        e = self.estimate
        return self._wide(false_discovery_control(e.p, axis=0) if e.fdr is None else e.fdr)

    @property
    def fitted(self) -> pd.DataFrame:
        """Fitted expression, genes x samples, on the scale of the data."""
        values = self.effects.to_numpy() @ self.design.table.to_numpy().T
        return pd.DataFrame(values, self.gene_names, self.design.table.index)

    @cached_property
    def genes(self) -> pd.DataFrame:
        """One row per gene and random effect.

        Columns: gene, covariate (design column), effect (fixed + random), random_effect, sd
        (posterior standard deviation of the effect), p_value (quasi-p-value of the random effect),
        q_value, low and high (95 % posterior interval of the effect); with ``method="mixture"``
        also prob_deg (posterior probability of being differentially expressed, that is shifted
        away from the bulk of the genes) and lfsr (local false-sign rate of the effect).
        """
        e = self.estimate
        m, q = e.gamma.shape
        effect = e.beta[self.least_squares.random] + e.gamma
        low, high = e.low, e.high
        if low is None or high is None:
            reach = _REACH * e.sd
            low, high = effect - reach, effect + reach
        columns: dict[str, Any] = {
            "gene": np.repeat(self.gene_names.to_numpy(), q),
            "covariate": np.tile(np.asarray(self.random, dtype=object), m),
            "effect": effect.ravel(),
            "random_effect": e.gamma.ravel(),
            "sd": e.sd.ravel(),
            "p_value": e.p.ravel(),
            "q_value": self.q_values.to_numpy().ravel(),
            "low": low.ravel(),
            "high": high.ravel(),
        }
        if e.prob_deg is not None and e.lfsr is not None:
            columns |= {"prob_deg": e.prob_deg.ravel(), "lfsr": e.lfsr.ravel()}
        return pd.DataFrame(columns)

    def top(self, covariate: str, count: int = 20) -> pd.DataFrame:
        """The genes with the smallest quasi-p-values for one design column."""
        checks.check_choice(covariate, self.random, "covariate")
        table = self.genes[self.genes["covariate"] == covariate].set_index("gene")
        table = table.drop(columns="covariate").sort_values("p_value")
        return table.head(checks.check_whole(count, "count"))

    def _wide(self, values: Array) -> pd.DataFrame:
        return pd.DataFrame(values, self.gene_names, self.random)
