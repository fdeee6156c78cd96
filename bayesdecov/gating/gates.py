"""The parts of a hierarchy: gates, clustering, reading of files, composition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bayesdecov.gating.regions import Region

Axis = str | int  # a marker or channel name, or the number of a column, from 1
ALL = "all"


@dataclass(frozen=True)
class Exclusion:
    """A region whose clusters or events are removed; on the gate's axes unless it names others."""

    region: Region
    x: Axis | None = None
    y: Axis | None = None


@dataclass(frozen=True)
class Gate:
    """One population.

    Attributes
    ----------
    name
        Of the population.
    x, y
        The two dimensions: marker, channel, alias, or column number from 1.
    region
        `Box`, `Slope` or `Polygon`.
    parent
        Name of an earlier gate; None for all events.
    mode
        "cluster": clusters of the parent's events are kept or dropped whole, by their centroid.
        "events": each event is judged by itself (always with a `Slope`).
    exclude
        Regions to remove.
    recluster
        Recluster this population's events for its children: True (``k_sub`` clusters), a number
        of clusters, or False.
    """

    name: str
    x: Axis
    y: Axis
    region: Region
    parent: str | None = None
    mode: str = "cluster"
    exclude: tuple[Exclusion, ...] = ()
    recluster: bool | int = False


@dataclass(frozen=True)
class Clustering:
    """How events are clustered: numbers of clusters, columns, initialisation, seed.

    ``inherit`` sets the clusters for a cluster gate whose parent was not reclustered: those of the
    whole sample ("root", as in DAFi's C program) or of the nearest reclustered ancestor
    ("nearest").
    """

    k: int = 500
    k_sub: int | None = None  # None: k
    columns: tuple[Axis, ...] | None = None  # None: all but Time
    init: str = "compat"
    seed: int = 2
    inherit: str = "root"


@dataclass(frozen=True)
class Reading:
    """How FCS files become display channels; event tables are used as they are.

    ``compensate`` is "file" (the file's spillover matrix), "none" or the path of a table;
    ``range`` is the upper end of every channel, for files that state a wrong one (with transform
    "none": the value of the full scale); ``parameters`` are those of ``logicle`` and ``asinh``.
    """

    compensate: str = "file"
    transform: str = "fcstrans"
    range: float | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Composition:
    """Types and denominator of the proportions; without types, the hierarchy's leaves."""

    of: str = ALL
    types: tuple[str, ...] = ()
    rest: str | None = "rest"


def types_of(gates: Sequence[Gate], composition: Composition) -> tuple[str, ...]:
    """Populations that make up the proportions: those that are named, or the leaves."""
    parents = {gate.parent for gate in gates}
    leaves = tuple(gate.name for gate in gates if gate.name not in parents)
    return composition.types or leaves
