"""Effects of a mixed model as an AnnData, with genes as variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.io.anndata import is_anndata, new_anndata
from bayesdecov.mixed_effects.fitted import FittedEffects


def to_anndata(fit: FittedEffects, adata: Any = None) -> Any:
    """Implementation of `MixedEffects.to_anndata`."""
    table = fit.design.table
    if adata is None:
        adata = new_anndata(table.index, fit.gene_names)
    if not is_anndata(adata):
        raise InputError("adata", "must be an AnnData", found=type(adata).__name__)
    genes, samples = (
        _matched(*names)
        for names in (
            (fit.gene_names, adata.var_names, "genes"),
            (table.index, adata.obs_names, "samples"),
        )
    )
    sd = pd.DataFrame(fit.estimate.sd, fit.gene_names, fit.random)
    for name, values in (("effects", fit.effects), ("effects_sd", sd), ("effects_q", fit.q_values)):
        adata.varm[name] = genes(values)
    adata.obsm["design"] = samples(table)
    adata.uns["bayesdecov_effects"] = {
        "method": fit.method,
        "notes": list(fit.notes),
        "fixed": fit.fixed.reset_index(),
    }
    return adata


def _matched(ours: pd.Index, theirs: pd.Index, what: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A function that reorders the rows of a table to ``theirs``; rows it lacks become NaN."""
    known, wanted = (pd.Index([str(name).strip() for name in names]) for names in (ours, theirs))
    if not wanted.isin(known).any():
        raise InputError(
            "adata",
            f"must contain some of the fitted {what}",
            found=f"{checks.some(wanted)}, but none of {checks.some(known)}",
        )
    return lambda table: table.set_axis(known).reindex(wanted).set_axis(theirs)
