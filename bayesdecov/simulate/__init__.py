"""Simulators: data with a known truth, for tests, examples and calibration."""

from bayesdecov.simulate.convolution import Cohort, convolution

__all__ = ["Cohort", "convolution"]
