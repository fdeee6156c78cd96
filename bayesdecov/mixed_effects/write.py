"""The files of a mixed-model fit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesdecov.io.files import cut
from bayesdecov.io.outputs import whole_folder
from bayesdecov.io.records import run_record, write_json
from bayesdecov.io.tables import write_table

if TYPE_CHECKING:
    from bayesdecov.mixed_effects.result import MixedEffects


def write_mixed_effects(fit: MixedEffects, folder: Path, *, force: bool = False) -> None:
    """``fixed.csv genes.csv covariance.csv design.csv posterior.nc run.json`` in a new folder.

    After ``method="joint"`` also the refined ``proportions.csv`` and their ``intervals.csv``.
    """
    with whole_folder(folder, force=force) as partial:
        fill_mixed_effects(fit, partial)


def fill_mixed_effects(
    fit: MixedEffects,
    folder: Path,
    *,
    inputs: Mapping[str, Path] | None = None,
    arguments: Sequence[str] = (),
) -> None:
    """The files of `write_mixed_effects` in an existing folder."""
    from bayesdecov._arviz import save

    write_table(fit.fixed, folder / "fixed.csv", index_label="covariate")
    write_table(fit.genes, folder / "genes.csv")
    write_table(fit.covariance, folder / "covariance.csv", index_label="covariate")
    write_table(fit.design.columns, folder / "design.csv", index_label="column")
    if fit.refined is not None:
        write_table(fit.refined.proportions, folder / "proportions.csv", index_label="sample")
        write_table(fit.refined.intervals(), folder / "intervals.csv")
    save(fit.to_inference_data(), folder / "posterior.nc")
    write_json(record_of(fit, inputs or {}, arguments), folder / "run.json")


def record_of(
    fit: MixedEffects, inputs: Mapping[str, Path], arguments: Sequence[str]
) -> dict[str, Any]:
    """What ``run.json`` holds."""
    settings = dict(fit.settings)
    settings["standardisation"] = fit.design.coding.scaling.to_dict("index")
    noise = fit.noise
    settings["residual_variance"] = noise if isinstance(noise, float) else float(noise.median())
    record = run_record("fastmix", settings, fit.notes, inputs, arguments)
    record["timings"] = {"seconds": fit.settings.get("seconds")}
    return record


def draw(fit: MixedEffects, folder: Path, *, most: int = 24) -> None:
    """``effects.png``, and ``volcano-NAME.png`` for the products (the first ``most`` of them)."""
    from bayesdecov import plots

    folder.mkdir(parents=True, exist_ok=True)
    plots.effects(fit).savefig(folder / "effects.png", dpi=150)
    products = [name for name in fit.random if fit.design.columns.at[name, "kind"] == "product"]
    drawn: set[str] = set()
    for number, name in enumerate(products[:most], 1):
        safe = cut(re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("_."))
        if safe.lower() in drawn or not safe:
            safe = f"{safe}-{number}"
        drawn.add(safe.lower())
        plots.volcano(fit, name).savefig(folder / f"volcano-{safe}.png", dpi=150)
