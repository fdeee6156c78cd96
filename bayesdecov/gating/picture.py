"""What dot plots need of a sample: a thinned cloud of events and the centroids that were kept."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdecov.gating.events import Events
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.kmeans import Array
from bayesdecov.gating.membership import Members
from bayesdecov.gating.regions import Mask

_CLOUD = 10_000  # events drawn
_RARE = 500  # events drawn of each population, where it has as many


class Picture(NamedTuple):
    """Events (event, gate, 2) in units of the scale, their membership, kept centroids, labels."""

    points: NDArray[np.float32]
    inside: Mask  # (population, event)
    kept: list[Array | None]
    labels: list[tuple[str, str]]


def picture(hierarchy: Hierarchy, events: Events, members: Members) -> Picture:
    """Thin a sample; always the same events of the same file."""
    rng = np.random.default_rng(0)
    n = len(events.z)
    chosen = np.zeros(n, dtype=bool)
    chosen[rng.permutation(n)[:_CLOUD]] = True
    for population in members.inside:
        rows = np.flatnonzero(population)
        if chosen[rows].sum() < _RARE:
            chosen[rng.permutation(rows)[:_RARE]] = True
    axes = np.array([[events.column(gate.x), events.column(gate.y)] for gate in hierarchy.gates])
    points = (events.z[chosen][:, axes] * hierarchy.unit).astype(np.float32)
    kept = [None if centers is None else centers * hierarchy.unit for centers in members.kept]
    labels = [(events.columns[x], events.columns[y]) for x, y in axes]
    return Picture(points, members.inside[:, chosen], kept, labels)
