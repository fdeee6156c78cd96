"""What `deconvolve` returns: one container for every method."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bayesdecov import checks
from bayesdecov.algebra.priors import Prior
from bayesdecov.algebra.terms import Array
from bayesdecov.reference.reference import Reference
from bayesdecov.results import Proportions


class Law(NamedTuple):
    """The likelihood and prior that a fit used, as far as later questions need them."""

    prior: Prior
    paper: bool  # times |V|^-1/2, Eq. 8
    df: float | None
    free_size: bool
    unit: Array  # the size factor's scale, (sample,)
    per_cell: Array | None  # mRNA per cell, (cell_type,), where cell fractions are reported
    power: float = 1.0  # that the likelihood is raised to


class Normal(NamedTuple):
    """The normal approximation at the mode of the free coordinates."""

    mean: Array  # (sample, parameter)
    covariance: Array  # (sample, parameter, parameter)


@dataclass(frozen=True, kw_only=True)
class Deconvolution(Proportions):
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
    moved
        Where there are `other` cells: by how much their log-odds were moved in the draws for the
        uncertainty of their profile, (replicate, sample); draws take the replicates in turn.
    """

    prior: str
    noise: str
    reference: Reference
    bulk: pd.DataFrame
    law: Law | None = None
    normal: Normal | None = None
    maxima: dict[str, pd.DataFrame] = field(default_factory=dict)
    moved: Array | None = None

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

    def leave_one_type_out(self) -> pd.DataFrame:
        """What would have happened had the reference lacked a cell type, for each of them.

        The likelihood is maximised again without the cell type. Where its share goes and whether
        the fit becomes visibly worse says what a cell type that is really missing would do.

        Returns
        -------
        pandas.DataFrame
            Tidy: left_out, mean_share (of the type left out), cell_type, absorbed (fraction of the
            missing share that this cell type takes over; they add up to 1), largest_change (of its
            proportion in any sample), misfit_ratio (median over samples of the misfit without over
            with the type: near 1 means that nobody would notice). Fractions of mRNA.
        """
        from bayesdecov.deconvolution.sensitivity import leave_one_type_out

        return leave_one_type_out(self)

    def to_pymc(self, **options: Any) -> Any:
        """The same model as a ``pymc.Model``, to sample or to extend.

        Its ``proportions`` are those of the likelihood: fractions of mRNA also where the fit was
        turned into cell fractions. A free size factor gets a wide log-normal prior around the
        data's scale, where the fit has a flat one. Options go to `bayesdecov.models.convolution`.
        """
        from bayesdecov.deconvolution.inference_data import to_pymc

        return to_pymc(self, **options)

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
        return "\n".join([*lines, *self._common_lines()])

    def _about(self) -> dict[str, Any]:
        return {"method": self.method, "prior": self.prior, "noise": self.noise}

    __repr__ = __str__
