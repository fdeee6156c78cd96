"""What `deconvolve` returns: one container for every method."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import ndtri

from bayesdecov import checks
from bayesdecov.algebra.priors import Prior
from bayesdecov.algebra.terms import Array
from bayesdecov.reference.reference import Reference


class Draws(NamedTuple):
    """Posterior draws of every sample, and what the sampler says of each of them.

    ``proportions`` (sample, chain, draw, cell_type), ``size_factor`` (sample, chain, draw), and
    ``stats`` by the names of ArviZ's schema, each (sample, chain, draw).
    """

    proportions: Array
    size_factor: Array
    stats: dict[str, Array]

    @property
    def pooled(self) -> Array:
        """Proportions of all chains, (sample, draw, cell_type)."""
        n, chains, draws, n_types = self.proportions.shape
        return self.proportions.reshape(n, chains * draws, n_types)


class Law(NamedTuple):
    """The likelihood and prior that a fit used, as far as later questions need them."""

    prior: Prior
    paper: bool  # times |V|^-1/2, Eq. 8
    df: float | None
    free_size: bool
    unit: Array  # the size factor's scale, (sample,)
    per_cell: Array | None  # mRNA per cell, (cell_type,), where cell fractions are reported


class Normal(NamedTuple):
    """The normal approximation at the mode of the free coordinates."""

    mean: Array  # (sample, parameter)
    covariance: Array  # (sample, parameter, parameter)


@dataclass(frozen=True)
class Deconvolution:
    """Cell-type proportions of bulk samples, how sure they are, and how they were made.

    Attributes
    ----------
    proportions
        Samples x cell types, rows sum to 1: the maximum of the likelihood or posterior
        (``method="map"``), the posterior mean (``"laplace"``, ``"nuts"``), or a baseline's
        estimate.
    diagnostics
        One row per sample, see the columns' meaning in `deconvolve`.
    method, prior, noise
        What was done.
    quantity
        "mRNA fractions", "cell fractions", or "fractions of the reference's units".
    settings
        Every option after defaults were resolved, with versions and seed.
    notes
        What was found and decided: scale, missing genes, fallbacks, guesses.
    reference
        The reference on the genes that were used.
    draws
        Posterior draws (`Draws`); None without a posterior.
    law, normal
        Prior and likelihood; the normal approximation behind the draws. None where there is none.
    maxima
        Beside draws: proportions that maximise the posterior density ("map") and the likelihood
        ("mle"), samples x cell types.
    """

    proportions: pd.DataFrame
    diagnostics: pd.DataFrame
    method: str
    prior: str
    noise: str
    quantity: str
    settings: dict[str, Any]
    notes: tuple[str, ...]
    reference: Reference
    bulk: pd.DataFrame
    covariance: np.ndarray | None = None
    draws: Draws | None = None
    law: Law | None = None
    normal: Normal | None = None
    maxima: dict[str, pd.DataFrame] = field(default_factory=dict)

    def intervals(self, prob: float = 0.95) -> pd.DataFrame:
        """Intervals that hold the proportions with probability ``prob``.

        Laplace and NUTS: equal-tailed quantiles of the draws; NaN where the Laplace approximation
        was refused. MAP: Wald intervals from the expected information, cut to [0, 1]. Baselines:
        NaN, because they say nothing about uncertainty.

        Returns
        -------
        pandas.DataFrame
            Tidy: sample, cell_type, mean, sd, low, high.
        """
        prob = checks.probability(prob, "prob")
        values = self.proportions.to_numpy()
        low = high = sd = np.full_like(values, np.nan)
        if self.draws is not None:
            tail = (1 - prob) / 2
            pooled = self.draws.pooled
            sd = pooled.std(axis=1, ddof=1)
            low, high = np.quantile(pooled, [tail, 1 - tail], axis=1)
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
            }
        )

    def to_inference_data(self, *, log_likelihood: bool = False, seed: Any = 0) -> Any:
        """ArviZ container with dims ``(chain, draw, sample, cell_type)``, for every method alike.

        Groups: ``posterior`` (a point estimate is one draw), ``sample_stats``, ``prior``,
        ``prior_predictive`` and ``posterior_predictive`` (about a hundred draws of the bulks, fewer
        where these are large), ``observed_data``, ``constant_data``, and ``fit`` (estimates,
        diagnostics, and the normal approximation as ``mean_vector`` and ``covariance_matrix``).
        Baselines have no prior and predict nothing. Native to the ArviZ that is installed:
        ``InferenceData`` (0.23) or ``xarray.DataTree`` (1.x).

        Parameters
        ----------
        log_likelihood
            Add ``log_likelihood``: every gene's log-density given all other genes of its sample,
            (chain, draw, sample, gene), for ``arviz.loo``. Leaving out a whole sample would leave
            nothing that says anything about its proportions.
        seed
            For prior and predictive draws.
        """
        from bayesdecov.deconvolution.inference_data import to_inference_data

        return to_inference_data(self, log_likelihood=log_likelihood, seed=seed)

    def loo(self) -> pd.DataFrame:
        """Leave-one-gene-out predictive density of every sample, from closed-form conditionals.

        Returns
        -------
        pandas.DataFrame
            Per sample: elpd (expected log predictive density, sum over genes), se, p_loo (effective
            number of parameters), pareto_k (largest over genes; above .7 do not trust it).
        """
        from bayesdecov.deconvolution.predictive import leave_one_gene_out

        return leave_one_gene_out(self)

    def to_pymc(self, **options: Any) -> Any:
        """The same model as a ``pymc.Model``, to sample or to extend.

        Its ``proportions`` are those of the likelihood: fractions of mRNA also where the fit was
        turned into cell fractions. A free size factor gets a wide log-normal prior around the
        data's scale, where the fit has a flat one. Options go to `bayesdecov.models.convolution`.
        """
        from bayesdecov.deconvolution.inference_data import to_pymc

        return to_pymc(self, **options)

    def to_anndata(self, adata: Any = None) -> Any:
        """Proportions and standard deviations in ``obsm``, settings in ``uns``.

        Writes into ``adata`` (samples in obs; samples that were not fitted get NaN) or into a new
        AnnData.
        """
        try:
            import anndata
        except ImportError:
            raise ImportError(
                "to_anndata needs anndata: pip install 'bayesdecov[anndata]'"
            ) from None
        if adata is None:
            adata = anndata.AnnData(obs=pd.DataFrame(index=self.proportions.index.astype(str)))
        names = pd.Index(adata.obs_names.astype(str))
        spread = self.intervals().pivot(index="sample", columns="cell_type", values="sd")
        spread = spread.reindex(columns=self.proportions.columns)
        adata.obsm["proportions"] = self.proportions.reindex(names).set_axis(adata.obs_names)
        adata.obsm["proportions_sd"] = spread.reindex(names).set_axis(adata.obs_names)
        adata.uns["bayesdecov"] = {
            "method": self.method, "prior": self.prior, "noise": self.noise,
            "quantity": self.quantity, "notes": list(self.notes),
        }  # fmt: skip
        return adata

    def write(self, folder: str | Path, *, force: bool = False) -> None:
        """Write tables, posterior and ``run.json`` into a new folder, whole or not at all."""
        from bayesdecov.deconvolution.write import write_deconvolution

        write_deconvolution(self, Path(folder), force=force)

    def __str__(self) -> str:
        n, n_types = self.proportions.shape
        d = self.diagnostics
        lines = [
            f"Deconvolution: {n} samples x {n_types} cell types, {len(self.reference.genes)} genes",
            f"  method: {self.method}   prior: {self.prior}   noise: {self.noise}",
            f"  scale: {self.settings.get('scale', '')}   quantity: {self.quantity}",
        ]
        if "converged" in d:
            failed = d.index[~d["converged"]]
            said = "all converged" if not len(failed) else f"NOT converged: {checks.some(failed)}"
            if "iterations" in d:
                said += f", {int(d['iterations'].median())} iterations (median)"
            lines.append(f"  fit: {said}")
        if "modes" in d and (d["modes"] > 1).any():
            lines.append(f"  several modes: {checks.some(d.index[d['modes'] > 1])}")
        agreement = d["correlation"].dropna()
        if len(agreement):
            worst = agreement.idxmin()
            lines.append(f"  worst agreement with its fit: {worst}, r = {agreement[worst]:.3f}")
        mean = self.proportions.mean().sort_values(ascending=False)
        shown = ", ".join(f"{name} {value:.3f}" for name, value in mean.head(8).items())
        lines.append(f"  mean proportions: {shown}{', ...' if len(mean) > 8 else ''}")
        if self.draws is None and self.covariance is None:
            lines.append("  intervals: none (this method says nothing about uncertainty)")
        notes = [f"  note: {note}" for note in self.notes[:3]]
        if len(self.notes) > 3:
            notes.append(f"  ... and {len(self.notes) - 3} more notes (.notes)")
        return "\n".join([*lines, *notes])

    __repr__ = __str__
