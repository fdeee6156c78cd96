"""A cohort without noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import bayesdecov as bd
from bayesdecov.io.scale import per_million
from bayesdecov.unknown_content.cohort import observed


@pytest.fixture(scope="session")
def world():
    """A cohort without noise: y = B mu + w h, with unknown cells in half of the samples."""
    data = bd.simulate.tissue(30, 800, seed=2)
    reference = bd.Reference.from_samples(data.purified, data.labels, "diagonal", genes=150)
    rng = np.random.default_rng(0)
    whole, _ = per_million(data.bulk)
    cohort = observed(whole, np.ones(30), reference)
    share = np.repeat([0.0, 0.4], 15)
    B = rng.dirichlet(np.ones(8), 30) * (1 - share)[:, None]
    h = cohort.level * rng.lognormal(0, 0.7, len(cohort.level))
    y = B @ cohort.mu.T + share[:, None] * h
    return replace(cohort, y=y, phi=np.zeros(30)), B, share, h
