"""Simulation-based calibration: whether intervals hold what they promise, and uniform ranks."""

from bayesdecov.calibration.bands import uniformity
from bayesdecov.calibration.calibrate import MODELS, Calibration, calibrate

__all__ = ["MODELS", "Calibration", "calibrate", "uniformity"]
