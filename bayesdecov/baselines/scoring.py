"""Scores of gene sets for tables with names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.baselines.registry import SCORES
from bayesdecov.errors import Notes
from bayesdecov.io.gene_sets import gene_sets, known_genes
from bayesdecov.io.tables import expression_frame


def score(expression: Any, sets: Any, method: str = "ssgsea") -> pd.DataFrame:
    """Score gene sets (markers of cell types, say) in every sample.

    Scores are not proportions: they compare samples for one set, not sets with each other.

    Parameters
    ----------
    expression
        Genes x samples, linear scale: a DataFrame, an AnnData or the path of a table.
    sets
        Mapping of names to genes, or the path of a GMT file.
    method
        "ssgsea" or "mcpcounter" (mean log2 expression of markers).

    Returns
    -------
    pandas.DataFrame
        Samples x sets. Sets without a measured gene are left out, with a warning.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesdecov.baselines import score
    >>> table = pd.DataFrame({"s1": [3.0, 0.0], "s2": [0.0, 7.0]}, index=["CD3E", "CD19"])
    >>> score(table, {"T cells": ["CD3E"], "B cells": ["CD19"]}, "mcpcounter")["T cells"].tolist()
    [2.0, 0.0]
    """
    checks.check_choice(method, tuple(SCORES), "method")
    table = checks.check_expression(expression_frame(expression, "expression"), "expression")
    kept, lost = known_genes(gene_sets(sets, "sets"), table.index, "sets")
    if lost:
        Notes().warn(
            f"{len(lost)} gene sets have no gene in the expression and are left out: "
            f"{checks.some(lost)}"
        )
    position = {gene: i for i, gene in enumerate(table.index)}
    members = np.zeros((len(kept), len(table)), dtype=bool)
    for i, genes in enumerate(kept.values()):
        members[i, [position[gene] for gene in genes]] = True
    values = SCORES[method].score(table.to_numpy().T, members)
    return pd.DataFrame(values, table.columns.rename("sample"), list(kept))
