"""Simulators: data with a known truth, for tests, examples and calibration."""

from bayesdecov.simulate.convolution import Cohort, convolution
from bayesdecov.simulate.fastmix import MixedCohort, fastmix

__all__ = ["Cohort", "MixedCohort", "convolution", "fastmix"]
