"""Gene-wise least squares with products of proportions and covariates."""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student

from bayesdecov.algebra.shared_design import least_squares
from bayesdecov.rivals.rival import Effects, Rival, RivalData


def interaction(data: RivalData, rng: np.random.Generator, permutations: int) -> Effects:
    """Gene by gene: ordinary least squares and t tests with ``n - L`` degrees of freedom.

    The model of TOAST and CellDMC, which differ in the coding of proportions and covariates.
    """
    ls = least_squares(data.X, data.Y)
    sd = np.sqrt(np.outer(ls.rss / ls.df, np.diag(ls.V)))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * student.sf(np.abs(ls.b / sd), ls.df)
    return Effects(ls.b, sd, p)


RIVAL = Rival(
    name="interaction",
    title="Gene-wise least squares with interactions (TOAST, Li et al. 2019; CellDMC, Zheng et al. "
    "2018)",
    doi="10.1093/bioinformatics/btz196",
    needs_groups=False,
    estimate=interaction,
)
