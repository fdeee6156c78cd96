"""What `deconvolve` returns."""

from __future__ import annotations

from typing import Any

import pandas as pd

from bayesdecov import checks
from bayesdecov.deconvolution.fitted import FittedProportions
from bayesdecov.deconvolution.inference_data import to_inference_data, to_pymc
from bayesdecov.deconvolution.predictive import leave_one_gene_out
from bayesdecov.deconvolution.sensitivity import leave_one_type_out


class Deconvolution(FittedProportions):
    """Cell-type proportions of bulk samples, their uncertainty, and how they were estimated.

    The attributes are those of `bayesdecov.deconvolution.fitted.FittedProportions`:
    ``proportions``, ``diagnostics``, ``method``, ``prior``, ``noise``, ``quantity``, ``settings``,
    ``notes``, ``reference``, ``draws``.
    """

    def to_inference_data(
        self, *, log_likelihood: bool = False, seed: Any = 0, samples: int | None = None
    ) -> Any:
        """ArviZ container with dims ``(chain, draw, sample, cell_type)`` for every method.

        Groups: ``posterior`` (a point estimate is one draw), ``sample_stats``, ``prior``,
        ``prior_predictive`` and ``posterior_predictive`` (about a hundred draws of the bulks, fewer
        where these are large), ``observed_data``, ``constant_data``, and ``fit`` (estimates,
        diagnostics, and the normal approximation as ``mean_vector`` and ``covariance_matrix``).
        Baselines have no prior and predict nothing. The type follows the installed ArviZ:
        ``InferenceData`` (0.23) or ``xarray.DataTree`` (1.x).

        Parameters
        ----------
        log_likelihood
            Add ``log_likelihood``: every gene's log-density given all other genes of its sample,
            (chain, draw, sample, gene), for ``arviz.loo``. Without a whole sample no data would
            inform its proportions.
        seed
            For prior and predictive draws.
        samples
            Size of the whole cohort where the fit is a part of it: determines how many predictive
            draws are kept.
        """
        return to_inference_data(self, log_likelihood=log_likelihood, seed=seed, samples=samples)

    def loo(self) -> pd.DataFrame:
        """Leave-one-gene-out predictive density of every sample, from closed-form conditionals.

        Returns
        -------
        pandas.DataFrame
            Per sample: elpd (expected log predictive density, sum over genes), se, p_loo (effective
            number of parameters), pareto_k (largest over genes; unreliable above .7).
        """
        return leave_one_gene_out(self)

    def leave_one_type_out(self) -> pd.DataFrame:
        """Effect on the estimates if the reference lacked a cell type, for each in turn.

        The likelihood is maximised again without the cell type. Which types absorb its
        share, and how much worse the fit becomes, shows the effect of a cell type that is missing.

        Returns
        -------
        pandas.DataFrame
            Tidy: left_out, mean_share (of the type left out), cell_type, absorbed (fraction of the
            missing share that this cell type absorbs; they add up to 1), largest_change (of its
            proportion in any sample), misfit_ratio (median over samples of the misfit without the
            type over that with it; near 1, its absence would go unnoticed). Fractions of mRNA.
        """
        return leave_one_type_out(self)

    def to_pymc(self, **options: Any) -> Any:
        """The same model as a ``pymc.Model``, to sample or to extend.

        Its ``proportions`` are those of the likelihood: fractions of mRNA also where the fit was
        turned into cell fractions. A free size factor gets a wide log-normal prior around the
        data's scale, where the fit has a flat one. Options go to `bayesdecov.models.convolution`.

        Where a platform was learned it is `bayesdecov.models.platform`: the joint model of factors,
        noise and proportions, in which samples speak on the level of the cell types. The fit is a
        cut model, in which they do not, because what they say holds for exact profiles only.
        """
        return to_pymc(self, **options)

    def __str__(self) -> str:
        n, n_types = self.proportions.shape
        d = self.diagnostics
        lines = [
            f"Deconvolution: {n} samples x {n_types} cell types, {len(self.reference.genes)} genes",
            f"  method: {self.method}   prior: {self.prior}   noise: {self.noise}",
            f"  scale: {self.facts.get('scale', '')}   quantity: {self.quantity}",
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
