"""Input and output of every published method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra.terms import Array


@dataclass(frozen=True)
class Answer:
    """Coefficients of all samples.

    Attributes
    ----------
    coefficients
        (sample, cell_type), not normalised; negative where a method allows it.
    other
        Share of the mixture that no cell type explains, (sample,); None where a method
        does not estimate one.
    facts
        One number per sample by name, for the diagnostics.
    """

    coefficients: Array
    other: Array | None = None
    facts: dict[str, Array] = field(default_factory=dict)


Estimator = Callable[[Array, Array, Array], Answer]


class Baseline(NamedTuple):
    """A method: its publication, the input it expects and its output.

    ``estimate`` takes ``mu`` (gene, cell_type), ``y`` (sample, gene) on one linear scale and
    ``variance`` (gene, cell_type), the reference's variance between replicates (zeros if unknown).
    """

    name: str
    title: str
    doi: str
    scale: str
    returns: str
    estimate: Estimator


Scorer = Callable[[Array, NDArray[np.bool_]], Array]


class Score(NamedTuple):
    """A score of gene sets, which is not a proportion.

    ``score`` takes expression (sample, gene) and membership (set, gene); it returns (sample, set).
    """

    name: str
    title: str
    doi: str
    scale: str
    returns: str
    score: Scorer
