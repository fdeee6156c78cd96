"""What `fastmix` returns: one container for every method."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import false_discovery_control
from scipy.stats import t as student

from bayesdecov import checks
from bayesdecov.algebra.shared_design import LeastSquares
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError
from bayesdecov.mixed_effects.design import Design
from bayesdecov.mixed_effects.estimate import Estimate
from bayesdecov.mixed_effects.scores import Scores, discriminant_scores
from bayesdecov.results import Proportions

_FDR = 0.05  # of the summary
_NOTES = 8
_REACH = float(ndtri(0.975))


@dataclass(frozen=True)
class MixedEffects:
    """Cell-type-specific effects of covariates: on the whole transcriptome and gene by gene.

    Attributes
    ----------
    method
        "moments", "map", "mixture", "nuts" or "joint".
    design
        The design that all genes share: columns, variance inflation, standardisation.
    random
        Names of the design columns with random effects.
    settings
        Every option after defaults were resolved, and what was estimated on the way.
    notes
        What was found and decided: scale, samples left out, aliased columns, non-convergence.
    least_squares
        Gene-wise least squares, all that the estimators see of the expression.
    posterior
        Draws of the parameters (``method="nuts"``), or None.
    refined
        Proportions as sharpened by the expression of all genes (``method="joint"``), with their
        intervals, or None. ``design`` and ``least_squares`` are then made from them.
    sharpened
        What they were made from, for `to_pymc`.
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
            {"estimate": e.beta, "std_error": error, "t": t, "df": e.beta_df, "p_value": p,
             "q_value": false_discovery_control(p)},
            index=pd.Index(self.design.table.columns, name="covariate"),
        )  # fmt: skip

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

        ``method="mixture"``: Bayesian, the mean posterior probability of no shift among the genes
        at least as probable, at the 80 % upper bound over the parameters' uncertainty; genes that
        are more likely not shifted have at least the probability of that. Otherwise
        Benjamini-Hochberg.
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
        checks.choice(covariate, self.random, "covariate")
        table = self.genes[self.genes["covariate"] == covariate].set_index("gene")
        table = table.drop(columns="covariate").sort_values("p_value")
        return table.head(checks.whole(count, "count"))

    def scores(
        self,
        new_expression: pd.DataFrame,
        new_proportions: pd.DataFrame,
        new_covariates: pd.DataFrame | None,
        response: str,
        *,
        level: float = 0.05,
        sparse: str = "interactions",
    ) -> Scores:
        """Discriminant scores of new samples whose binary ``response`` is unknown.

        The result's ``single`` (a score above its ``midpoint`` speaks for the second value),
        ``multi`` and ``multi_sparse`` and the options are described in
        `bayesdecov.mixed_effects.scores.discriminant_scores`.
        """
        return discriminant_scores(
            self, new_expression, new_proportions, new_covariates, response, level=level,
            sparse=sparse,
        )  # fmt: skip

    def to_inference_data(
        self, genes: Iterable[str] | None = None, seed: Any = 0, *, log_likelihood: bool = False
    ) -> Any:
        """ArviZ container with the same groups, names and dims for every method.

        Groups: ``posterior`` (``beta``, ``Psi``, ``psi_sd``, ``sigma``: NUTS draws, or the estimate
        as one), ``sample_stats``, ``prior`` (NUTS), ``posterior_predictive`` (a few draws of all
        genes' least-squares coefficients), ``observed_data`` (those coefficients and residual sums
        of squares: all that the model sees of the expression), ``constant_data`` (the design) and
        ``fit`` (effects and tests of every gene). Dims: chain, draw, covariate, random_effect,
        gene, sample.

        Parameters
        ----------
        genes
            Names (``method="nuts"``): add draws of their ``effect``, exact given the parameters.
        seed
            For these and for the predictive draws.
        log_likelihood
            Add ``log_likelihood``: every gene's log-density, for ``arviz.loo``.
        """
        from bayesdecov.mixed_effects.inference_data import to_inference_data

        return to_inference_data(self, genes, seed, log_likelihood=log_likelihood)

    def to_anndata(self, adata: Any = None) -> Any:
        """Effects, their standard deviations and q-values of all genes in ``varm``.

        Writes into ``adata`` (genes in var; those that were not fitted get NaN) or into a new one:
        ``varm["effects"]``, ``varm["effects_sd"]`` and ``varm["effects_q"]`` (gene x design
        column), ``obsm["design"]``, and the fixed effects in ``uns["bayesdecov_effects"]``.
        """
        from bayesdecov.mixed_effects.anndata import to_anndata

        return to_anndata(self, adata)

    def to_pymc(self) -> Any:
        """The normal model of the same data as a ``pymc.Model``, to sample or to extend.

        After ``method="joint"`` true proportions are among its parameters, and genes are in units
        of their residual standard deviations.
        """
        if self.sharpened is not None:
            from bayesdecov.mixed_effects.joint import to_pymc as of_joint

            table = self.design.table
            if len(self.random) < table.shape[1]:
                raise InputError("random", "must hold all columns for the joint model in PyMC",
                                 found=f"{len(self.random)} of {table.shape[1]}",
                                 fix="fit without random=")  # fmt: skip
            return of_joint(self.sharpened, list(table.columns), list(table.index))
        from bayesdecov.mixed_effects.sampling import to_pymc

        return to_pymc(self.least_squares, list(self.design.table.columns))

    def write(self, folder: str | Path, *, force: bool = False) -> None:
        """Write tables, posterior and ``run.json`` into a new folder, whole or not at all."""
        from bayesdecov.mixed_effects.write import write_mixed_effects

        write_mixed_effects(self, Path(folder), force=force)

    def _wide(self, values: Array) -> pd.DataFrame:
        return pd.DataFrame(values, self.gene_names, self.random)

    def __str__(self) -> str:
        n, n_columns = self.design.table.shape
        q = self.q_values
        noise = self.noise
        said = (
            f"{noise:.4g}" if isinstance(noise, float)
            else f"{noise.median():.4g} (median, own for each gene)"
        )  # fmt: skip
        worst = self.design.columns["vif"].idxmax()
        lines = [
            f"FastMix: {len(self.gene_names)} genes x {n} samples, {n_columns} design columns",
            f"  method: {self.method}   preset: {self.settings.get('preset') or 'none'}",
            f"  residual variance: {said}",
            f"  largest variance inflation: {self.design.columns['vif'].max():.3g} ({worst})",
        ]
        if self.refined is not None:
            s = self.settings
            lines.append(
                f"  proportions: sd {s['sd_measured']:.2g} as stated, {s['sd_refined']:.2g} "
                f"refined; errors {s['error_scale']:.2f} times those stated; "
                f"{s['hidden_factors']} hidden factors"
            )
        if "flagged" in self.settings:
            found = self.settings["flagged"]
            lines.append(f"  effects with differentially expressed genes: "
                         f"{checks.some(found) if found else 'none found'}")  # fmt: skip
        counts = (q < _FDR).sum()
        shown = ", ".join(f"{name} {count}" for name, count in counts[counts > 0].items())
        kind = "Bayesian FDR" if self.estimate.prob_deg is not None else "BH"
        lines.append(f"  genes with q < {_FDR:g} ({kind}): {shown or 'none'}")
        moved = self.fixed.index[self.fixed["q_value"] < _FDR]
        lines.append(f"  effects on the whole transcriptome, q < {_FDR:g}: "
                     f"{checks.some(moved, 8) if len(moved) else 'none'}")  # fmt: skip
        notes = [f"  note: {note}" for note in self.notes[:_NOTES]]
        if len(self.notes) > _NOTES:
            notes.append(f"  ... and {len(self.notes) - _NOTES} more notes (.notes)")
        return "\n".join([*lines, *notes])

    __repr__ = __str__
