"""Pictures of results. Every function returns a matplotlib Figure and changes no global state."""

from bayesdecov.plots.proportions import intervals, stacked_bars

__all__ = ["intervals", "stacked_bars"]
