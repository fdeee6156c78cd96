"""Convergence measures of draws, their limits and their meaning."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from bayesdecov.algebra.terms import Array
from bayesdecov.verdicts import E_BFMI, ESS, PARETO_K, R_HAT

MEANINGS = {
    "r_hat": f"agreement of chains, at most {R_HAT:g}",
    "ess_bulk": f"effective draws for means, at least {ESS:g}",
    "ess_tail": f"effective draws for intervals, at least {ESS:g}",
    "mcse": "Monte-Carlo standard error of the posterior mean",
    "divergences": "transitions that failed, none expected",
    "e_bfmi": f"energy fraction of missing information, at least {E_BFMI:g}",
    "pareto_k": f"tail of the importance weights, at most {PARETO_K:g}",
    "step_size": "adapted step size, mean of the chains",
    "tree_depth": "deepest trajectory",
    "predictive_p": "share of predicted samples that would fit worse than the data",
}


def pareto_k(log_weights: Array) -> Array:
    """Pareto shape of every row of importance weights; NaN at the end of a row is padding."""
    from bayesdecov._arviz import psis

    count = (~np.isnan(log_weights)).sum(axis=1)
    shape = np.empty(len(log_weights))
    for size in np.unique(count):
        rows = count == size
        shape[rows] = psis(log_weights[rows, :size])[1]
    return shape


def convergence(draws: Any, keep: Sequence[Hashable] = ()) -> dict[str, Array]:
    """Worst R-hat, bulk and tail ESS and largest MCSE of a Dataset with (chain, draw, ...).

    One number, or one along each dimension in ``keep``. Quantities that do not vary (a correlation
    of a variable with itself) are left out. NaN with fewer than two chains or four draws.
    """
    import arviz as az

    if draws.sizes["chain"] < 2 or draws.sizes["draw"] < 4:
        shape = tuple(draws.sizes[str(name)] for name in keep)
        return {name: np.full(shape, np.nan) for name in ("r_hat", "ess_bulk", "ess_tail", "mcse")}
    with np.errstate(divide="ignore", invalid="ignore"):  # of constant quantities
        measures = {
            "r_hat": (az.rhat(draws), "max"),
            "ess_bulk": (az.ess(draws, method="bulk"), "min"),
            "ess_tail": (az.ess(draws, method="tail"), "min"),
            "mcse": (az.mcse(draws, method="mean"), "max"),
        }
    varies = {name: np.asarray(draws[name].std(("chain", "draw")) > 0) for name in draws.data_vars}
    found = {}
    for measure, (table, worst) in measures.items():
        values = []
        for name in draws.data_vars:
            if not varies[name].any():
                continue
            value = table[name].where(varies[name])
            rest = [dim for dim in value.dims if dim not in keep]
            values.append(np.asarray(getattr(value, worst)(rest)))
        found[measure] = np.asarray(getattr(np, f"nan{worst}")(np.array(values), axis=0))
    return found


def e_bfmi(energy: Array) -> Array:
    """Energy fraction of missing information, smallest over chains (Betancourt 2016).

    ``energy`` is (..., chain, draw).
    """
    change = np.square(np.diff(energy, axis=-1)).sum(axis=-1)
    total = np.square(energy - energy.mean(axis=-1, keepdims=True)).sum(axis=-1)
    return np.asarray((change / total).min(axis=-1))
