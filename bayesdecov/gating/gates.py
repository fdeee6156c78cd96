"""The parts of a hierarchy: gates, how events are clustered, how files are read, what counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bayesdecov.gating.regions import Region

Axis = str | int  # a marker or channel name, or the number of a column, from 1
ALL = "all"


@dataclass(frozen=True)
class Exclusion:
    """A region whose clusters or events are removed; on the gate's own axes unless it names its."""

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
        Its two dimensions: marker, channel, alias, or column number from 1.
    region
        `Box`, `Slope` or `Polygon`.
    parent
        Name of an earlier gate; None for all events.
    mode
        "cluster": clusters of the parent's events are kept or dropped whole, by their centroid.
        "events": every event for itself (always so with a `Slope`).
    exclude
        Regions to remove.
    recluster
        Cluster this population's events anew for its children: True (with ``k_sub``), a number of
        clusters, or False.
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
    """How events are clustered: numbers of clusters, columns, start, seed.

    ``inherit`` says which clusters a cluster gate sees whose parent was not clustered anew: those
    of the whole sample ("root", DAFi's C program) or of the nearest ancestor that was ("nearest").
    """

    k: int = 500
    k_sub: int | None = None  # None: k
    columns: tuple[Axis, ...] | None = None  # None: all but Time
    init: str = "compat"
    seed: int = 2
    inherit: str = "root"


@dataclass(frozen=True)
class Reading:
    """How FCS files become display channels; event tables are taken as they are.

    ``compensate`` is "file" (the file's spillover matrix), "none" or the path of a table;
    ``range`` the upper end of every channel where files are wrong about it (with transform "none"
    the value that is the full scale); ``parameters`` those of ``logicle`` and ``asinh``.
    """

    compensate: str = "file"
    transform: str = "fcstrans"
    range: float | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Composition:
    """Which populations make up the proportions, and of what; no types: the hierarchy's leaves."""

    of: str = ALL
    types: tuple[str, ...] = ()
    rest: str | None = "rest"


def types_of(gates: Sequence[Gate], composition: Composition) -> tuple[str, ...]:
    """Populations that make up the proportions: those that are named, or the leaves."""
    parents = {gate.parent for gate in gates}
    leaves = tuple(gate.name for gate in gates if gate.name not in parents)
    return composition.types or leaves
