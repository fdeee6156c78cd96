"""Simulation-based calibration: coverage of intervals and uniformity of ranks."""

from bayesdecov.calibration.bands import uniformity
from bayesdecov.calibration.calibrate import MODELS, Calibration, calibrate

__all__ = ["MODELS", "Calibration", "calibrate", "uniformity"]
