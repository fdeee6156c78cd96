"""Result of every stage that estimates proportions, with their uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from bayesdecov import checks
from bayesdecov.algebra.priors import JEFFREYS, Prior
from bayesdecov.algebra.simplex import second_moments
from bayesdecov.algebra.terms import Array
from bayesdecov.io.anndata import new_anndata
from bayesdecov.results.posterior_draws import PosteriorDraws, no_posterior
from bayesdecov.results.result import Result


class Draws(NamedTuple):
    """Posterior draws of every sample, and the sampler's statistics of each of them.

    ``proportions`` (sample, chain, draw, cell_type); ``stats`` by the names of ArviZ's schema, each
    (sample, chain, draw); ``size_factor`` (sample, chain, draw) of a deconvolution.
    """

    proportions: Array
    stats: dict[str, Array]
    size_factor: Array | None = None

    @property
    def pooled(self) -> Array:
        """Proportions of all chains, (sample, draw, cell_type)."""
        n, chains, draws, n_types = self.proportions.shape
        return self.proportions.reshape(n, chains * draws, n_types)


@dataclass(frozen=True, kw_only=True)
class Proportions(Result):
    """Proportions of samples with their uncertainty, from any kind of data.

    Attributes
    ----------
    proportions
        Samples x cell types.
    diagnostics
        One row per sample.
    method
        Name of the method.
    quantity
        The quantity of which the proportions are fractions.
    settings
        The options used, with defaults resolved, and the seed.
    facts
        Results beside the estimates: seconds, scale, factors of a calibration.
    notes
        Findings and decisions of the analysis.
    covariance
        Covariance of the estimates, (sample, cell_type, cell_type); None where there is none.
    draws
        Posterior draws (`Draws`); None without a posterior.
    """

    proportions: pd.DataFrame
    diagnostics: pd.DataFrame
    method: str
    quantity: str
    settings: dict[str, Any]
    notes: tuple[str, ...]
    covariance: np.ndarray | None = None
    draws: Draws | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    prior_of_draws: ClassVar[Prior] = JEFFREYS  # of counts

    def tables(self, prob: float = 0.95) -> dict[str, pd.DataFrame]:
        """Proportions, their intervals and the diagnostics."""
        return {
            "proportions": self.proportions.rename_axis(index="sample"),
            "intervals": self.intervals(prob),
            "diagnostics": self.diagnostics.rename_axis(index="sample"),
        }

    def record(
        self,
        *,
        prob: float = 0.95,
        inputs: Mapping[str, Path] | None = None,
        arguments: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The content of ``run.json``, with the quantity and the probability of the intervals."""
        record = super().record(prob=prob, inputs=inputs, arguments=arguments)
        record["settings"] |= {"quantity": self.quantity, "interval_probability": prob}
        return record

    def posterior_draws(self) -> PosteriorDraws:
        """Draws and the prior they include, for analyses that use them as a likelihood.

        Raises
        ------
        InputError
            There are none.
        """
        if self.draws is None:
            raise no_posterior("fit", self.method)
        table = self.proportions
        return PosteriorDraws(
            self.draws.pooled, table.index, table.columns, self.prior_of_draws, None, self.quantity
        )

    def intervals(self, prob: float = 0.95) -> pd.DataFrame:
        """Intervals that contain the proportions with probability ``prob``.

        Equal-tailed quantiles of the draws where there are any (laplace, nuts, gating, baselines
        with a bootstrap; NaN where the Laplace approximation was refused). MAP: Wald intervals from
        the expected information, cut to [0, 1]. Baselines without a bootstrap: NaN, because they
        give no uncertainty.

        Returns
        -------
        pandas.DataFrame
            Tidy: sample, cell_type, mean, sd, low, high, shared (the part of the sd that all
            samples have in common; 0 where nothing is known to be shared, and differences between
            samples are free of it).
        """
        prob = checks.check_probability(prob, "prob")
        values = self.proportions.to_numpy()
        low = high = sd = np.full_like(values, np.nan)
        if self.draws is not None:
            tail = (1 - prob) / 2
            pooled = self.draws.pooled
            sd = pooled.std(axis=1, ddof=1)
            # one more draw falls between these ends with probability prob, even with few draws
            low, high = np.quantile(pooled, [tail, 1 - tail], axis=1, method="weibull")
        elif self.covariance is not None:
            sd = np.sqrt(np.maximum(np.einsum("njj->nj", self.covariance), 0.0))
            reach = ndtri(0.5 + prob / 2) * sd
            low, high = np.clip(values - reach, 0, 1), np.clip(values + reach, 0, 1)
        n, n_types = values.shape
        return pd.DataFrame(
            {
                "sample": np.repeat(self.proportions.index.to_numpy(), n_types),
                "cell_type": np.tile(self.proportions.columns.to_numpy(), n),
                "mean": values.ravel(),
                "sd": sd.ravel(),
                "low": low.ravel(),
                "high": high.ravel(),
                # for a type that is nearly absent it is less than its own linear response says
                "shared": np.minimum(
                    sd, np.sqrt(np.maximum(np.einsum("njj->nj", self.shared_covariance()), 0.0))
                ).ravel(),
            }
        )

    def shared_covariance(self) -> Array:
        """Covariance (sample, cell_type, cell_type) of the error that samples have in common."""
        moves = self.shared_moves()
        if moves is None:
            n, n_types = self.proportions.shape
            return np.zeros((n, n_types, n_types))
        return second_moments(moves)

    def shared_moves(self) -> Array | None:
        """Replicates of that error, (replicate, sample, cell_type); None where there is none."""
        return None

    def probability_above(self, threshold: float) -> pd.DataFrame:
        """Probability that each proportion is larger than ``threshold``, samples x cell types.

        The share of the draws where there are any; otherwise from the normal approximation (MAP).
        NaN where the uncertainty is unknown.
        """
        threshold = checks.check_probability(threshold, "threshold")
        values = self.proportions.to_numpy()
        found = np.full_like(values, np.nan)
        if self.draws is not None:
            pooled = self.draws.pooled
            known = np.isfinite(pooled).all(axis=(1, 2))
            found[known] = (pooled[known] > threshold).mean(axis=1)
        elif self.covariance is not None:
            sd = np.sqrt(np.maximum(np.einsum("njj->nj", self.covariance), 1e-300))
            found = ndtr((values - threshold) / sd)
        return pd.DataFrame(found, self.proportions.index, self.proportions.columns)

    def to_anndata(self, adata: Any = None) -> Any:
        """Proportions and standard deviations in ``obsm``, settings in ``uns``.

        Writes into ``adata`` (samples in obs; samples that were not fitted get NaN) or into a new
        AnnData.
        """
        if adata is None:
            adata = new_anndata(self.proportions.index)
        names = pd.Index(adata.obs_names.astype(str))
        spread = self.intervals().pivot(index="sample", columns="cell_type", values="sd")
        spread = spread.reindex(columns=self.proportions.columns)
        adata.obsm["proportions"] = self.proportions.reindex(names).set_axis(adata.obs_names)
        adata.obsm["proportions_sd"] = spread.reindex(names).set_axis(adata.obs_names)
        adata.uns["bayesdecov"] = {
            "quantity": self.quantity,
            "notes": list(self.notes),
            **self._about(),
        }
        return adata

    def _about(self) -> dict[str, Any]:
        """Settings that `to_anndata` stores."""
        return {"method": self.method}

    def __str__(self) -> str:
        n, n_types = self.proportions.shape
        lines = [f"Proportions: {n} samples x {n_types} cell types, method: {self.method}"]
        return "\n".join([*lines, *self._common_lines()])

    __repr__ = __str__

    def _common_lines(self) -> list[str]:
        """Mean proportions and notes, for printing."""
        mean = self.proportions.mean().sort_values(ascending=False)
        shown = ", ".join(f"{name} {value:.3f}" for name, value in mean.head(8).items())
        lines = [f"  mean proportions: {shown}{', ...' if len(mean) > 8 else ''}"]
        if self.draws is None and self.covariance is None:
            lines.append("  intervals: none (this method gives no uncertainty)")
        lines += [f"  note: {note}" for note in self.notes[:3]]
        if len(self.notes) > 3:
            lines.append(f"  ... and {len(self.notes) - 3} more notes (.notes)")
        return lines
