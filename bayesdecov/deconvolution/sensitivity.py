"""What a missing cell type would have done: every one left out of the reference in turn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesdecov.algebra.priors import Dirichlet
from bayesdecov.algebra.terms import Array
from bayesdecov.deconvolution.fit import maximum_a_posteriori
from bayesdecov.deconvolution.predictive import law_of
from bayesdecov.deconvolution.problem import LIKELIHOOD, Problem, likelihood_covariance
from bayesdecov.errors import InputError, Notes
from bayesdecov.foreign.extended import OTHER
from bayesdecov.io.genes import Alignment
from bayesdecov.reference.reference import Reference

if TYPE_CHECKING:
    from bayesdecov.deconvolution.result import Deconvolution


def leave_one_type_out(fit: Deconvolution) -> pd.DataFrame:
    """See `Deconvolution.leave_one_type_out`."""
    reference = fit.reference
    names = list(reference.cell_types)
    if len(names) < 3:
        raise InputError("fit", "needs three cell types or more to leave one out",
                         found=f"{len(names)}")  # fmt: skip
    whole = _refitted(fit, reference)
    rows = []
    for j, name in enumerate(names):
        if name == OTHER:
            continue
        others = np.delete(np.arange(len(names)), j)
        p, misfit = _refitted(fit, _without(reference, j))
        change = p - whole[0][:, others]
        share = whole[0][:, j]
        absorbed = share @ change / max(float(share @ share), 1e-12)
        ratio = float(np.median(misfit / whole[1]))
        rows += [
            {"left_out": name, "mean_share": share.mean(), "cell_type": names[k],
             "absorbed": absorbed[i], "largest_change": np.abs(change[:, i]).max(),
             "misfit_ratio": ratio}
            for i, k in enumerate(others)
        ]  # fmt: skip
    return pd.DataFrame(rows)


def _without(reference: Reference, j: int) -> Reference:
    """The reference without its cell type number ``j``."""
    gone = reference.cell_types[j]
    return replace(
        reference,
        mean=reference.mean.drop(columns=gone),
        covariance=reference.covariance.without_type(j),
        replicates=reference.replicates.drop(gone),
        counting=reference.counting.drop(gone),
        transcriptome=None, profiles=None, labels=None, donors=None,
    )  # fmt: skip


def _refitted(fit: Deconvolution, reference: Reference) -> tuple[Array, Array]:
    """Maxima of the likelihood with some of the cell types, and how badly they fit."""
    law = law_of(fit)
    covariance = likelihood_covariance(reference, fit.noise)
    phi = fit.diagnostics["counting_noise"].to_numpy(dtype=float)
    n, m = fit.bulk.shape[1], len(reference.genes)
    problem = Problem(
        y=np.empty(0), phi=phi, unit=np.ones(n), reference=reference, covariance=covariance,
        density=covariance.density(reference.mean.to_numpy(), counting=fit.noise == "counting"),
        prior=Dirichlet(1.0), logdet_weight=LIKELIHOOD, noise=fit.noise, free_size=law.free_size,
        df=law.df, samples=fit.bulk.columns, alignment=Alignment(m, m, m, "", ""), scale="",
        notes=Notes(),
    ).about(fit.bulk.to_numpy().T, phi)  # fmt: skip
    found = maximum_a_posteriori(problem)
    return found.p, found.quad
