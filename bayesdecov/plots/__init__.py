"""Pictures of results. Every function returns a matplotlib Figure and changes no global state."""

from bayesdecov.plots.calibration import calibration
from bayesdecov.plots.comparison import comparison
from bayesdecov.plots.effects import effects, volcano
from bayesdecov.plots.gating import gate, gates
from bayesdecov.plots.proportions import intervals, stacked_bars

__all__ = [
    "calibration",
    "comparison",
    "effects",
    "gate",
    "gates",
    "intervals",
    "stacked_bars",
    "volcano",
]
