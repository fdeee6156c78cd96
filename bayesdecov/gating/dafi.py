"""The gates applied: which events belong to which population.

A population consists of the events of its parent that its gate keeps. A cluster gate keeps the
clusters whose centroid lies in its region, with all their events inside and outside the region (the
population's natural shape), and no others. The clusters are those of the parent if the parent was
reclustered and has more than 100 events; otherwise those of the whole sample or, with
``inherit="nearest"``, of the nearest reclustered ancestor. Only populations that a gate needs are
clustered, and the same events are clustered once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayesdecov.algebra.terms import Array
from bayesdecov.gating.events import Events
from bayesdecov.gating.gates import Gate
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.initial_centers import start_of
from bayesdecov.gating.kmeans import Clusters, Labels, lloyd
from bayesdecov.gating.regions import Mask

AT_LEAST = 100  # populations of at most this many events are not reclustered


class Members(NamedTuple):
    """``inside`` (population, event); the centroids kept by each cluster gate, (cluster, axis)."""

    inside: Mask
    kept: list[Array | None]


class _Clustering(NamedTuple):
    """Events that were clustered, and their clusters."""

    rows: Labels
    clusters: Clusters


def apply(hierarchy: Hierarchy, events: Events, seed: int | None = None) -> Members:
    """Run all gates over a sample.

    Parameters
    ----------
    hierarchy, events
        Gates; events of one sample.
    seed
        Of k-means; None: the hierarchy's.

    Raises
    ------
    InputError
        The sample lacks a marker.
    """
    axes = [(events.column(gate.x), events.column(gate.y)) for gate in hierarchy.gates]
    others = [
        [
            (
                events.column(gate.x if part.x is None else part.x),
                events.column(gate.y if part.y is None else part.y),
            )
            for part in gate.exclude
        ]
        for gate in hierarchy.gates
    ]
    clusterings = _Clusterings(hierarchy, events, seed)
    number = {name: i for i, name in enumerate(hierarchy.names)}
    inside = np.zeros((len(hierarchy.gates), len(events.z)), dtype=bool)
    kept: list[Array | None] = []
    for i, gate in enumerate(hierarchy.gates):
        parent = None if gate.parent is None else inside[number[gate.parent]]
        if gate.mode == "events":
            mask = _chosen(gate, events.z, axes[i], others[i], hierarchy.unit)
            inside[i] = mask if parent is None else mask & parent
            kept.append(None)
            continue
        rows, clusters = clusterings.of(gate, inside, number)
        keep = _chosen(gate, clusters.centers, axes[i], others[i], hierarchy.unit)
        inside[i, rows] = keep[clusters.labels]
        if parent is not None:
            inside[i] &= parent
        filled = np.bincount(clusters.labels[inside[i, rows]], minlength=len(keep)) > 0
        kept.append(clusters.centers[filled][:, list(axes[i])])
    return Members(inside, kept)


def _chosen(
    gate: Gate, points: Array, axes: tuple[int, int], others: list[tuple[int, int]], unit: float
) -> Mask:
    """Points (events or centroids) inside the gate's region and outside its excluded regions."""
    x, y = axes
    mask = gate.region.holds(points[:, x], points[:, y], unit)
    for part, (other_x, other_y) in zip(gate.exclude, others, strict=True):
        mask &= ~part.region.holds(points[:, other_x], points[:, other_y], unit)
    return mask


class _Clusterings:
    """Computes each clustering when it is first needed."""

    def __init__(self, hierarchy: Hierarchy, events: Events, seed: int | None) -> None:
        self.hierarchy = hierarchy
        settings = hierarchy.clustering
        self.seed = settings.seed if seed is None else seed
        self.init = settings.init
        columns = settings.columns
        self.z = events.z if columns is None else events.z[:, [events.column(c) for c in columns]]
        self.everything = events.z
        self.made: dict[tuple[bytes, int], _Clustering] = {}

    def of(self, gate: Gate, inside: Mask, number: dict[str, int]) -> _Clustering:
        """The clustering whose centroids the gate judges."""
        lineage = [] if gate.parent is None else [gate.parent]
        if lineage and self.hierarchy.clustering.inherit == "nearest":
            lineage += list(self.hierarchy.ancestors(gate.parent or ""))
        for name in lineage:
            count = self.hierarchy.clusters_of(self.hierarchy[name])
            mask = inside[number[name]]
            if count and mask.sum() > AT_LEAST:
                return self._make(mask, count)
        return self._make(np.ones(inside.shape[1], dtype=bool), self.hierarchy.clustering.k)

    def _make(self, mask: Mask, count: int) -> _Clustering:
        key = (np.packbits(mask).tobytes(), count)
        if key not in self.made:
            rows = np.flatnonzero(mask)
            z = self.z if len(rows) == len(mask) else self.z[rows]
            found = lloyd(z, start_of(z, count, self.init, self.seed))
            if self.z is not self.everything:  # gates use columns that were not clustered
                found = found._replace(centers=_centroids(self.everything[rows], found))
            self.made[key] = _Clustering(rows, found)
        return self.made[key]


def _centroids(z: Array, clusters: Clusters) -> Array:
    """Means of all columns; NaN (in no region) for a cluster without events."""
    size = np.bincount(clusters.labels, minlength=len(clusters.centers))
    totals = [np.bincount(clusters.labels, column, minlength=len(size)) for column in z.T]
    with np.errstate(invalid="ignore"):
        return np.column_stack(totals) / size[:, None]
