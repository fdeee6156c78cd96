r"""Proportions of a common denominator from events, and posterior draws of them.

Events of the denominator fall into classes ("cells" in the code): in one type, in none (the rest),
or, where types overlap, in several. The counting error is multinomial: given one clustering, the
class proportions have the posterior :math:`\mathrm{Dirichlet}(n_c + 1/2)` (Jeffreys' prior). The
initialisation of k-means changes populations too, so draws from several seeds are pooled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bayesdecov.algebra.terms import Array
from bayesdecov.gating.gates import ALL
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.regions import Mask

_PRIOR = 0.5


class Tally(NamedTuple):
    """Events of the denominator by cell; bit j of a cell is set if type j contains its events."""

    total: int
    cells: dict[int, int]
    outside: int  # events of the types that are not in the denominator


def tally(hierarchy: Hierarchy, inside: Mask) -> Tally:
    """Count one sample, gated with one seed."""
    number = {name: i for i, name in enumerate(hierarchy.names)}
    of = hierarchy.composition.of
    chosen = np.ones(inside.shape[1], dtype=bool) if of == ALL else inside[number[of]]
    types = inside[[number[name] for name in hierarchy.types]]
    # the types of an event as a row of bytes; bit j of the row stands for type j
    packed = np.packbits(types[:, chosen], axis=0, bitorder="little").T
    values, counts = np.unique(np.ascontiguousarray(packed), axis=0, return_counts=True)
    cells = {
        int.from_bytes(value.tobytes(), "little"): int(count)
        for value, count in zip(values, counts, strict=True)
    }
    return Tally(int(chosen.sum()), cells, int(types[:, ~chosen].any(axis=0).sum()))


def shares(counted: Tally, n_types: int, *, rest: bool) -> Array:
    """Share of every type, and of the rest; NaN where the denominator is empty."""
    totals = np.zeros(n_types + rest)
    for cell, count in counted.cells.items():
        totals[_columns(cell, n_types, rest=rest)] += count
    return totals / counted.total if counted.total else np.full(len(totals), np.nan)


def overlap(counted: Tally) -> int:
    """Events that belong to more than one type."""
    return sum(count for cell, count in counted.cells.items() if cell.bit_count() > 1)


def draw(
    counted: Sequence[Tally], n_types: int, *, rest: bool, draws: int, rng: np.random.Generator
) -> Array:
    """Draws of the proportions, (draw, type), seed by seed; NaN without a denominator.

    Seeds that leave the denominator empty are left out.
    """
    drawn = np.full((draws, n_types + rest), np.nan)
    filled = [one for one in counted if one.total]
    for seed, one in enumerate(filled):
        mine = drawn[seed :: len(filled)]
        cells = sorted({0, *(1 << bit for bit in range(n_types)), *one.cells})
        alpha = np.array([one.cells.get(cell, 0) + _PRIOR for cell in cells])
        share = rng.dirichlet(alpha, size=len(mine))
        mine[:] = 0.0
        for column, cell in enumerate(cells):
            for kind in _columns(cell, n_types, rest=rest):
                mine[:, kind] += share[:, column]
    return drawn


def _columns(cell: int, n_types: int, *, rest: bool) -> list[int]:
    """Columns that an event of this cell counts for."""
    if cell == 0:
        return [n_types] if rest else []
    return [bit for bit in range(n_types) if cell >> bit & 1]
