"""The result of `gate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.members import check_members, write_members
from bayesdecov.gating.picture import GatePicture
from bayesdecov.gating.sample import Packed
from bayesdecov.gating.toml_format import write_toml
from bayesdecov.io.files import file_names
from bayesdecov.io.outputs import whole_folder
from bayesdecov.results.proportions import Proportions


@dataclass(frozen=True, kw_only=True)
class Gating(Proportions):
    """Counts and proportions of gated samples, with their uncertainty and provenance.

    Attributes
    ----------
    proportions
        Samples x types (and the rest): shares of the denominator, means over seeds.
    counts
        Samples x populations: numbers of events; with several seeds, means over seeds.
    diagnostics
        One row per sample: ``events`` of the file, ``used`` (without missing values),
        ``denominator`` (its events), ``overlap`` (events in several types), ``seed_sd``
        (largest standard deviation of a proportion over seeds), and how the file was read.
    by_seed
        Tidy: sample, seed, population, count.
    hierarchy
        The gates.
    failures
        Files that could not be gated: sample, file, error.
    draws
        Posterior draws of the proportions (`bayesdecov.results.proportions.Draws`), one chain.
    files
        Where samples came from.
    """

    counts: pd.DataFrame
    by_seed: pd.DataFrame
    hierarchy: Hierarchy
    failures: pd.DataFrame
    files: dict[str, Path] = field(default_factory=dict)
    packed: dict[str, Packed] = field(default_factory=dict)
    pictures: dict[str, GatePicture] = field(default_factory=dict)

    command = "gate"

    def tables(self, prob: float = 0.95) -> dict[str, pd.DataFrame]:
        """Proportions, intervals, diagnostics, counts and populations.

        ``seeds`` with several seeds, ``failures`` where files could not be gated.
        """
        found = super().tables(prob) | {
            "counts": self.counts.rename_axis(index="sample"),
            "populations": self.table(),
        }
        if self.settings["seeds"] > 1:
            found["seeds"] = self.by_seed
        if len(self.failures):
            found["failures"] = self.failures
        return found

    def table(self) -> pd.DataFrame:
        """Every population of every sample.

        Returns
        -------
        pandas.DataFrame
            Tidy: sample, population, path, parent, count, percent_parent, percent_total; with
            several seeds, means over seeds and their ``count_sd``.
        """
        rows = []
        spread = self.by_seed.groupby(["sample", "population"], sort=False)["count"].std()
        several = self.settings["seeds"] > 1
        for sample, counts in self.counts.iterrows():
            total = self.diagnostics.loc[sample, "used"]
            for gate in self.hierarchy.gates:
                count = counts[gate.name]
                whole = total if gate.parent is None else counts[gate.parent]
                row = {
                    "sample": sample,
                    "population": gate.name,
                    "path": self.hierarchy.path(gate.name),
                    "parent": gate.parent or "root",
                    "count": count,
                    "percent_parent": 100 * count / whole if whole else 0.0,
                    "percent_total": 100 * count / total,
                }
                if several:
                    row["count_sd"] = spread[(sample, gate.name)]
                rows.append(row)
        return pd.DataFrame(rows)

    def members(self, sample: str) -> pd.DataFrame:
        """Which events of a sample belong to which population (with the first seed).

        Returns
        -------
        pandas.DataFrame
            Events x populations, True or False; the index ``event`` counts the file's events
            from 1. Events with missing values belong to no population.
        """
        if sample not in self.packed:
            raise InputError(
                "sample",
                "must be one of the gated samples",
                found=repr(sample),
                fix=f"samples are {checks.some(self.packed)}",
            )
        packed = self.packed[sample]
        inside = np.zeros((packed.total, len(self.counts.columns)), dtype=bool)
        used = packed.total if packed.rows is None else len(packed.rows)
        bits = np.unpackbits(packed.bits, axis=1, count=used)
        inside[slice(None) if packed.rows is None else packed.rows] = bits.T.astype(bool)
        index = pd.RangeIndex(1, packed.total + 1, name="event")
        return pd.DataFrame(inside, index, self.counts.columns)

    def to_inference_data(self) -> Any:
        """ArviZ container: the draws of the proportions and, as constant data, the counts."""
        import xarray as xr

        from bayesdecov._arviz import from_groups

        assert self.draws is not None
        p = self.draws.proportions.transpose(1, 2, 0, 3)
        coords = {
            "sample": self.proportions.index.to_numpy().astype(str),
            "cell_type": self.proportions.columns.to_numpy().astype(str),
            "population": self.counts.columns.to_numpy().astype(str),
        }
        posterior = xr.Dataset(
            {"proportions": (("chain", "draw", "sample", "cell_type"), p)},
            coords={
                "chain": np.arange(p.shape[0]),
                "draw": np.arange(p.shape[1]),
                "sample": coords["sample"],
                "cell_type": coords["cell_type"],
            },
        )
        seeds = list(dict.fromkeys(self.by_seed["seed"]))
        counted = self.by_seed["count"].to_numpy().reshape(len(self.counts), len(seeds), -1)
        constant = xr.Dataset(
            {"counts": (("sample", "seed", "population"), counted)},
            coords={"sample": coords["sample"], "seed": seeds, "population": coords["population"]},
        )
        attrs = self.settings | self.facts | {"quantity": self.quantity}
        return from_groups({"posterior": posterior, "constant_data": constant}, attrs)

    def record(
        self,
        *,
        prob: float = 0.95,
        inputs: Mapping[str, Path] | None = None,
        arguments: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Contents of ``run.json``, with checksums of the files and of the compensation."""
        files = {name: path for name, path in self.files.items() if path.is_file()}
        matrix = Path(self.hierarchy.reading.compensate)
        if matrix.is_file():
            files = {"compensate": matrix, **files}
        record = super().record(prob=prob, inputs={**(inputs or {}), **files}, arguments=arguments)
        record["failures"] = self.failures.to_dict("records")
        return record

    def extra_files(self, folder: Path) -> None:
        """``hierarchy.toml``."""
        write_toml(self.hierarchy, folder / "hierarchy.toml")

    def write_members(self, folder: Path, kind: str) -> None:
        """Write every event's populations, one file per sample, to a new folder."""
        check_members(kind, self.counts.index, self.files)
        folder.mkdir()
        for sample, stem in file_names(self.counts.index).items():
            path = folder / f"{stem}.{kind}"
            write_members(self.members(sample), kind, path, self.files.get(sample))

    def write(self, folder: str | Path, *, members: str | None = None, force: bool = False) -> None:
        """Write tables, posterior and ``run.json`` to a new folder, completely or not at all.

        Parameters
        ----------
        folder
            Must not exist, or be the folder of an earlier run with ``force``.
        members
            Also write every event's populations: "csv", "parquet", or "fcs" (the sample's file with
            an additional parameter for every population).
        force
            Replace an earlier run.
        """
        check_members(members, self.counts.index, self.files)
        with whole_folder(Path(folder), force=force) as partial:
            self.fill(partial)
            if members is not None:
                self.write_members(partial / "members", members)

    def __str__(self) -> str:
        n, n_populations = self.counts.shape
        d, c = self.diagnostics, self.hierarchy.clustering
        seeds = self.settings["seeds"]
        lines = [
            f"Gating: {n} sample{'s' if n > 1 else ''}, {n_populations} "
            f"population{'s' if n_populations > 1 else ''}, {int(d['events'].sum()):,} events",
            f"  k-means: k = {c.k}, init {c.init}, {seeds} seed{'s' if seeds > 1 else ''} from "
            f"{self.settings['seed']}, inherit {c.inherit}",
            f"  quantity: {self.quantity}",
        ]
        if seeds > 1 and d["seed_sd"].notna().any():
            worst, largest = d["seed_sd"].idxmax(), d["seed_sd"].max()
            where = f" ({worst})" if largest > 0 else ""
            lines.append(f"  largest spread over seeds: {largest:.4f}{where}")
        if len(self.failures):
            lines.append(
                f"  FAILED: {checks.some(self.failures['sample'])} (failures.csv, .failures)"
            )
        return "\n".join([*lines, *self._common_lines()])

    __repr__ = __str__
