"""Regions of a gate in two dimensions: a box, a band of slopes, a polygon. All are closed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra.terms import Array

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Box:
    """A rectangle, in the units of the hierarchy's scale."""

    x_min: float
    x_max: float
    y_min: float
    y_max: float

    def holds(self, x: Array, y: Array, unit: float) -> Mask:
        """Points inside or on the edge; ``x``, ``y`` are shares of the full scale of ``unit``."""
        return (
            (x >= self.x_min / unit)
            & (x <= self.x_max / unit)
            & (y >= self.y_min / unit)
            & (y <= self.y_max / unit)
        )


@dataclass(frozen=True)
class Slope:
    """Points whose ratio y / x lies between two numbers: single cells by area and height."""

    low: float
    high: float

    def holds(self, x: Array, y: Array, unit: float) -> Mask:
        """Points with low <= y/x <= high. A point at the origin has no ratio and is kept."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = y / x
        return ~((ratio < self.low) | (ratio > self.high))


@dataclass(frozen=True)
class Polygon:
    """A polygon, in the units of the hierarchy's scale; even-odd rule if it crosses itself."""

    vertices: tuple[tuple[float, float], ...]

    def holds(self, x: Array, y: Array, unit: float) -> Mask:
        """Points inside or on the edge; ``x``, ``y`` are shares of the full scale of ``unit``."""
        corners = np.array(self.vertices, dtype=np.float64) / unit
        inside = np.zeros(x.shape, dtype=bool)
        edge = np.zeros(x.shape, dtype=bool)
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            # twice the signed area of the triangle formed by the side and the point
            area = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)
            edge |= (
                (area == 0)
                & (x >= min(x0, x1))
                & (x <= max(x0, x1))
                & (y >= min(y0, y1))
                & (y <= max(y0, y1))
            )
            crosses = (y0 > y) != (y1 > y)  # this side spans the height of a ray to the right
            inside ^= crosses & ((area > 0) == (y1 > y0))
        return inside | edge


Region = Box | Slope | Polygon
