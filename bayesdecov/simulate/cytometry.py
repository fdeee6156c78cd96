"""Simulated flow cytometry of blood with known composition: 8 colours, spillover, debris."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.gating.fcs_write import write_fcs
from bayesdecov.gating.gates import Clustering, Composition, Gate
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.regions import Box, Slope

_TOP = 262144.0
# detector -> marker, in the order of the file
PANEL = {
    "FITC-A": "CD4",
    "PE-A": "Viability",
    "PerCP-Cy5-5-A": "CD14",
    "PE-Cy7-A": "CD19",
    "APC-A": "CD66",
    "APC-H7-A": "CD8",
    "V450-A": "CD3",
    "V500-A": "CD45",
}
_SPILL = {
    ("FITC-A", "PE-A"): 0.15,
    ("FITC-A", "V500-A"): 0.05,
    ("PE-A", "PerCP-Cy5-5-A"): 0.12,
    ("PE-A", "PE-Cy7-A"): 0.02,
    ("PerCP-Cy5-5-A", "PE-Cy7-A"): 0.15,
    ("PE-Cy7-A", "APC-H7-A"): 0.06,
    ("APC-A", "APC-H7-A"): 0.10,
    ("APC-H7-A", "PE-Cy7-A"): 0.03,
    ("V450-A", "V500-A"): 0.20,
    ("V500-A", "FITC-A"): 0.04,
}


class _Cell(NamedTuple):
    """Usual share, scatter, and markers in linear units (others are negative)."""

    share: float
    forward: float
    side: float
    markers: dict[str, float]


_CELLS = {
    "Neutrophils": _Cell(0.55, 120e3, 130e3, {"CD45": 12e3, "CD66": 30e3}),
    "Monocytes": _Cell(0.08, 115e3, 60e3, {"CD45": 25e3, "CD14": 30e3, "CD4": 1.5e3}),
    "CD4 T cells": _Cell(0.15, 80e3, 25e3, {"CD45": 45e3, "CD3": 25e3, "CD4": 25e3}),
    "CD8 T cells": _Cell(0.10, 80e3, 26e3, {"CD45": 45e3, "CD3": 25e3, "CD8": 35e3}),
    "B cells": _Cell(0.07, 85e3, 27e3, {"CD45": 40e3, "CD19": 25e3}),
    "NK cells": _Cell(0.05, 82e3, 30e3, {"CD45": 42e3, "CD8": 1.5e3}),
}
_DEBRIS, _DEAD, _DOUBLETS = 0.08, 0.05, 0.04  # shares of all events
_CONCENTRATION = 40.0  # of the Dirichlet between donors
_CELL_SD = 0.25  # of the logarithm, between cells
_DONOR_SD = 0.08  # of the logarithm, between donors, one for each channel
_HEIGHT = 0.75  # ratio of height to area of a single cell
_ELECTRONIC = 60.0  # standard deviation of a detector's electronic noise
_PHOTONS = 4.0  # units of the scale per photoelectron


@dataclass(frozen=True)
class CytometryCohort:
    """Simulated flow-cytometry samples. All data in it are simulated.

    Attributes
    ----------
    samples
        Events x channels as recorded by a cytometer (with spillover), by sample.
    labels
        The population of every event: a cell type, "dead", "debris" or "doublet".
    proportions
        True proportions of live single leukocytes in the donors, samples x cell types, from which
        events are drawn.
    spillover
        Rows are dyes, columns detectors.
    """

    samples: dict[str, pd.DataFrame]
    labels: dict[str, pd.Series]
    proportions: pd.DataFrame
    spillover: pd.DataFrame

    def counted(self) -> pd.DataFrame:
        """Proportions among the recorded live single leukocytes."""
        names = list(self.proportions.columns)
        rows = {
            name: labels.value_counts().reindex(names, fill_value=0)
            for name, labels in self.labels.items()
        }
        table = pd.DataFrame(rows).T.rename_axis("sample")
        return table.div(table.sum(axis=1), axis=0)

    def write(self, folder: str | Path) -> list[Path]:
        """Write one FCS 3.1 file per sample, with its spillover matrix, and return the paths."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        dyes = list(self.spillover.index)
        spill = ",".join(map(str, [len(dyes), *dyes, *self.spillover.to_numpy().ravel()]))
        paths = []
        for name, events in self.samples.items():
            channels = list(events.columns)
            ranges = {f"p{i}r": f"{_TOP:.0f}" for i in range(1, len(channels) + 1)}
            path = folder / f"{name}.fcs"
            markers = [PANEL.get(channel, "") for channel in channels]
            keywords = {"spillover": spill, "cyt": "simulated", **ranges}
            write_fcs(path, events.to_numpy(), channels, markers, keywords)
            paths.append(path)
        return paths

    def __repr__(self) -> str:
        events = sum(map(len, self.samples.values()))
        return (
            f"CytometryCohort (simulated): {len(self.samples)} samples, {events} events, "
            f"{self.proportions.shape[1]} cell types"
        )


