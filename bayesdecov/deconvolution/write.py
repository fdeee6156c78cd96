"""The files of a deconvolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesdecov.io.outputs import whole_folder
from bayesdecov.io.records import run_record, write_json
from bayesdecov.io.tables import write_table

if TYPE_CHECKING:
    from bayesdecov.deconvolution.result import Deconvolution


def write_deconvolution(
    fit: Deconvolution,
    folder: Path,
    *,
    force: bool = False,
    prob: float = 0.95,
    inputs: Mapping[str, Path] | None = None,
) -> None:
    """``proportions.csv intervals.csv diagnostics.csv posterior.nc run.json`` in a new folder."""
    with whole_folder(folder, force=force) as partial:
        fill_deconvolution(fit, partial, prob=prob, inputs=inputs)


def fill_deconvolution(
    fit: Deconvolution,
    folder: Path,
    *,
    prob: float = 0.95,
    inputs: Mapping[str, Path] | None = None,
    arguments: Sequence[str] = (),
) -> None:
    """The files of `write_deconvolution` in an existing folder."""
    from bayesdecov._arviz import save

    fill_tables(fit, folder, prob)
    save(fit.to_inference_data(), folder / "posterior.nc")
    write_json(record_of(fit, prob, inputs or {}, arguments), folder / "run.json")


def fill_tables(fit: Deconvolution, folder: Path, prob: float) -> None:
    """The tables of `write_deconvolution` in an existing folder."""
    write_table(fit.proportions, folder / "proportions.csv", index_label="sample")
    write_table(fit.intervals(prob), folder / "intervals.csv")
    write_table(fit.diagnostics, folder / "diagnostics.csv", index_label="sample")


def record_of(
    fit: Deconvolution, prob: float, inputs: Mapping[str, Path], arguments: Sequence[str]
) -> dict[str, Any]:
    """What ``run.json`` holds."""
    settings = dict(fit.settings) | {"quantity": fit.quantity, "interval_probability": prob}
    settings["reference"] = fit.reference.settings
    settings["replicates"] = fit.reference.replicates.to_dict()
    record = run_record("deconvolve", settings, fit.notes, inputs, arguments)
    record["timings"] = {"seconds": fit.settings.get("seconds")}
    return record
