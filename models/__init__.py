"""The generative models in plain PyMC, one file each, with their equations."""

from bayesdecov.models.cohort import cohort
from bayesdecov.models.contamination import Genes, contamination
from bayesdecov.models.convolution import convolution
from bayesdecov.models.joint import Shared, joint
from bayesdecov.models.mixed_effects import Sufficient, mixed_effects
from bayesdecov.models.platform import platform

__all__ = [
    "Genes",
    "Shared",
    "Sufficient",
    "cohort",
    "contamination",
    "convolution",
    "joint",
    "mixed_effects",
    "platform",
]
