"""Boxes, slopes, polygons: closed, and in the units of the scale."""

from __future__ import annotations

import numpy as np
from matplotlib.path import Path

from bayesdecov.gating.regions import Box, Polygon, Slope


def test_box_is_closed():
    x = np.array([0.25, 0.25 - 1e-12, 0.75, 0.5, 0.5])
    y = np.array([0.5, 0.5, 0.5, 1.0, 1.0 + 1e-12])
    assert Box(50, 150, 0, 200).holds(x, y, 200).tolist() == [True, False, True, True, False]
    assert Box(-np.inf, np.inf, 100, np.inf).holds(x, y, 200).all()


def test_slope_keeps_the_origin():
    x = np.array([1.0, 1.0, 1.0, 0.0, 0.0])
    y = np.array([0.5, 1.0, 1.1, 1.0, 0.0])
    assert Slope(0.5, 1.0).holds(x, y, 200).tolist() == [True, True, False, False, True]


def test_polygon_agrees_with_matplotlib_inside_and_is_closed_on_the_edge():
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 200, (9, 2))
    corners = corners[np.argsort(np.arctan2(*(corners - corners.mean(0)).T))]
    points = rng.uniform(0, 1, (5000, 2))
    found = Polygon(tuple(map(tuple, corners))).holds(*points.T, 200.0)
    assert (found == Path(corners / 200).contains_points(points)).all()
    square = Polygon(((0, 0), (200, 0), (200, 200), (0, 200)))
    x, y = np.array([0, 1, 1, 0.5, 0, 1.001]), np.array([0, 1, 0.5, 1, 0.5, 0.5])
    assert square.holds(x, y, 200).tolist() == [True, True, True, True, True, False]


def test_polygon_that_crosses_itself_is_even_odd():
    bow = Polygon(((0, 0), (1, 1), (1, 0), (0, 1)))
    x, y = np.array([0.1, 0.9, 0.5]), np.array([0.5, 0.5, 0.9])
    assert bow.holds(x, y, 1.0).tolist() == [True, True, False]