def blood_hierarchy(*, k: int = 100, seed: int = 2) -> Hierarchy:
    """Gates for the simulated panel: singlets, leukocytes, live cells, then the cell types."""
    gates = (
        Gate("Singlets", "FSC-A", "FSC-H", Slope(0.62, 0.95), mode="events", recluster=True),
        Gate("Leukocytes", "FSC-A", "SSC-A", Box(38, 200, 5, 200), "Singlets"),
        Gate("Live", "Viability", "SSC-A", Box(0, 100, 0, 200), "Leukocytes", recluster=True),
        Gate("Neutrophils", "CD66", "CD45", Box(100, 200, 90, 200), "Live"),
        Gate("Mononuclear", "CD66", "CD45", Box(0, 100, 90, 200), "Live"),
        Gate("Monocytes", "CD14", "CD3", Box(110, 200, 0, 100), "Mononuclear"),
        Gate("T cells", "CD3", "CD19", Box(100, 200, 0, 100), "Mononuclear"),
        Gate("B cells", "CD3", "CD19", Box(0, 100, 100, 200), "Mononuclear"),
        Gate("CD4 T cells", "CD4", "CD8", Box(110, 200, 0, 120), "T cells"),
        Gate("CD8 T cells", "CD4", "CD8", Box(0, 110, 120, 200), "T cells"),
    )
    return Hierarchy(
        gates,
        name="simulated blood",
        clustering=Clustering(k=k, init="k-means++", seed=seed, inherit="nearest"),
        composition=Composition(
            of="Live",
            types=("Neutrophils", "Monocytes", "CD4 T cells", "CD8 T cells", "B cells"),
            rest="NK cells and others",
        ),
    )


def cytometry(
    n_samples: int = 6,
    n_events: int = 20_000,
    *,
    proportions: pd.DataFrame | None = None,
    seed: Any = None,
) -> CytometryCohort:
    """Simulate blood samples on a flow cytometer.

    Six leukocyte types with log-normal markers, negative cells around zero, dead cells, debris and
    doublets, spillover between eight dyes, photon and electronic noise, and slightly different
    staining of the donors.

    Parameters
    ----------
    n_samples
        Number of donors; not used with ``proportions``.
    n_events
        Recorded events per sample.
    proportions
        Samples x cell types ("Neutrophils", "Monocytes", "CD4 T cells", "CD8 T cells", "B cells",
        "NK cells", or some of them): fractions of live single leukocytes with sums of at most 1.
        The remainder is divided among the other types. Default: drawn from a Dirichlet.
    seed
        None, an int or a Generator.

    Examples
    --------
    >>> from bayesdecov import simulate
    >>> cohort = simulate.cytometry(2, 500, seed=1)
    >>> cohort.proportions.sum(axis=1).round(6).tolist()
    [1.0, 1.0]
    """
    rng = checks.make_generator(seed)
    n_events = checks.check_whole(n_events, "n_events", at_least=50)
    names = list(_CELLS)
    if proportions is None:
        n_samples = checks.check_whole(n_samples, "n_samples")
        alpha = _CONCENTRATION * np.array([cell.share for cell in _CELLS.values()])
        index = pd.Index([f"donor{i + 1:02d}" for i in range(n_samples)], name="sample")
        P = pd.DataFrame(rng.dirichlet(alpha, n_samples), index, names)
    else:
        P = _completed(checks.check_numeric(proportions, "proportions"), names)
    spillover = _spillover()
    samples, labels = {}, {}
    for name, p in zip(P.index, P.to_numpy(), strict=True):
        samples[name], labels[name] = _sample(p, n_events, spillover.to_numpy(), rng)
    return CytometryCohort(samples, labels, P, spillover)


