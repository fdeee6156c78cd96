"""A finished run, from the fit in memory or from its folder, for reports and comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesdecov import checks
from bayesdecov.algebra.priors import JEFFREYS, Dirichlet, Prior, SoftmaxNormal
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError
from bayesdecov.io.files import readable
from bayesdecov.io.records import read_record, verify
from bayesdecov.io.tables import opened, read_table
from bayesdecov.results.posterior_draws import PosteriorDraws, before_shift, no_posterior
from bayesdecov.results.result import POSTERIOR, Result

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
        Name of the run in comparisons.
    command
        "deconvolve", "fastmix" or "gate".
    tables
        "proportions", "intervals" and "diagnostics" (of gating also "populations"); or "fixed",
        "genes", "covariance" and "design".
    groups
        The ArviZ groups as Datasets.
    record
        The content of ``run.json``: settings, versions, inputs, warnings, timings.
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
        """The options used, with defaults resolved."""
        settings: Mapping[str, Any] = self.record["settings"]
        return settings

    @property
    def version(self) -> str:
        """Version of bayesdecov that made the run."""
        return str((self.record.get("versions") or {}).get("bayesdecov", ""))

    @property
    def method(self) -> str:
        """How the run was made."""
        return str(self.settings["method"])

    @property
    def seconds(self) -> float:
        """Duration of the run."""
        return checks.to_number(self.settings.get("seconds"))

    @property
    def sampled(self) -> bool:
        """Whether there is more than one draw."""
        posterior = self.groups["posterior"]
        return bool(posterior.sizes["chain"] * posterior.sizes["draw"] > 1)

    def posterior_draws(self) -> PosteriorDraws:
        """Draws of the proportions and the prior they include.

        Raises
        ------
        InputError
            The run has no proportions, or a single draw of them.
        """
        if self.command == EFFECTS:
            raise InputError("run", "must contain proportions", found=f"a run of {self.command!r}")
        if not self.sampled:
            raise no_posterior("run", self.method)
        posterior = self.groups["posterior"]
        dims = ("sample", "chain", "draw", "cell_type")
        draws = posterior["proportions"].transpose(*dims).to_numpy()
        samples, cell_types = (
            pd.Index([str(name) for name in posterior[dim].to_numpy()])
            for dim in ("sample", "cell_type")
        )
        prior: Prior | None = JEFFREYS
        per_cell = None
        if self.command != GATING:
            prior, per_cell = self._prior(cell_types)
        shift = None
        if "moved" in self.groups.get("fit", {}):
            moved = self.groups["fit"]["moved"]
            shift = moved.transpose("replicate", "sample", "cell_type").to_numpy()
        return PosteriorDraws(
            draws.reshape(len(samples), -1, len(cell_types)),
            samples,
            cell_types,
            prior,
            per_cell,
            str(self.settings.get("quantity", "proportions")),
            before_shift(draws, shift, per_cell),
            shift,
        )

    def _prior(self, cell_types: pd.Index) -> tuple[Prior | None, Array | None]:
        """The prior of a deconvolution, from its record, and the mRNA per cell."""
        name = str(self.settings.get("prior"))
        known: dict[str, Prior | None] = {
            "flat": Dirichlet(1.0),
            "jeffreys": JEFFREYS,
            "normal": SoftmaxNormal(),
            "decovart": None,
            "none": None,
        }
        if name not in known:
            raise InputError(
                "run",
                "must have a named prior (flat or normal)",
                found=name,
                fix="use the Python function with the fit itself",
            )
        weights = self.settings.get("mrna_per_cell")
        per_cell = None
        if isinstance(weights, dict):
            per_cell = np.array([float(weights[name]) for name in cell_types])
        return known[name], per_cell


def run_of(source: Any, name: str | None = None) -> Run:
    """A `Run` of what `deconvolve`, `fastmix` or `gate` return, or of its folder."""
    if isinstance(source, Run):
        return source if name is None else replace(source, name=name)
    if isinstance(source, (str, Path)):
        return _from_folder(Path(source), name)
    if isinstance(source, Result) and source.command in _TABLES:
        return _from_result(source, name)
    raise InputError(
        "fit",
        "must be a result of deconvolve, fastmix or gate, or a run's folder",
        found=type(source).__name__,
        fix="give runs as separate arguments" if isinstance(source, list) else "",
    )


def usable(*runs: Run) -> AbstractContextManager[None]:
    """Report unreadable content of finished runs as an error of their folders."""
    folders = [run.source for run in runs if isinstance(run.source, Path)]
    return readable(folders[0], "a finished run", "run") if folders else nullcontext()


def posterior_draws_of(folder: str | Path) -> PosteriorDraws:
    """The draws of a finished run."""
    run = run_of(folder)
    with usable(run):
        return run.posterior_draws()


def _from_result(result: Result, name: str | None) -> Run:
    record = result.record()
    return Run(
        name or str(record["settings"]["method"]),
        result.command,
        result.tables(),
        _groups(result.to_inference_data()),
        record,
        result,
    )


def _groups(container: Any) -> dict[str, xr.Dataset]:
    from bayesdecov._arviz import as_tree  # ArviZ takes a second to load

    return {str(key): child.to_dataset() for key, child in as_tree(container).children.items()}


def _from_folder(folder: Path, name: str | None) -> Run:
    from bayesdecov._arviz import load

    record = read_record(folder)
    command = record["command"]
    if command not in _TABLES:
        raise InputError(
            "run", "must be a run of 'deconvolve', 'fastmix' or 'gate'", found=repr(command)
        )
    names = _TABLES[command]
    absent = [f"{n}.csv" for n in names if not (folder / f"{n}.csv").is_file()]
    if not (folder / POSTERIOR).is_file():
        absent.append(POSTERIOR)
    if absent:
        raise InputError(
            "run",
            f"{str(folder)!r} must contain all files of its run",
            found=f"no {', '.join(absent)}",
            fix="run it again",
        )
    if not isinstance(record["settings"].get("method"), str):
        raise InputError(
            "run",
            f"{str(folder)!r} must state the method of its run",
            found=repr(record["settings"].get("method"))[:40],
        )
    tables = {}
    with readable(folder, "a finished run", "run"):
        verify(folder, record, POSTERIOR)
        for each in names:
            path = folder / f"{each}.csv"
            verify(folder, record, path.name)
            tables[each] = _tidy(path) if each in _TIDY else read_table(path, each)
        groups = _groups(load(folder / POSTERIOR))
    return Run(name or folder.resolve().name, command, tables, groups, record, folder)


def _tidy(path: Path) -> pd.DataFrame:
    """A tidy table in which names remain text, also "007" and "NA"."""
    with opened(path, "run") as raw:
        table = pd.read_csv(raw, dtype=str, keep_default_na=False)
    for name in table.columns:
        if name not in _NAMES:
            table[name] = [float(value) if value else float("nan") for value in table[name]]
    return table
