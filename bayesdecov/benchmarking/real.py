"""Real mixtures with a known truth as benchmark problems, if their data are available."""

from __future__ import annotations

from collections.abc import Iterator

from bayesdecov import datasets
from bayesdecov.benchmarking.case import Case

REAL = ("sc_mixology", "abis_pbmc")
_MARKERS = 150


def real(name: str) -> Iterator[Case]:
    """The cases of a data set: RNA of cell lines mixed in known ratios, or blood by cytometry."""
    data = datasets.load(name)
    if data.signature is not None:
        yield Case(
            scenario=name,
            level="17 blood types",
            bulk=data.bulk,
            truth=data.proportions,
            reference=data.signature,
        )
        return
    yield Case(
        scenario=name,
        level="3 cell lines",
        bulk=data.bulk,
        truth=data.proportions,
        purified=data.purified,
        labels=data.labels,
        genes=_MARKERS,
    )
