"""Sampling settings: `bayesdecov.options.Sampling`, checked and with defaults resolved."""

from __future__ import annotations

import importlib.util
from typing import NamedTuple

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.options import NUTS_ONLY as NUTS_ONLY
from bayesdecov.options import Sampling, given

SAMPLERS = ("auto", "pymc", "nutpie")


class Schedule(NamedTuple):
    """Draws and warm-up steps per chain, chains, processes, and the sampler."""

    draws: int = 1000
    tune: int = 1000
    chains: int = 4
    cores: int | None = None
    target_accept: float = 0.9
    nuts_sampler: str = "auto"


def scheduled(sampling: Sampling | None, usual: Schedule) -> Schedule:
    """The default schedule, updated by the requested options and checked; the sampler chosen."""
    asked = given(sampling) if isinstance(sampling, Sampling) else {}
    chosen = usual._replace(**{name: asked[name] for name in asked if name in usual._fields})
    for name in ("draws", "tune", "chains"):
        checks.check_whole(getattr(chosen, name), name)
    if chosen.cores is not None:
        checks.check_whole(chosen.cores, "cores")
    checks.check_probability(chosen.target_accept, "target_accept")
    return chosen._replace(nuts_sampler=installed(chosen.nuts_sampler))


def installed(sampler: str) -> str:
    """Nutpie for "auto" where it is installed, otherwise PyMC's own sampler."""
    checks.check_choice(sampler, SAMPLERS, "nuts_sampler")
    there = importlib.util.find_spec("nutpie") is not None
    if sampler == "nutpie" and not there:
        raise InputError(
            "nuts_sampler", "'nutpie' is not installed", fix="pip install nutpie, or use 'pymc'"
        )
    return ("nutpie" if there else "pymc") if sampler == "auto" else sampler
