"""A simulated cohort as FCS files, and small event tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd


@pytest.fixture(scope="session")
def cytometry(tmp_path_factory):
    """Four simulated donors and their FCS files."""
    cohort = bd.simulate.cytometry(4, 6000, seed=5)
    return cohort, cohort.write(tmp_path_factory.mktemp("fcs"))


@pytest.fixture
def blobs():
    """700 low and 300 high events of two markers, a third that says nothing, and Time."""
    rng = np.random.default_rng(0)
    values = np.vstack(
        [rng.normal([1000, 1200], 150, (700, 2)), rng.normal([3000, 2800], 150, (300, 2))]
    )
    table = pd.DataFrame(values, columns=["CD3", "CD4"])
    return table.assign(SSC=rng.uniform(0, 4095, 1000), Time=np.arange(1000))


@pytest.fixture
def uncompensated(cytometry, tmp_path):
    """A file without spillover, so that both programs start from the same numbers."""
    cohort, _ = cytometry
    names = list(cohort.spillover)
    clean = replace(
        cohort,
        samples={"donor01": cohort.samples["donor01"]},
        spillover=pd.DataFrame(np.eye(8), names, names),
    )
    return clean.write(tmp_path / "clean")[0]
