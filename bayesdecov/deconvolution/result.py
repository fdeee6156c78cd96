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
    """Cell-type proportions of bulk samples, how sure they are, and how they were made.

    The attributes are those of `bayesdecov.deconvolution.fitted.FittedProportions`:
    ``proportions``, ``diagnostics``, ``method``, ``prior``, ``noise``, ``quantity``, ``settings``,
    ``notes``, ``reference``, ``draws``.
    """

    def to_inference_data(
        self, *, log_likelihood: bool = False, seed: Any = 0, samples: int | None = None
    ) -> Any:
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
        samples
            Of the whole cohort where the fit is a part of it: it decides how many predictive draws
            are kept.
        """
        return to_inference_data(self, log_likelihood=log_likelihood, seed=seed, samples=samples)

    def loo(self) -> pd.DataFrame:
        """Leave-one-gene-out predictive density of every sample, from closed-form conditionals.

        Returns
        -------
        pandas.DataFrame
            Per sample: elpd (expected log predictive density, sum over genes), se, p_loo (effective
            number of parameters), pareto_k (largest over genes; above .7 do not trust it).
        """
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
            with the type: near 1: it would go unnoticed). Fractions of mRNA.
        """
        return leave_one_type_out(self)

    def to_pymc(self, **options: Any) -> Any:
        """The same model as a ``pymc.Model``, to sample or to extend.

        Its ``proportions`` are those of the likelihood: fractions of mRNA also where the fit was
        turned into cell fractions. A free size factor gets a wide log-normal prior around the
        data's scale, where the fit has a flat one. Options go to `bayesdecov.models.convolution`.
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
