"""One file from reading to counts: the task of one worker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from bayesdecov.errors import InputError
from bayesdecov.gating.composition import Tally, tally
from bayesdecov.gating.dafi import apply
from bayesdecov.gating.events import read_events
from bayesdecov.gating.hierarchy import Hierarchy
from bayesdecov.gating.kmeans import Labels
from bayesdecov.gating.picture import GatePicture, picture


class Packed(NamedTuple):
    """Membership of the first seed, eight events a byte: (population, byte)."""

    bits: NDArray[np.uint8]
    rows: Labels | None  # events of the file that were gated, from 0; None: all
    total: int


class Gated(NamedTuple):
    """One sample. ``counts`` (seed, population); tallies one for each seed."""

    name: str
    counts: NDArray[np.int64]
    tallies: list[Tally]
    packed: Packed
    picture: GatePicture
    facts: dict[str, Any]
    notes: list[str]


class Failed(NamedTuple):
    """A file that could not be gated, and why."""

    name: str
    file: str
    error: str


def gate_sample(
    source: str | Path | pd.DataFrame, name: str, hierarchy: Hierarchy, seeds: Sequence[int]
) -> Gated | Failed:
    """Read and gate one sample; errors are returned, so that the other files finish."""
    file = "" if isinstance(source, pd.DataFrame) else str(source)
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            return _gate(source, name, hierarchy, seeds)
    except InputError as error:
        return Failed(name, file, str(error).removeprefix("files: "))
    except MemoryError:
        return Failed(name, file, "not enough memory for its events")
    except OSError as error:
        return Failed(name, file, error.strerror or str(error))
    except Exception as error:
        return Failed(name, file, f"unexpected {type(error).__name__}: {error}")


def _gate(
    source: str | Path | pd.DataFrame, name: str, hierarchy: Hierarchy, seeds: Sequence[int]
) -> Gated:
    events = read_events(source, hierarchy, name)
    counts, tallies = [], []
    first = None
    for seed in seeds:
        members = apply(hierarchy, events, seed)
        first = first or members
        counts.append(members.inside.sum(axis=1))
        tallies.append(tally(hierarchy, members.inside))
    assert first is not None
    return Gated(
        name=name,
        counts=np.array(counts, dtype=np.int64),
        tallies=tallies,
        packed=Packed(
            np.packbits(first.inside, axis=1),
            None if len(events.rows) == events.total else events.rows,
            events.total,
        ),
        picture=picture(hierarchy, events, first),
        facts={"events": events.total, "used": len(events.rows), **events.facts},
        notes=events.notes,
    )
