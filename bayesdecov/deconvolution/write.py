"""The files of a deconvolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bayesdecov.io.outputs import run_record, whole_folder, write_json
from bayesdecov.io.tables import write_table

if TYPE_CHECKING:
    from bayesdecov.results import Deconvolution


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
    write_table(fit.proportions, folder / "proportions.csv", index_label="sample")
    write_table(fit.intervals(prob), folder / "intervals.csv")
    write_table(fit.diagnostics, folder / "diagnostics.csv", index_label="sample")
    if fit.draws is not None:
        from bayesdecov._arviz import save

        save(fit.to_inference_data(), folder / "posterior.nc")
    settings = dict(fit.settings) | {"quantity": fit.quantity, "interval_probability": prob}
    settings["reference"] = fit.reference.settings
    record = run_record("deconvolve", settings, fit.notes, inputs or {}, arguments)
    record["timings"] = {"seconds": fit.settings.get("seconds")}
    write_json(record, folder / "run.json")
