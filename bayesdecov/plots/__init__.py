"""Plots of results. Every function returns a matplotlib Figure and changes no global state."""

from bayesdecov.plots.benchmark import by_type, cost, heat_map, spill_over
from bayesdecov.plots.calibration import calibration
from bayesdecov.plots.comparison import comparison
from bayesdecov.plots.contrast import contrast
from bayesdecov.plots.effects import effects, volcano
from bayesdecov.plots.enrichment import enrichment
from bayesdecov.plots.folder import draw
from bayesdecov.plots.gating import gate, gates
from bayesdecov.plots.platform import gene_shifts
from bayesdecov.plots.proportions import intervals, stacked_bars

__all__ = [
    "by_type",
    "calibration",
    "comparison",
    "contrast",
    "cost",
    "draw",
    "effects",
    "enrichment",
    "gate",
    "gates",
    "gene_shifts",
    "heat_map",
    "intervals",
    "spill_over",
    "stacked_bars",
    "volcano",
]
