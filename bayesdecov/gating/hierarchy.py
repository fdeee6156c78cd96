"""A gating hierarchy: its gates in order, how events are clustered and how files are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bayesdecov.gating.gates import ALL, Clustering, Composition, Gate, Reading, types_of
from bayesdecov.gating.regions import Box, Slope
from bayesdecov.gating.rules import check_hierarchy
from bayesdecov.gating.scales import FULL


@dataclass(frozen=True)
class Hierarchy:
    """Gates in order, parents first, with all settings that a result depends on.

    Attributes
    ----------
    gates
        In order.
    name
        For tables and plots.
    scale
        Units of the bounds of boxes and polygons: a number is the value of the full scale (200 in
        DAFi, 4096 for display channels, 1 for shares); "raw" means the units of the events.
    clustering, reading, composition
        See `Clustering`, `Reading` and `Composition`.
    aliases
        Marker or channel name in the file -> name used in gates.

    Examples
    --------
    >>> from bayesdecov.gating import Box, Gate, Hierarchy
    >>> print(Hierarchy((Gate("Lymphocytes", "FSC-A", "SSC-A", Box(30, 90, 5, 45)),)))
    Hierarchy: 1 gate, scale 200, k = 500, init compat, seed 2
      Lymphocytes  [FSC-A, SSC-A]  clusters in the box 30..90, 5..45
      proportions: Lymphocytes, rest of all events
    """

    gates: tuple[Gate, ...]
    name: str = ""
    scale: float | str = 200
    clustering: Clustering = field(default_factory=Clustering)
    reading: Reading = field(default_factory=Reading)
    composition: Composition = field(default_factory=Composition)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_hierarchy(
            self.gates,
            self.name,
            self.scale,
            self.clustering,
            self.reading,
            self.composition,
            self.aliases,
        )

    @property
    def unit(self) -> float:
        """The bound that stands for the full scale."""
        return self.full_scale if isinstance(self.scale, str) else float(self.scale)

    @property
    def full_scale(self) -> float:
        """The value of events that is the full scale."""
        given = self.reading.range if self.reading.transform == "none" else None
        return FULL if given is None else given

    @property
    def names(self) -> list[str]:
        """Names of the populations, in order."""
        return [gate.name for gate in self.gates]

    def __getitem__(self, name: str) -> Gate:
        for gate in self.gates:
            if gate.name == name:
                return gate
        raise KeyError(name)

    def __iter__(self) -> Iterator[Gate]:
        return iter(self.gates)

    def __len__(self) -> int:
        return len(self.gates)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def ancestors(self, name: str) -> Iterator[str]:
        """Parent, grandparent and so on."""
        parent = self[name].parent
        while parent is not None:
            yield parent
            parent = self[parent].parent

    def path(self, name: str) -> str:
        """The path from the root, e.g. "root/Singlets/Live"."""
        return "/".join(["root", *reversed(list(self.ancestors(name))), name])

    @property
    def types(self) -> tuple[str, ...]:
        """Populations that make up the proportions."""
        return types_of(self.gates, self.composition)

    def clusters_of(self, gate: Gate) -> int:
        """Number of clusters into which a population is reclustered; 0 for none."""
        if isinstance(gate.recluster, bool):
            return (self.clustering.k_sub or self.clustering.k) if gate.recluster else 0
        return gate.recluster

    def _depth_first(self, parent: str | None) -> Iterator[Gate]:
        for gate in self.gates:
            if gate.parent == parent:
                yield gate
                yield from self._depth_first(gate.name)

    def __str__(self) -> str:
        c = self.clustering
        count = f"{len(self.gates)} gate{'s' if len(self.gates) > 1 else ''}"
        title = f"Hierarchy {self.name}".strip()
        lines = [f"{title}: {count}, scale {self.scale}, k = {c.k}, init {c.init}, seed {c.seed}"]
        for gate in self._depth_first(None):
            indent = "  " * (1 + sum(1 for _ in self.ancestors(gate.name)))
            extra = f", without {len(gate.exclude)} region(s)" if gate.exclude else ""
            if clusters := self.clusters_of(gate):
                extra += f", then reclustered (k = {clusters})"
            lines.append(f"{indent}{gate.name}  [{gate.x}, {gate.y}]  {_said(gate)}{extra}")
        rest = f", {self.composition.rest}" if self.composition.rest else ""
        of = "all events" if self.composition.of == ALL else self.composition.of
        lines.append(f"  proportions: {', '.join(self.types)}{rest} of {of}")
        return "\n".join(lines)

    __repr__ = __str__


def _said(gate: Gate) -> str:
    region = gate.region
    if isinstance(region, Slope):
        return f"events of slope {region.low:.4g}..{region.high:.4g}"
    what = "clusters" if gate.mode == "cluster" else "events"
    if isinstance(region, Box):
        return (
            f"{what} in the box {region.x_min:g}..{region.x_max:g}, "
            f"{region.y_min:g}..{region.y_max:g}"
        )
    return f"{what} in a polygon of {len(region.vertices)} corners"
