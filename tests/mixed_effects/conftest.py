"""Small cohorts that several tests use."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def tables(group_cohort):
    """Expression, proportions, covariates."""
    return group_cohort.expression, group_cohort.proportions, group_cohort.covariates
