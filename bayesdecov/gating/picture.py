"""Data for the dot plots of a sample: a subsample of events and the centroids that were kept."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra.terms import Array
from bayesdecov.gating.dafi import Members
from bayesdecov.gating.events import Events
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.regions import Mask

_CLOUD = 10_000  # events drawn
_RARE = 500  # events drawn from each population, if it has as many


class GatePicture(NamedTuple):
    """Events (event, column) in units of the scale, on the columns that gates use.

    ``inside`` (population, event); ``axes`` the two columns of each gate; ``labels`` of columns;
    ``kept`` the centroids that each cluster gate kept (cluster, 2).
    """

    values: NDArray[np.float32]
    inside: Mask
    axes: list[tuple[int, int]]
    labels: list[str]
    kept: list[Array | None]

    def points(self, gate: int) -> NDArray[np.float32]:
        """Events on the axes of a gate, (event, 2)."""
        return self.values[:, list(self.axes[gate])]


def picture(hierarchy: Hierarchy, events: Events, members: Members) -> GatePicture:
    """Subsample the events; the same file always gives the same events."""
    rng = np.random.default_rng(0)
    n = len(events.z)
    chosen = np.zeros(n, dtype=bool)
    chosen[rng.permutation(n)[:_CLOUD]] = True
    for population in members.inside:
        rows = np.flatnonzero(population)
        if chosen[rows].sum() < _RARE:
            chosen[rng.permutation(rows)[:_RARE]] = True
    axes = [(events.column(gate.x), events.column(gate.y)) for gate in hierarchy.gates]
    used = sorted({column for pair in axes for column in pair})
    values = (events.z[chosen][:, used] * hierarchy.unit).astype(np.float32)
    kept = [None if centers is None else centers * hierarchy.unit for centers in members.kept]
    return GatePicture(
        values=values,
        inside=members.inside[:, chosen],
        axes=[(used.index(x), used.index(y)) for x, y in axes],
        labels=[events.columns[column] for column in used],
        kept=kept,
    )
