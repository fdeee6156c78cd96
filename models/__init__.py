"""The generative models as plain PyMC, one file each, readable beside their equations."""

from bayesdecov.models.convolution import convolution
from bayesdecov.models.mixed_effects import Sufficient, mixed_effects

__all__ = ["Sufficient", "convolution", "mixed_effects"]
