"""Simulators: data with a known truth, for tests, examples and calibration."""

from bayesdecov.simulate.convolution import Cohort, convolution
from bayesdecov.simulate.cytometry import CytometryCohort, blood_hierarchy, cytometry
from bayesdecov.simulate.fastmix import MixedCohort, fastmix

__all__ = [
    "Cohort",
    "CytometryCohort",
    "MixedCohort",
    "blood_hierarchy",
    "convolution",
    "cytometry",
    "fastmix",
]
