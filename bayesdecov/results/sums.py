"""Sums of cell types: coarser proportions with the uncertainty of their parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.algebra.priors import Dirichlet
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError
from bayesdecov.results.posterior_draws import LEAST, PosteriorDraws
from bayesdecov.results.proportions import Draws, Proportions

_ARGUMENT = "groups"


@dataclass(frozen=True, kw_only=True)
class Sums(Proportions):
    """Proportions of groups of cell types.

    Attributes
    ----------
    parts
        Whether each cell type (row) belongs to each group (column).
    whole
        The proportions that were added.
    """

    parts: pd.DataFrame
    whole: Proportions

    command = "deconvolve"

    def shared_moves(self) -> Array | None:
        """Replicates of the error that samples have in common, (replicate, sample, group)."""
        moves = self.whole.shared_moves()
        return None if moves is None else np.asarray(moves @ self.parts.to_numpy(dtype=float))

    def posterior_draws(self) -> PosteriorDraws:
        """Draws and their prior, known where groups are a partition and it is a Dirichlet.

        Raises
        ------
        InputError
            There are none.
        """
        found, M = self.whole.posterior_draws(), self.parts.to_numpy(dtype=float)
        prior = None
        partition = bool((M.sum(axis=1) == 1).all())
        if partition and isinstance(found.prior, Dirichlet) and found.per_cell is None:
            alpha = np.broadcast_to(np.asarray(found.prior.alpha, dtype=float), (len(M),))
            prior = Dirichlet(tuple((alpha @ M).tolist()))
        shared = found.shared
        if shared is not None:
            p = np.maximum(self.whole.proportions.to_numpy(), LEAST)
            shared = np.log((p * np.exp(shared)) @ M) - np.log(p @ M)
        return PosteriorDraws(
            found.p @ M,
            found.samples,
            self.proportions.columns,
            prior,
            None,
            found.quantity,
            None if found.unshifted is None else found.unshifted @ M,
            shared,
        )


def add(whole: Proportions, groups: Any) -> Sums:
    """Add proportions; see `Proportions.sum`."""
    parts = membership(groups, whole.proportions.columns)
    M = parts.to_numpy(dtype=float)
    table = pd.DataFrame(
        whole.proportions.to_numpy() @ M, whole.proportions.index, parts.columns.rename(None)
    )
    draws = whole.draws
    if draws is not None:
        draws = Draws(draws.proportions @ M, draws.stats, draws.size_factor)
    return Sums(
        proportions=table,
        diagnostics=whole.diagnostics,
        method=whole.method,
        quantity=whole.quantity,
        settings=whole.settings,
        notes=whole.notes,
        covariance=None if whole.covariance is None else M.T @ whole.covariance @ M,
        draws=draws,
        facts=whole.facts,
        parts=parts,
        whole=whole,
    )


def membership(groups: Any, cell_types: pd.Index) -> pd.DataFrame:
    """Cell types x groups, from a mapping of groups to types or a table of types and groups."""
    members = _members(groups)
    if not members:
        raise InputError(_ARGUMENT, "must name at least one group", found="none")
    names = [str(name) for name in cell_types]
    parts = pd.DataFrame(False, cell_types, list(members))
    for group, types in members.items():
        unknown = [name for name in types if name not in names]
        if unknown or not types:
            raise InputError(
                _ARGUMENT,
                f"group {group!r} must consist of cell types of the result",
                found=checks.some(unknown) if unknown else "no cell type",
                fix=f"the cell types are {checks.some(names, 30)}",
            )
        parts[group] = [name in types for name in names]
    return parts


def _members(groups: Any) -> dict[str, list[str]]:
    if isinstance(groups, Mapping):
        found = {}
        for name, types in groups.items():
            if isinstance(types, str) or not isinstance(types, Iterable):
                raise InputError(
                    _ARGUMENT,
                    "must give a list of cell types for every group",
                    found=f"{types!r} for {name!r}",
                )
            found[str(name)] = [str(each) for each in types]
        return found
    if isinstance(groups, pd.Series):
        groups = groups.rename("group").rename_axis("cell_type").reset_index()
    if isinstance(groups, pd.DataFrame):
        if groups.shape[1] == 1:
            groups = groups.reset_index()
        if groups.shape[1] != 2:
            raise InputError(
                _ARGUMENT,
                "must have two columns: cell type, group",
                found=f"the columns {checks.some(groups.columns)}",
            )
        known = groups.dropna()
        return {
            str(name): [str(each) for each in part.iloc[:, 0]]
            for name, part in known.groupby(known.columns[1], sort=False)
        }
    raise InputError(
        _ARGUMENT,
        "must be a mapping from groups to lists of cell types, or a table of cell types and groups",
        found=type(groups).__name__,
    )
