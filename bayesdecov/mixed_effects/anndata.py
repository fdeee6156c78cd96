"""Effects of a mixed model in an AnnData: genes are variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from bayesdecov.mixed_effects.result import MixedEffects


def to_anndata(fit: MixedEffects, adata: Any = None) -> Any:
    """What `MixedEffects.to_anndata` does."""
    try:
        import anndata
    except ImportError:
        raise ImportError("to_anndata needs anndata: pip install 'bayesdecov[anndata]'") from None
    table = fit.design.table
    if adata is None:
        adata = anndata.AnnData(obs=pd.DataFrame(index=table.index.astype(str)),
                                var=pd.DataFrame(index=fit.gene_names.astype(str)))  # fmt: skip
    names = pd.Index(adata.var_names.astype(str).str.strip())
    sd = pd.DataFrame(fit.estimate.sd, fit.gene_names, fit.random)
    for name, genes in (("effects", fit.effects), ("effects_sd", sd), ("effects_q", fit.q_values)):
        adata.varm[name] = genes.set_axis(fit.gene_names.astype(str)).reindex(names).set_axis(
            adata.var_names)  # fmt: skip
    samples = pd.Index(adata.obs_names.astype(str))
    adata.obsm["design"] = table.set_axis(table.index.astype(str)).reindex(samples).set_axis(
        adata.obs_names)  # fmt: skip
    adata.uns["bayesdecov_effects"] = {
        "method": fit.method, "notes": list(fit.notes), "fixed": fit.fixed.reset_index(),
    }  # fmt: skip
    return adata
