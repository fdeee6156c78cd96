"""Effect of a missing cell type: each one left out of the reference in turn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from bayesdecov.algebra.priors import FLAT
from bayesdecov.algebra.terms import Array
from bayesdecov.deconvolution.elsewhere import held
from bayesdecov.deconvolution.fit import maximum_a_posteriori
from bayesdecov.deconvolution.fitted import FittedProportions
from bayesdecov.deconvolution.model import model_of, model_of_platform
from bayesdecov.deconvolution.predictive import phi_of
from bayesdecov.errors import InputError
from bayesdecov.platform.positive import Profiles
from bayesdecov.reference.reference import Reference
from bayesdecov.unknown_content.extended import OTHER


def leave_one_type_out(fit: FittedProportions) -> pd.DataFrame:
    """See `Deconvolution.leave_one_type_out`."""
    reference = fit.reference
    names = list(reference.cell_types)
    if len(names) < 3:
        raise InputError(
            "fit", "needs at least three cell types to leave one out", found=f"{len(names)}"
        )
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
            {
                "left_out": name,
                "mean_share": share.mean(),
                "cell_type": names[k],
                "absorbed": absorbed[i],
                "largest_change": np.abs(change[:, i]).max(),
                "misfit_ratio": ratio,
            }
            for i, k in enumerate(others)
        ]
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
        transcriptome=None,
        profiles=None,
        labels=None,
        donors=None,
    )


def _refitted(fit: FittedProportions, reference: Reference) -> tuple[Array, Array]:
    """Maxima of the likelihood with some of the cell types, and their misfit."""
    known = fit.require_model()
    y, phi = fit.bulk.to_numpy().T, phi_of(fit)
    if known.platform is None:
        model = model_of(reference, fit.noise, free_size=known.free_size, df=known.df)
        data = model.data(y, phi)
    else:  # with what was learned of the genes; levels without the type are another question
        columns = np.append(fit.reference.cell_types.isin(reference.cell_types), True)
        profiles = Profiles(known.platform.profiles.matrix[:, columns], columns.sum() - 1)
        platform = known.platform._replace(profiles=profiles)
        model = model_of_platform(
            reference, fit.noise, platform, prior=FLAT, free_size=known.free_size
        )
        data = held(model, model.data(y, phi), reference, shared=False)
    found = maximum_a_posteriori(model, data)
    return found.p, found.quad
