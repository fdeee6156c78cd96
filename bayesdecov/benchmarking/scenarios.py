"""Simulated problems, named as in the field's benchmarks; every bulk is one whole donor.

noise
    Decreasing numbers of counts.
donors
    Increasing differences between donors (heterogeneous, never pooled cells).
unknown content
    Part of every bulk comes from cells that are absent from the reference and differ between
    donors.
missing type
    One cell type, or a whole lineage, has no purified samples although it is in the bulks.
spill-over
    Every bulk consists of a single cell type; types of one lineage become increasingly similar.
resolution
    Eight types, their four lineages, and lineages as sums of the estimated types.
platforms
    The reference is of another platform: its genes differ by factors, of which one in twenty is
    gross; with a background in the bulks; with factors of every gene and type; with an axis of RNA
    quality that moves the genes of a bulk together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from bayesdecov.benchmarking.case import Case
from bayesdecov.simulate.tissue import Tissue, tissue

_GROSS = 0.05  # share of genes with a gross factor
_GONE = {"a sibling": ("CD8 T",), "a lineage": ("B naive", "B memory")}

Make = Callable[..., Tissue]


def _noise(make: Make, quick: bool) -> Iterator[dict[str, Any]]:
    for depth in (1e6, 2e4) if quick else (1e6, 1e5, 2e4):
        yield {"level": f"{depth:.0e} counts".replace("e+0", "e"), **_plain(make(depth=depth))}


def _donors(make: Make, quick: bool) -> Iterator[dict[str, Any]]:
    for sd in (0.1, 0.6) if quick else (0.1, 0.3, 0.6):
        yield {"level": f"log-sd {sd:g}", **_plain(make(donor_sd=sd))}


def _unknown(make: Make, quick: bool) -> Iterator[dict[str, Any]]:
    for share in (0.0, 0.4) if quick else (0.0, 0.1, 0.4):
        data = make(other=share)
        yield {"level": f"{share:.0%} other", **_plain(data), "other": data.other}


def _missing(make: Make, quick: bool) -> Iterator[dict[str, Any]]:
    for level, gone in _GONE.items():
        data = make()
        kept = ~data.labels.isin(gone)
        yield {
            "level": level,
            "bulk": data.bulk,
            "truth": data.proportions.drop(columns=list(gone)),
            "purified": data.purified.loc[:, kept],
            "labels": data.labels[kept],
            "other": data.proportions[list(gone)].sum(axis=1),
        }


def _spill_over(make: Make, quick: bool) -> Iterator[dict[str, Any]]:
    for fold in (4.0, 1.5) if quick else (4.0, 2.0, 1.5):
        yield {"level": f"{fold:g}-fold markers", **_plain(make(pure=True, sibling_fold=fold))}


def _resolution(make: Make, quick: bool) -> Iterator[dict[str, Any]]:
    data = make(sibling_fold=2.0)
    summed = data.proportions.T.groupby(data.lineages, sort=False).sum().T
    yield {"level": "types", **_plain(data)}
    yield {
        "level": "lineages",
        **_plain(data),
        "labels": data.labels.map(data.lineages),
        "truth": summed,
    }
    yield {"level": "types, summed", **_plain(data), "truth": summed, "merge": data.lineages}


def _platforms(make: Make, quick: bool) -> Iterator[dict[str, Any]]:
    for tau in (0.6,) if quick else (0.3, 0.6, 1.0):
        yield {"level": f"factors exp({tau:g})", **_foreign(make(), tau)}
    yield {"level": "with a background", **_foreign(make(), 0.6, background=True)}
    yield {"level": "by gene and type", **_foreign(make(), 0.6, by_type=0.4)}
    yield {"level": "with RNA quality", **_foreign(make(), 0.6, quality=0.3)}


def _foreign(
    data: Tissue,
    tau: float,
    *,
    background: bool = False,
    by_type: float = 0.0,
    quality: float = 0.0,
) -> dict[str, Any]:
    """The tissue with a reference of another platform; all numbers are log-sds."""
    found = _plain(data)
    rng = np.random.default_rng(int(data.bulk.to_numpy().sum()))
    n_genes, n = data.bulk.shape
    factor = tau * rng.standard_normal(n_genes)
    gross = rng.random(n_genes) < _GROSS
    factor[gross] += rng.choice([-1, 1], gross.sum()) * rng.uniform(1, 3, gross.sum())
    names = list(dict.fromkeys(data.labels))
    own = by_type * rng.standard_normal((n_genes, len(names)))
    columns = [names.index(name) for name in data.labels.loc[data.purified.columns]]
    shift = np.exp(factor[:, None] + own[:, columns])
    found["purified"] = (data.purified * shift).round()
    bulk = data.bulk * np.exp(quality * np.outer(rng.standard_normal(n_genes),
                                                 rng.standard_normal(n)))  # fmt: skip
    if background:
        bulk = bulk + bulk.median()
    found["bulk"] = bulk.round()
    return found


def _plain(data: Tissue) -> dict[str, Any]:
    return {
        "bulk": data.bulk,
        "truth": data.proportions,
        "purified": data.purified,
        "labels": data.labels,
    }


SCENARIOS: dict[str, Callable[[Make, bool], Iterator[dict[str, Any]]]] = {
    "noise": _noise,
    "donors": _donors,
    "unknown content": _unknown,
    "missing type": _missing,
    "spill-over": _spill_over,
    "resolution": _resolution,
    "platforms": _platforms,
}


def simulated(
    scenario: str, *, repeats: int = 2, quick: bool = False, seed: int = 1
) -> Iterator[Case]:
    """All levels of a scenario, ``repeats`` times with new donors.

    A repeat has the same cell types and cohort seed at all levels, so levels can be compared.
    """
    n_samples = 24 if quick else 40
    for repeat in range(1, repeats + 1):
        stream = [seed, repeat]

        def make(stream: list[int] = stream, **options: Any) -> Tissue:
            rng = np.random.default_rng(stream)
            return tissue(n_samples, 1000 if quick else 2000, seed=rng, **options)

        for found in SCENARIOS[scenario](make, quick):
            yield Case(scenario=scenario, repeat=repeat, **found)
