"""Simulators: data with known true values, for tests, examples and calibration."""

from bayesdecov.simulate.cells import CellCohort, cells
from bayesdecov.simulate.convolution import Cohort, convolution
from bayesdecov.simulate.cytometry import CytometryCohort, blood_hierarchy, cytometry
from bayesdecov.simulate.fastmix import MixedCohort, fastmix
from bayesdecov.simulate.tissue import Tissue, tissue

__all__ = [
    "CellCohort",
    "Cohort",
    "CytometryCohort",
    "MixedCohort",
    "Tissue",
    "blood_hierarchy",
    "cells",
    "convolution",
    "cytometry",
    "fastmix",
    "tissue",
]
