"""A finished run, from the fit in memory or from its folder: what reports and comparisons read."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.io.files import readable
from bayesdecov.io.records import read_record, verify
from bayesdecov.io.tables import opened, read_table

PROPORTIONS, EFFECTS, GATING = "deconvolve", "fastmix", "gate"
_TABLES = {
    PROPORTIONS: ("proportions", "intervals", "diagnostics"),
    EFFECTS: ("fixed", "genes", "covariance", "design"),
    GATING: ("proportions", "intervals", "diagnostics", "populations"),
}
_TIDY = ("intervals", "genes", "populations")  # tidy tables have no row names
_NAMES = ("sample", "cell_type", "gene", "covariate", "population", "path", "parent")


@dataclass(frozen=True)
class Run:
    """Tables, groups and record of a run.

    Attributes
    ----------
    name
        What comparisons call it.
    command
        "deconvolve", "fastmix" or "gate".
    tables
        "proportions", "intervals" and "diagnostics" (of gating also "populations"); or "fixed",
        "genes", "covariance" and "design".
    groups
        The ArviZ groups as Datasets.
    record
        What ``run.json`` holds: settings, versions, inputs, warnings, timings.
    source
        The fit, or its folder.
    """

    name: str
    command: str
    tables: dict[str, pd.DataFrame]
    groups: dict[str, xr.Dataset]
    record: Mapping[str, Any]
    source: Any = None

    @property
    def settings(self) -> Mapping[str, Any]:
        """Every option after defaults were resolved."""
        settings: Mapping[str, Any] = self.record["settings"]
        return settings

    @property
    def version(self) -> str:
        """The bayesdecov that made it."""
        return str((self.record.get("versions") or {}).get("bayesdecov", ""))

    @property
    def method(self) -> str:
        """How the run was made."""
        return str(self.settings["method"])

    @property
    def seconds(self) -> float:
        """How long it took."""
        return checks.number_of(self.settings.get("seconds"))

    @property
    def sampled(self) -> bool:
        """Whether there is more than one draw."""
        posterior = self.groups["posterior"]
        return bool(posterior.sizes["chain"] * posterior.sizes["draw"] > 1)


def run_of(source: Any, name: str | None = None) -> Run:
    """A `Run` of a fit (`Deconvolution`, `MixedEffects`, `Gating`) or of its folder."""
    if isinstance(source, Run):
        return source if name is None else replace(source, name=name)
    if isinstance(source, (str, Path)):
        return _from_folder(Path(source), name)
    from bayesdecov.deconvolution.result import Deconvolution
    from bayesdecov.gating.result import Gating
    from bayesdecov.mixed_effects.result import MixedEffects

    if isinstance(source, (Deconvolution, MixedEffects, Gating)):
        return _from_fit(source, name)
    raise InputError("fit", "must be what deconvolve, fastmix or gate return, or a run's folder",
                     found=type(source).__name__,
                     fix="give runs as separate arguments" if isinstance(source, list) else ""
                     )  # fmt: skip


def usable(*runs: Run) -> AbstractContextManager[None]:
    """What cannot be understood of finished runs is an error of their folders, not ours."""
    folders = [run.source for run in runs if isinstance(run.source, Path)]
    return readable(folders[0], "a finished run", "run") if folders else nullcontext()


def _from_fit(fit: Any, name: str | None) -> Run:
    from bayesdecov._arviz import as_tree
    from bayesdecov.deconvolution.result import Deconvolution
    from bayesdecov.deconvolution.write import record_of as record_of_proportions
    from bayesdecov.gating.result import Gating
    from bayesdecov.gating.write import record_of as record_of_gating
    from bayesdecov.mixed_effects.write import record_of as record_of_effects

    tree = as_tree(fit.to_inference_data())
    groups = {str(key): child.to_dataset() for key, child in tree.children.items()}
    name = name or fit.method
    if isinstance(fit, (Deconvolution, Gating)):
        tables = {"proportions": fit.proportions, "intervals": fit.intervals(),
                  "diagnostics": fit.diagnostics}  # fmt: skip
        if isinstance(fit, Gating):
            tables["populations"] = fit.table()
            return Run(name, GATING, tables, groups, record_of_gating(fit, 0.95, (), {}), fit)
        record = record_of_proportions(fit, 0.95, {}, ())
        return Run(name, PROPORTIONS, tables, groups, record, fit)
    tables = {"fixed": fit.fixed, "genes": fit.genes, "covariance": fit.covariance,
              "design": fit.design.columns}  # fmt: skip
    return Run(name, EFFECTS, tables, groups, record_of_effects(fit, {}, ()), fit)


def _from_folder(folder: Path, name: str | None) -> Run:
    from bayesdecov._arviz import as_tree, load

    record = read_record(folder)
    command = record["command"]
    if command not in _TABLES:
        raise InputError("run", "must be a run of 'deconvolve', 'fastmix' or 'gate'",
                         found=repr(command))  # fmt: skip
    names = _TABLES[command]
    absent = [f"{n}.csv" for n in names if not (folder / f"{n}.csv").is_file()]
    if not (folder / "posterior.nc").is_file():
        absent.append("posterior.nc")
    if absent:
        raise InputError("run", f"{str(folder)!r} must hold all files of its run",
                         found=f"no {', '.join(absent)}", fix="run it again")  # fmt: skip
    if not isinstance(record["settings"].get("method"), str):
        raise InputError("run", f"{str(folder)!r} must say the method of its run",
                         found=repr(record["settings"].get("method"))[:40])  # fmt: skip
    tables = {}
    with readable(folder, "a finished run", "run"):
        verify(folder, record, "posterior.nc")
        for each in names:
            path = folder / f"{each}.csv"
            verify(folder, record, path.name)
            tables[each] = _tidy(path) if each in _TIDY else read_table(path, each)
        tree = as_tree(load(folder / "posterior.nc"))
        groups = {str(key): child.to_dataset() for key, child in tree.children.items()}
    return Run(name or folder.resolve().name, command, tables, groups, record, folder)


def _tidy(path: Path) -> pd.DataFrame:
    """A tidy table whose names stay text, also "007" and "NA"."""
    with opened(path, "run") as raw:
        table = pd.read_csv(raw, dtype=str, keep_default_na=False)
    for name in table.columns:
        if name not in _NAMES:
            table[name] = [float(value) if value else float("nan") for value in table[name]]
    return table
