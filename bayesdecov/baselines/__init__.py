"""Published methods to compare with: one file each, one signature, one record.

A method takes ``mu`` (gene, cell_type) and ``y`` (sample, gene) on one linear scale and returns
coefficients (sample, cell_type), not normalised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bayesdecov.algebra.terms import Array
from bayesdecov.baselines.nnls import nnls
from bayesdecov.baselines.simplex import simplex


class Baseline(NamedTuple):
    """A method and where it was published."""

    name: str
    title: str
    doi: str
    estimate: Callable[[Array, Array], Array]


BASELINES = {
    baseline.name: baseline
    for baseline in (
        Baseline(
            "nnls",
            "Non-negative least squares, normalised to one (Abbas et al. 2009; Lawson & Hanson)",
            "10.1371/journal.pone.0006098",
            nnls,
        ),
        Baseline(
            "simplex",
            "Least squares on the simplex by quadratic programming (DeconRNASeq, Gong & "
            "Szustakowski 2013)",
            "10.1093/bioinformatics/btt090",
            simplex,
        ),
    )
}
