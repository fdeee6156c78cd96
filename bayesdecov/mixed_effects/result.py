"""The result of `fastmix`: one container for every method."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.mixed_effects.anndata import to_anndata
from bayesdecov.mixed_effects.fitted import FittedEffects
from bayesdecov.mixed_effects.inference_data import to_inference_data
from bayesdecov.mixed_effects.joint import to_pymc as joint_to_pymc
from bayesdecov.mixed_effects.sampling import to_pymc
from bayesdecov.mixed_effects.scores import Scores, discriminant_scores

_FDR = 0.05  # of the summary
_NOTES = 8


class MixedEffects(FittedEffects):
    """Cell-type-specific effects of covariates: transcriptome-wide and gene by gene.

    The attributes and tables are those of `bayesdecov.mixed_effects.fitted.FittedEffects`:
    ``fixed``, ``genes``, ``effects``, ``covariance``, ``noise``, ``top(covariate)``, ``refined``,
    ``settings``, ``notes``.
    """

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

        The result's ``single`` (a score above its ``midpoint`` favours the second value),
        ``multi`` and ``multi_sparse`` and the options are described in
        `bayesdecov.mixed_effects.scores.discriminant_scores`.
        """
        return discriminant_scores(
            self,
            new_expression,
            new_proportions,
            new_covariates,
            response,
            level=level,
            sparse=sparse,
        )

    def to_inference_data(
        self, genes: Iterable[str] | None = None, seed: Any = 0, *, log_likelihood: bool = False
    ) -> Any:
        """ArviZ container with the same groups, names and dims for every method.

        Groups: ``posterior`` (``beta``, ``Psi``, ``psi_sd``, ``sigma``: NUTS draws, or the estimate
        as a single draw), ``sample_stats``, ``prior`` (NUTS), ``posterior_predictive`` (a few draws
        of all genes' least-squares coefficients), ``observed_data`` (those coefficients and
        residual sums of squares, the sufficient statistics), ``constant_data`` (the design) and
        ``fit`` (effects and tests of every gene). Dims: chain, draw, covariate, random_effect,
        gene, sample.

        Parameters
        ----------
        genes
            Genes (``method="nuts"``) for which to add draws of their ``effect``, exact given the
            parameters.
        seed
            Seed of these and of the predictive draws.
        log_likelihood
            Add ``log_likelihood``: every gene's log-density, for ``arviz.loo``.
        """
        return to_inference_data(self, genes, seed, log_likelihood=log_likelihood)

    def to_anndata(self, adata: Any = None) -> Any:
        """Effects, their standard deviations and q-values of all genes in ``varm``.

        Writes into ``adata`` (genes in var; genes that were not fitted get NaN) or into a new one:
        ``varm["effects"]``, ``varm["effects_sd"]`` and ``varm["effects_q"]`` (gene x design
        column), ``obsm["design"]``, and the fixed effects in ``uns["bayesdecov_effects"]``.
        """
        return to_anndata(self, adata)

    def to_pymc(self) -> Any:
        """The normal model of the same data as a ``pymc.Model``, to sample or to extend.

        After ``method="joint"`` its parameters include the true proportions, and genes are in units
        of their residual standard deviations.
        """
        if self.sharpened is not None:
            table = self.design.table
            if len(self.random) < table.shape[1]:
                raise InputError(
                    "random",
                    "must include all columns for the joint model in PyMC",
                    found=f"{len(self.random)} of {table.shape[1]}",
                    fix="fit without random=",
                )
            return joint_to_pymc(self.sharpened, list(table.columns), list(table.index))
        return to_pymc(self.least_squares, list(self.design.table.columns))

    def __str__(self) -> str:
        n, n_columns = self.design.table.shape
        q = self.q_values
        noise = self.noise
        said = (
            f"{noise:.4g}"
            if isinstance(noise, float)
            else f"{noise.median():.4g} (median, one per gene)"
        )
        worst = self.design.columns["vif"].idxmax()
        lines = [
            f"FastMix: {len(self.gene_names)} genes x {n} samples, {n_columns} design columns",
            f"  method: {self.method}   preset: {self.settings.get('preset') or 'none'}",
            f"  residual variance: {said}",
            f"  largest variance inflation: {self.design.columns['vif'].max():.3g} ({worst})",
        ]
        if self.refined is not None:
            s = self.facts
            lines.append(
                f"  proportions: sd {s['sd_measured']:.2g} as stated, {s['sd_refined']:.2g} "
                f"refined; errors {s['error_scale']:.2f} times those stated; "
                f"{s['hidden_factors']} hidden factors"
            )
        if "flagged" in self.facts:
            found = self.facts["flagged"]
            lines.append(
                f"  effects with differentially expressed genes: "
                f"{checks.some(found) if found else 'none found'}"
            )
        counts = (q < _FDR).sum()
        shown = ", ".join(f"{name} {count}" for name, count in counts[counts > 0].items())
        kind = "Bayesian FDR" if self.estimate.prob_deg is not None else "BH"
        lines.append(f"  genes with q < {_FDR:g} ({kind}): {shown or 'none'}")
        moved = self.fixed.index[self.fixed["q_value"] < _FDR]
        lines.append(
            f"  transcriptome-wide effects with q < {_FDR:g}: "
            f"{checks.some(moved, 8) if len(moved) else 'none'}"
        )
        notes = [f"  note: {note}" for note in self.notes[:_NOTES]]
        if len(self.notes) > _NOTES:
            notes.append(f"  ... and {len(self.notes) - _NOTES} more notes (.notes)")
        return "\n".join([*lines, *notes])

    __repr__ = __str__
