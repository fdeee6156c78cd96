"""Rivals applied to labelled tables, with the same design as `fastmix`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.io.tables import expression_frame
from bayesdecov.mixed_effects.fastmix import fastmix
from bayesdecov.rivals.registry import RIVALS
from bayesdecov.rivals.rival import RivalData


def differential(
    expression: Any,
    proportions: Any,
    covariates: Any,
    method: str = "interaction",
    *,
    permutations: int = 200,
    seed: Any = None,
    **design: Any,
) -> pd.DataFrame:
    """Cell-type-specific differential expression by another method, to compare with `fastmix`.

    Parameters
    ----------
    expression, proportions, covariates
        As in `fastmix`.
    method
        "interaction": gene-wise least squares (the model of TOAST and CellDMC). "ridge": gene-wise
        ridge regression. "cssam": two groups, permutation p-values and false-discovery rates.
    permutations, seed
        Options of "cssam".
    **design
        Options of `fastmix` about the design: ``formula``, ``rest``, ``include_covariates``,
        ``reference_cell_type``, ``standardise``.

    Returns
    -------
    pandas.DataFrame
        Tidy as ``MixedEffects.genes``: gene, covariate, effect, sd, p_value, q_value. "cssam" has
        only the products of cell types with the group, as differences between the groups.

    Raises
    ------
    InputError
        Input that `fastmix` refuses, or covariates other than two groups ("cssam").

    Examples
    --------
    >>> import bayesdecov as bd
    >>> from bayesdecov.rivals import differential
    >>> cohort = bd.simulate.fastmix("III", n_genes=200, n_samples=40, seed=1)
    >>> table = differential(cohort.expression, cohort.proportions, cohort.covariates)
    >>> list(table.columns)
    ['gene', 'covariate', 'effect', 'sd', 'p_value', 'q_value']
    """
    rival = RIVALS[checks.check_choice(method, tuple(RIVALS), "method")]
    permutations = checks.check_whole(permutations, "permutations")
    rng = checks.make_generator(seed)
    frame = expression_frame(expression, "expression")
    # the checks, the alignment and the design of fastmix; its estimate takes negligible time
    fit = fastmix(frame, proportions, covariates, "map", **design)
    kinds = fit.design.columns
    X = fit.design.table
    Y = checks.check_numeric(frame, "expression").loc[fit.effects.index, list(X.index)]
    cells = [str(name) for name in kinds.index[kinds["kind"] == "cell"]]
    group, products = _groups(X, kinds, cells)
    if rival.needs_groups and group is None:
        raise InputError(
            "covariates",
            f"{method!r} must have covariates that define two groups",
            found="covariates "
            f"{checks.some(kinds['covariate'][kinds['covariate'] != ''].unique())}",
            fix="give one covariate with two labels",
        )
    data = RivalData(Y.to_numpy(), X.to_numpy(), X[cells].to_numpy(), group, products)
    found = rival.estimate(data, rng, permutations)
    shown = products if rival.needs_groups else list(range(X.shape[1]))
    parts = []
    for j in shown:
        p = found.p_values[:, j]
        q = np.full(len(p), np.nan)
        if found.fdr is not None:
            q = found.fdr[:, j]
        elif np.isfinite(p).all():
            q = false_discovery_control(p)
        parts.append(
            pd.DataFrame(
                {
                    "gene": Y.index,
                    "covariate": X.columns[j],
                    "effect": found.effects[:, j],
                    "sd": found.sd[:, j],
                    "p_value": p,
                    "q_value": q,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _groups(
    X: pd.DataFrame, kinds: pd.DataFrame, cells: list[str]
) -> tuple[np.ndarray | None, list[int]]:
    """Membership of the second group, from any product with the only covariate."""
    covariates = [name for name in kinds["covariate"].unique() if name]
    if len(covariates) != 1:
        return None, []
    of_cell = {
        str(row["cell_type"]): str(name)
        for name, row in kinds.iterrows()
        if row["kind"] == "product"
    }
    if set(of_cell) != set(cells):
        return None, []
    ratio = X[of_cell[cells[0]]] / X[cells[0]].where(X[cells[0]] > 0)
    values = np.unique(ratio.dropna().round(9))
    if len(values) != 2:
        return None, []
    return (ratio > values.mean()).to_numpy(), [X.columns.get_loc(of_cell[c]) for c in cells]