def _completed(given: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    unknown = given.columns.difference(names)
    if len(unknown):
        raise InputError(
            "proportions", f"must have only {', '.join(names)}", found=checks.some(unknown)
        )
    left = 1 - given.sum(axis=1)
    others = [name for name in names if name not in given]
    if (given < 0).any(axis=None) or (left < -1e-9).any() or (not others and (left > 1e-9).any()):
        raise InputError(
            "proportions",
            "must be fractions that add up to at most 1 (to 1 with all six types)",
            found=f"sums from {given.sum(axis=1).min():.3g} to {given.sum(axis=1).max():.3g}",
        )
    full = given.copy()
    usual = sum(_CELLS[name].share for name in others)
    for name in others:
        full[name] = left.clip(lower=0) * _CELLS[name].share / usual
    return full[names].rename_axis("sample")


def _spillover() -> pd.DataFrame:
    dyes = list(PANEL)
    table = pd.DataFrame(np.eye(len(dyes)), dyes, dyes)
    for (dye, detector), share in _SPILL.items():
        table.loc[dye, detector] = share
    return table


def _sample(
    p: np.ndarray, n: int, spillover: np.ndarray, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.Series]:
    """Events of one donor and their labels."""
    cells = list(_CELLS.values())
    kind = rng.choice(len(p), n, p=p / p.sum())
    fate = rng.choice(4, n, p=[1 - _DEBRIS - _DEAD - _DOUBLETS, _DEAD, _DEBRIS, _DOUBLETS])
    markers = list(PANEL.values())
    levels = np.array([[cell.markers.get(marker, 0.0) for marker in markers] for cell in cells])
    donor = np.exp(_DONOR_SD * rng.normal(size=len(markers)))
    light = levels[kind] * donor * np.exp(_CELL_SD * rng.normal(size=(n, len(markers))))
    viability = markers.index("Viability")
    light[fate == 1, viability] = 25e3 * np.exp(_CELL_SD * rng.normal(size=(fate == 1).sum()))
    scatter = np.array([[cell.forward, cell.side] for cell in cells])[kind]
    scatter = scatter * np.exp(rng.normal(0, [0.10, 0.15], (n, 2)))
    scatter[fate == 1] *= [0.85, 1.0]
    debris = fate == 2
    scatter[debris] = np.exp(rng.normal(np.log([25e3, 15e3]), [0.2, 0.4], (debris.sum(), 2)))
    light[debris] *= 0.1
    height = _HEIGHT * scatter[:, 0] * np.exp(0.03 * rng.normal(size=n))
    pairs = np.flatnonzero(fate == 3)
    partner = rng.permutation(n)[: len(pairs)]  # of any kind
    scatter[pairs] += scatter[partner] * 0.9
    light[pairs] += light[partner]
    height[pairs] = _HEIGHT * 0.62 * scatter[pairs, 0] * np.exp(0.05 * rng.normal(size=len(pairs)))
    seen = light @ spillover
    seen += rng.normal(size=seen.shape) * np.sqrt(_PHOTONS * seen + _ELECTRONIC**2)
    table = np.column_stack([scatter[:, 0], height, scatter[:, 1], seen])
    table = np.minimum(table, _TOP - 1)
    time = np.sort(rng.uniform(0, 60e3, n))
    columns = ["FSC-A", "FSC-H", "SSC-A", *PANEL, "Time"]
    names = np.array([*_CELLS, "dead", "debris", "doublet"])
    label = np.where(fate == 0, kind, len(_CELLS) - 1 + fate)
    return pd.DataFrame(np.column_stack([table, time]), columns=columns), pd.Series(names[label])
