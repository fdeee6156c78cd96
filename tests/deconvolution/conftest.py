"""A counted cohort and its reference, shared by the tests of the verb."""

from __future__ import annotations

import pytest

import bayesdecov as bd


@pytest.fixture(scope="package")
def cohort():
    return bd.simulate.convolution(n_samples=30, n_genes=150, n_types=4, depth=1e5, seed=1)


@pytest.fixture(scope="package")
def reference(cohort):
    return bd.Reference.from_samples(cohort.purified, cohort.labels, "factor", genes=100)
