"""Rules that a sample breaks, from its row of diagnostics, and the agreement with its fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesdecov.deconvolution.diagnostics import (
    ENOUGH_GENES,
    _agreement,
    findings,
    not_a_mixture,
)
from bayesdecov.deconvolution.fit import maximum_a_posteriori
from tests.deconvolution.problems import problem

SOUND = {"converged": True, "correlation": 0.9, "misfit": 1.0}


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({}, []),
        ({"converged": False}, ["not_converged"]),
        ({"correlation": 0.29}, ["not_a_mixture"]),
        ({"correlation": np.nan}, ["not_a_mixture"]),
        ({"misfit": 20.1}, ["not_a_mixture"]),
        ({"pareto_k": 0.71}, ["pareto_k"]),
        ({"pareto_k": np.nan}, ["pareto_k"]),
        ({"pareto_k": 0.7}, []),
        ({"p_other": 0.96}, ["other"]),
        ({"r_hat": 1.02, "ess_bulk": 399.0, "ess_tail": 400.0}, ["r_hat", "ess_bulk"]),
        ({"missing_genes": 0.51}, ["missing_genes"]),
        ({"tau": 0.15, "platform_sd": 0.05}, []),
        ({"tau": 0.16, "platform_sd": 0.01}, ["levels_uncertain"]),
        ({"tau": 0.10, "platform_sd": 0.06}, ["levels_uncertain"]),
        ({"tau": 0.81, "platform_sd": 0.06}, ["far_platform", "levels_uncertain"]),
        ({"tau": np.nan, "platform_sd": 0.0}, ["levels_unknown"]),
        ({"tau": 0.1, "platform_sd": 0.0, "misfit": 4.1}, ["not_a_mixture"]),
        ({"tau": 0.1, "platform_sd": 0.0, "background": 0.81}, ["not_a_mixture"]),
        ({"r_hat": np.nan, "converged": False}, ["not_converged", "convergence_unknown"]),
    ],
)
def test_each_rule_has_its_code(change, codes):
    table = pd.DataFrame([SOUND | change], index=["s"])
    (found,) = findings(table, 100, 0.7)
    assert [finding.code for finding in found] == codes


def test_few_genes_say_nothing_of_a_mixture():
    table = pd.DataFrame([SOUND | {"correlation": -1.0}], index=["s"])
    assert not not_a_mixture(table, ENOUGH_GENES - 1).any()
    assert not_a_mixture(table, ENOUGH_GENES).all()


def test_agreement_is_that_of_the_bulk_in_its_own_unit():
    model, data, _ = problem(1, free_size=True)
    found = maximum_a_posteriori(model, data)
    said = _agreement(model, data, found)
    for i in range(4):
        bulk = data.y[i] * data.unit[i]
        fitted = found.size[i] * model.mu @ found.p[i]
        assert said["correlation"][i] == pytest.approx(np.corrcoef(bulk, fitted)[0, 1])
        assert said["rmse"][i] == pytest.approx(np.sqrt(np.mean((bulk - fitted) ** 2)))
