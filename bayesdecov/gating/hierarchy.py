"""A gating hierarchy: its gates in order, how events are clustered and how files are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bayesdecov.checks import some
from bayesdecov.errors import InputError
from bayesdecov.gating.gates import ALL, Clustering, Composition, Gate, Reading
from bayesdecov.gating.regions import Box, Slope
from bayesdecov.gating.scales import FULL


@dataclass(frozen=True)
class Hierarchy:
    """Gates in order, parents first, with everything that a result depends on.

    Attributes
    ----------
    gates
        In order.
    name
        For tables and pictures.
    scale
        What bounds of boxes and polygons count: a number stands for the full scale (200 is DAFi's,
        4096 display channels, 1 shares), "raw" for the units of the events.
    clustering, reading, composition
        See there.
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
        from bayesdecov.gating.rules import check

        check(self)

    @staticmethod
    def read(path: str | Path, **options: Any) -> Hierarchy:
        """A hierarchy from a file, by its ending.

        ``.toml`` (ours), ``.config`` (DAFi's; options of `from_config`), ``.xml`` (Gating-ML 2.0)
        and ``.wsp`` (a FlowJo workspace; options ``sample``, ``group``), these two with flowkit.

        Raises
        ------
        InputError
            Names the gate and the field.
        """
        if not isinstance(path, (str, Path)):
            raise InputError("hierarchy", "must be a Hierarchy or the path of a file",
                             found=type(path).__name__)  # fmt: skip
        path = Path(path)
        if not path.is_file():
            raise InputError("hierarchy", f"the file {str(path)!r} does not exist")
        kind = path.suffix.lower()
        if kind == ".toml":
            from bayesdecov.gating.toml_format import read_toml

            if options:
                raise InputError("hierarchy", "a .toml file holds its own settings",
                                 found=some(options))  # fmt: skip
            return read_toml(path)
        if kind in (".config", ".txt", ".tsv"):
            return Hierarchy.from_config(path, **options)
        if kind in (".xml", ".wsp"):
            from bayesdecov.gating import interchange

            return interchange.read(path, **options)
        raise InputError("hierarchy", "must be a .toml, .config, .xml or .wsp file",
                         found=repr(path.name))  # fmt: skip

    @staticmethod
    def from_config(
        inclusion: str | Path,
        exclusion: str | Path | None = None,
        k: int = 500,
        k_sub: int | None = None,
        seed: int = 2,
        init: str = "compat",
    ) -> Hierarchy:
        """A hierarchy from DAFi's tab-separated configuration of 11 or 12 columns.

        Parameters
        ----------
        inclusion
            Pop_ID, DimensionX, DimensionY, Min_X, Max_X, Min_Y, Max_Y (0 to 200), Parent_ID,
            Cluster_Type (0 clusters, 2 slope, otherwise events), Visualize_or_Not,
            Recluster_or_Not, and a name. The row number is the identity.
        exclusion
            The same columns; row i belongs to row i of ``inclusion``, and only its dimensions and
            bounds are used.
        k, k_sub
            Clusters of the whole sample and where Recluster is 1; where it is 2 or more. DAFi takes
            both from its command line.
        seed, init
            Of k-means.
        """
        from bayesdecov.gating.dafi_config import read_config

        return read_config(Path(inclusion), None if exclusion is None else Path(exclusion), k,
                           k_sub, seed, init)  # fmt: skip

    def write(self, path: str | Path, exclusion: str | Path | None = None, *,
              columns: Any = None, force: bool = False) -> None:  # fmt: skip
        """Write ``.toml``, DAFi's ``.config`` with its exclusion file, or Gating-ML (``.xml``).

        Parameters
        ----------
        path
            The ending decides.
        exclusion
            For ``.config``: where excluded regions go.
        columns
            For ``.config``: names of the event table's columns in order, without Time, where
            gates name them.
        force
            Replace a file that exists.
        """
        from bayesdecov.gating.save import save

        save(self, Path(path), None if exclusion is None else Path(exclusion), columns, force)

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
        """The way down, e.g. "root/Singlets/Live"."""
        return "/".join(["root", *reversed(list(self.ancestors(name))), name])

    @property
    def types(self) -> tuple[str, ...]:
        """Populations that make up the proportions."""
        parents = {gate.parent for gate in self.gates}
        leaves = tuple(name for name in self.names if name not in parents)
        return self.composition.types or leaves

    def clusters_of(self, gate: Gate) -> int:
        """Clusters that a population is clustered into anew; 0 for none."""
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
                extra += f", then clustered anew (k = {clusters})"
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
