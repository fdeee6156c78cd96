"""The files of a gating."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.gating.events import FCS
from bayesdecov.gating.fcs_write import add_parameters, is_integer
from bayesdecov.io.files import file_names
from bayesdecov.io.outputs import whole_folder
from bayesdecov.io.records import run_record, write_json
from bayesdecov.io.tables import write_table
from bayesdecov.progress import track

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
        whole = [name for name in gating.counts.index if is_integer(gating.files[name])]
        if whole:
            raise InputError("members", "'fcs' adds parameters to files of floating-point data",
                             found=f"integer data in {checks.some(whole)}",
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
    matrix = Path(gating.hierarchy.reading.compensate)
    if matrix.is_file():
        files = {"compensate": matrix, **files}
    record = run_record("gate", settings, gating.notes, inputs | files, arguments)
    record["failures"] = gating.failures.to_dict("records")
    record["timings"] = {"seconds": gating.settings["seconds"]}
    return record


def _write_members(gating: Gating, folder: Path, how: str) -> None:
    folder.mkdir()
    for sample, stem in file_names(gating.counts.index).items():
        table = gating.members(sample)
        path = folder / f"{stem}.{how}"
        if how == "csv":
            write_table(table.astype(int), path, index_label="event")
        elif how == "parquet":
            table.to_parquet(path)
        else:
            add_parameters(gating.files[sample], table, path)


def draw(gating: Gating, folder: Path, *, progress: bool = False) -> None:
    """A strip for every sample and for every gate, and the proportions."""
    from bayesdecov import plots

    folder.mkdir(exist_ok=True)
    samples = list(gating.counts.index)
    pages = [samples[first : first + _PAGE] for first in range(0, len(samples), _PAGE)]
    work: list[tuple[str, Callable[[], Figure]]] = [
        (f"sample-{stem}", partial(plots.gates, gating, sample))
        for sample, stem in file_names(samples).items()
    ]
    for gate, stem in file_names(gating.hierarchy.names).items():
        for number, page in enumerate(pages, start=1):
            name = f"gate-{stem}" if len(pages) == 1 else f"gate-{stem}-page{number}"
            work.append((name, partial(plots.gate, gating, gate, page)))
    for name, make in track(work, [1] * len(work), "Drawing", show=progress, unit="pictures"):
        make().savefig(folder / f"{name}.png", dpi=_DPI)
    plots.stacked_bars(gating).savefig(folder / "proportions.png", dpi=150)
