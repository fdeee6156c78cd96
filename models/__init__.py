"""The generative models as plain PyMC, one file each, readable beside their equations."""

from bayesdecov.models.convolution import convolution

__all__ = ["convolution"]
