"""How to sample: the options that both verbs take."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any, NamedTuple

from bayesdecov import checks
from bayesdecov.errors import InputError

SAMPLERS = ("auto", "pymc", "nutpie")


class Sampling(NamedTuple):
    """Options of ``method="nuts"``; the fields are keywords of `deconvolve` and `fastmix`."""

    draws: int = 1000
    tune: int = 1000
    chains: int = 4
    cores: int | None = None
    target_accept: float = 0.9
    nuts_sampler: str = "auto"
    progress: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Sampling:
        """Checked, with defaults where None was given and the sampler chosen."""
        chosen = cls(**{name: value for name, value in given.items() if value is not None})
        for name in ("draws", "tune", "chains"):
            checks.whole(getattr(chosen, name), name)
        if chosen.cores is not None:
            checks.whole(chosen.cores, "cores")
        checks.probability(chosen.target_accept, "target_accept")
        return chosen._replace(nuts_sampler=installed(chosen.nuts_sampler))


def installed(sampler: str) -> str:
    """Nutpie for "auto" where it is installed, otherwise PyMC's own sampler."""
    checks.choice(sampler, SAMPLERS, "nuts_sampler")
    there = importlib.util.find_spec("nutpie") is not None
    if sampler == "nutpie" and not there:
        raise InputError("nuts_sampler", "'nutpie' is not installed",
                         fix="pip install nutpie, or use 'pymc'")  # fmt: skip
    return ("nutpie" if there else "pymc") if sampler == "auto" else sampler
