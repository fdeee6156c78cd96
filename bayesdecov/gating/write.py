"""The files of a gating."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.gating.sources import FCS
from bayesdecov.io.outputs import run_record, whole_folder, write_json
from bayesdecov.io.tables import write_table

if TYPE_CHECKING:
    from bayesdecov.gating.result import Gating

MEMBERS = ("csv", "parquet", "fcs")
_PAGE = 60  # samples in one picture of a gate
_DPI = 110


def write_gating(
    gating: Gating, folder: Path, *, members: str | None = None, force: bool = False
) -> None:
    """``counts.csv proportions.csv ... plots/`` in a new folder."""
    check_members(gating, members)
    with whole_folder(folder, force=force) as partial:
        fill_gating(gating, partial, members=members)
        draw(gating, partial / "plots")


def check_members(gating: Gating, members: str | None) -> None:
    """Refuse what cannot be written, before anything is."""
    if members is None:
        return
    checks.choice(members, MEMBERS, "members")
    if members == "fcs":
        other = [name for name in gating.counts.index
                 if name not in gating.files
                 or gating.files[name].suffix.lower() not in FCS]  # fmt: skip
        if other:
            raise InputError("members", "'fcs' adds parameters to FCS files",
                             found=f"no FCS file of {checks.some(other)}",
                             fix="choose 'csv' or 'parquet'")  # fmt: skip
    if members == "parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise InputError("members", "'parquet' needs the package pyarrow",
                             fix="pip install 'bayesdecov[parquet]', or choose 'csv'"
                             ) from None  # fmt: skip


def fill_gating(
    gating: Gating,
    folder: Path,
    *,
    prob: float = 0.95,
    members: str | None = None,
    arguments: Sequence[str] = (),
    inputs: dict[str, Path] | None = None,
) -> None:
    """All tables in an existing folder."""
    from bayesdecov._arviz import save
    from bayesdecov.gating.toml_format import write_toml

    write_table(gating.counts, folder / "counts.csv", index_label="sample")
    write_table(gating.proportions, folder / "proportions.csv", index_label="sample")
    write_table(gating.intervals(prob), folder / "intervals.csv")
    write_table(gating.table(), folder / "populations.csv")
    write_table(gating.diagnostics, folder / "diagnostics.csv", index_label="sample")
    if gating.settings["seeds"] > 1:
        write_table(gating.by_seed, folder / "seeds.csv")
    if len(gating.failures):
        write_table(gating.failures, folder / "failures.csv")
    write_toml(gating.hierarchy, folder / "hierarchy.toml")
    save(gating.to_inference_data(), folder / "posterior.nc")
    if members is not None:
        _write_members(gating, folder / "members", members)
    write_json(record_of(gating, prob, arguments, inputs or {}), folder / "run.json")


def record_of(
    gating: Gating, prob: float, arguments: Sequence[str], inputs: dict[str, Path]
) -> dict[str, Any]:
    """What ``run.json`` holds."""
    settings = gating.settings | {"quantity": gating.quantity, "interval_probability": prob}
    files = {name: path for name, path in gating.files.items() if path.is_file()}
    record = run_record("gate", settings, gating.notes, inputs | files, arguments)
    record["failures"] = gating.failures.to_dict("records")
    record["timings"] = {"seconds": gating.settings["seconds"]}
    return record


def file_name(name: str) -> str:
    """A name as part of a file's name."""
    return "".join(c if c.isalnum() or c in "-_+." else "_" for c in name)


def _write_members(gating: Gating, folder: Path, how: str) -> None:
    folder.mkdir()
    for sample in gating.counts.index:
        table = gating.members(sample)
        path = folder / f"{file_name(sample)}.{how}"
        if how == "csv":
            write_table(table.astype(int), path, index_label="event")
        elif how == "parquet":
            table.to_parquet(path)
        else:
            _write_fcs(gating.files[sample], table.to_numpy(), list(table.columns), path)


def _write_fcs(source: Path, inside: np.ndarray, names: list[str], path: Path) -> None:
    """The events of a file as recorded, with a parameter of 0 and 1 for every population."""
    import flowio

    from bayesdecov.gating.fcs import read_raw

    raw = read_raw(source)
    kept = {key: value for key, value in raw.keywords.items()
            if key in ("spill", "spillover", "fil", "cyt", "date", "src", "timestep")}  # fmt: skip
    values = np.column_stack([raw.values, inside.astype(np.float64)])
    ranges = {f"p{i}r": f"{channel.top:g}" for i, channel in enumerate(raw.channels, start=1)}
    with path.open("wb") as handle:
        flowio.create_fcs(
            handle, values.ravel().tolist(), [c.name for c in raw.channels] + names,
            [c.marker for c in raw.channels] + [""] * len(names), kept | ranges,
        )  # fmt: skip


def draw(gating: Gating, folder: Path) -> None:
    """A strip for every sample and for every gate, and the proportions."""
    from bayesdecov import plots

    folder.mkdir(exist_ok=True)
    for sample in gating.counts.index:
        figure = plots.gates(gating, sample)
        figure.savefig(folder / f"sample-{file_name(sample)}.png", dpi=_DPI)
    samples = list(gating.counts.index)
    for gate in gating.hierarchy.names:
        for page, first in enumerate(range(0, len(samples), _PAGE), start=1):
            figure = plots.gate(gating, gate, samples[first : first + _PAGE])
            number = f"-{page}" if len(samples) > _PAGE else ""
            figure.savefig(folder / f"gate-{file_name(gate)}{number}.png", dpi=_DPI)
    plots.stacked_bars(gating).savefig(folder / "proportions.png", dpi=150)
