"""bayesdecov: cell-type deconvolution and cell-type-specific expression that say how sure they are.

The public names are loaded when they are first used, so that ``import bayesdecov`` is instant and
PyMC is imported only when a PyMC model is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bayesdecov import _caches
from bayesdecov._version import __version__ as __version__

if TYPE_CHECKING:
    from bayesdecov import datasets, gating, models, plots, simulate
    from bayesdecov.cohort.contrast import contrast
    from bayesdecov.comparison import compare
    from bayesdecov.deconvolution.deconvolve import deconvolve
    from bayesdecov.errors import BayesdecovWarning, InputError
    from bayesdecov.gating.gate import gate
    from bayesdecov.mixed_effects.fastmix import fastmix
    from bayesdecov.options import DesignOptions, Elsewhere, EstimatorOptions, Sampling
    from bayesdecov.reference.reference import Reference
    from bayesdecov.reporting.build import report

_caches.provide()

__all__ = [
    "BayesdecovWarning",
    "DesignOptions",
    "Elsewhere",
    "EstimatorOptions",
    "InputError",
    "Reference",
    "Sampling",
    "compare",
    "contrast",
    "datasets",
    "deconvolve",
    "fastmix",
    "gate",
    "gating",
    "models",
    "plots",
    "report",
    "simulate",
]

_HOMES = {
    "Reference": "bayesdecov.reference.reference",
    "deconvolve": "bayesdecov.deconvolution.deconvolve",
    "fastmix": "bayesdecov.mixed_effects.fastmix",
    "gate": "bayesdecov.gating.gate",
    "compare": "bayesdecov.comparison",
    "contrast": "bayesdecov.cohort.contrast",
    "report": "bayesdecov.reporting.build",
    "DesignOptions": "bayesdecov.options",
    "Elsewhere": "bayesdecov.options",
    "EstimatorOptions": "bayesdecov.options",
    "Sampling": "bayesdecov.options",
    "InputError": "bayesdecov.errors",
    "BayesdecovWarning": "bayesdecov.errors",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'bayesdecov' has no attribute {name!r}")
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        value = importlib.import_module(f"bayesdecov.{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
