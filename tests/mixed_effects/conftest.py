"""Small cohorts that several tests use."""

from __future__ import annotations

import pytest

import bayesdecov as bd


@pytest.fixture(scope="session")
def group_cohort():
    """One binary covariate, 600 genes, 40 samples."""
    return bd.simulate.fastmix("III", "code", 600, 40, seed=11)


@pytest.fixture(scope="session")
def tables(group_cohort):
    """Expression, proportions, covariates."""
    return group_cohort.expression, group_cohort.proportions, group_cohort.covariates
