"""The simulated cytometer: known composition, spillover and files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.errors import InputError


def test_events_follow_the_proportions():
    """Counts of recorded cells in standard errors of a multinomial sample."""
    cohort = bd.simulate.cytometry(5, 8000, seed=1)
    counted = cohort.counted()
    n = 8000 * 0.83
    error = (counted - cohort.proportions) / np.sqrt(
        cohort.proportions * (1 - cohort.proportions) / n
    )
    assert np.abs(error.to_numpy()).max() < 4.5
    again = bd.simulate.cytometry(5, 8000, seed=1)
    assert again.samples["donor03"].equals(cohort.samples["donor03"])


def test_compensation_recovers_the_markers():
    cohort = bd.simulate.cytometry(1, 4000, seed=2)
    events, labels = cohort.samples["donor01"], cohort.labels["donor01"]
    light = events[cohort.spillover.columns] @ np.linalg.inv(cohort.spillover.to_numpy())
    light.columns = cohort.spillover.columns
    cells = labels == "CD4 T cells"
    assert light.loc[cells, "FITC-A"].median() > 15_000
    assert abs(light.loc[cells, "PE-A"].median()) < 300  # CD4's light, taken back out
    assert events.loc[cells, "PE-A"].median() > 2_000


def test_given_proportions():
    given = pd.DataFrame({"Neutrophils": [0.5, 0.2], "B cells": [0.2, 0.1]}, ["a", "b"])
    cohort = bd.simulate.cytometry(proportions=given, n_events=500, seed=3)
    assert list(cohort.samples) == ["a", "b"]
    assert cohort.proportions.sum(axis=1).tolist() == pytest.approx([1, 1])
    assert (cohort.proportions["Neutrophils"] == given["Neutrophils"]).all()
    with pytest.raises(InputError, match="must have only Neutrophils"):
        bd.simulate.cytometry(proportions=given.rename(columns={"B cells": "B"}))
    with pytest.raises(InputError, match="add up to at most 1"):
        bd.simulate.cytometry(proportions=given * 2)


def test_printing():
    cohort = bd.simulate.cytometry(2, 100, seed=0)
    assert "(simulated): 2 samples, 200 events, 6 cell types" in repr(cohort)
