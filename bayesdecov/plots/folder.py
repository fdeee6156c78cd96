"""The plots of a result, as PNG files in a folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial, singledispatch
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from bayesdecov.benchmarking.result import Benchmark
from bayesdecov.calibration.result import Calibration
from bayesdecov.cohort.result import Contrast
from bayesdecov.comparison import Comparison
from bayesdecov.deconvolution.fitted import FittedProportions
from bayesdecov.enrichment import Enrichment
from bayesdecov.errors import InputError
from bayesdecov.gating.result import Gating
from bayesdecov.io.files import cut, file_names
from bayesdecov.mixed_effects.fitted import FittedEffects
from bayesdecov.plots.benchmark import heat_map
from bayesdecov.plots.calibration import calibration
from bayesdecov.plots.comparison import comparison
from bayesdecov.plots.contrast import contrast
from bayesdecov.plots.effects import effects, volcano
from bayesdecov.plots.enrichment import enrichment
from bayesdecov.plots.gating import gate, gates
from bayesdecov.plots.proportions import intervals, stacked_bars
from bayesdecov.progress import track

_DPI, _DPI_GATES, _DPI_BENCHMARK = 150, 110, 120
_PAGE = 60  # samples in one plot of a gate
_VOLCANOS = 24  # of the first products
_METRICS = ("rmse", "r_types", "coverage", "seconds")


@singledispatch
def draw(result: Any, folder: Path, **options: Any) -> None:
    """Draw the plots of a result to a folder, which is created if necessary.

    Parameters
    ----------
    result
        The result of `deconvolve`, `fastmix`, `gate`, `contrast`, `compare`, `enrich`,
        `calibrate` or `benchmark`.
    folder
        For ``proportions.png`` and ``intervals.png``; ``effects.png`` and ``volcano-NAME.png``; a
        strip of dot plots for every sample and gate; or ``COMMAND.png``.
    **options
        Of a deconvolution: ``truth`` (samples x cell types) and ``prob``. Of a gating:
        ``progress``. Of effects: ``most``, the number of volcanos (24).

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import bayesdecov as bd
    >>> cohort = bd.simulate.convolution(n_samples=4, n_genes=40, n_types=3, seed=1)
    >>> reference = bd.Reference.from_samples(cohort.purified, cohort.labels)
    >>> fit = bd.deconvolve(cohort.bulk, reference)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bd.plots.draw(fit, Path(folder))
    ...     sorted(path.name for path in Path(folder).iterdir())
    ['intervals.png', 'proportions.png']
    """
    raise InputError("result", "must be the result of an analysis", found=type(result).__name__)


@draw.register
def _deconvolution(
    fit: FittedProportions, folder: Path, *, truth: pd.DataFrame | None = None, prob: float = 0.95
) -> None:
    _save(folder, "proportions", stacked_bars(fit))
    if fit.draws is not None or fit.covariance is not None:
        _save(folder, "intervals", intervals(fit, prob=prob, truth=truth))


@draw.register
def _effects(fit: FittedEffects, folder: Path, *, most: int = _VOLCANOS) -> None:
    _save(folder, "effects", effects(fit))
    kinds = fit.design.columns["kind"]
    products = [name for name in fit.random if kinds[name] == "product"]
    drawn: set[str] = set()
    for number, name in enumerate(products[:most], 1):
        safe = cut(re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("_."))
        if safe.lower() in drawn or not safe:
            safe = f"{safe}-{number}"
        drawn.add(safe.lower())
        _save(folder, f"volcano-{safe}", volcano(fit, name))


@draw.register
def _gating(gating: Gating, folder: Path, *, progress: bool = False) -> None:
    samples = list(gating.counts.index)
    pages = [samples[first : first + _PAGE] for first in range(0, len(samples), _PAGE)]
    work: list[tuple[str, Callable[[], Figure]]] = [
        (f"sample-{stem}", partial(gates, gating, sample))
        for sample, stem in file_names(samples).items()
    ]
    for name, stem in file_names(gating.hierarchy.names).items():
        for number, page in enumerate(pages, start=1):
            title = f"gate-{stem}" if len(pages) == 1 else f"gate-{stem}-page{number}"
            work.append((title, partial(gate, gating, name, page)))
    for title, make in track(work, [1] * len(work), "Drawing", show=progress, unit="pictures"):
        _save(folder, title, make(), _DPI_GATES)
    _save(folder, "proportions", stacked_bars(gating))


@draw.register
def _contrast(found: Contrast, folder: Path) -> None:
    _save(folder, "contrasts", contrast(found))


@draw.register
def _comparison(found: Comparison, folder: Path) -> None:
    _save(folder, "comparison", comparison(found))


@draw.register
def _enrichment(found: Enrichment, folder: Path) -> None:
    if len(found.table):
        _save(folder, "enrichment", enrichment(found))


@draw.register
def _calibration(found: Calibration, folder: Path) -> None:
    _save(folder, "calibration", calibration(found))


@draw.register
def _benchmark(found: Benchmark, folder: Path) -> None:
    levels = found.levels()
    for metric in _METRICS:
        if levels[metric].notna().any():
            _save(folder, metric, heat_map(found, metric), _DPI_BENCHMARK)


def _save(folder: Path, name: str, figure: Figure, dpi: int = _DPI) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.png", dpi=dpi)
