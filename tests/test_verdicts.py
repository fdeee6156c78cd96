"""Codes at and beside every limit, and words that hold the value and the limit."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov import verdicts
from bayesdecov.verdicts import Finding, findings_of_chains, rendered

FINE = {"divergences": 0, "r_hat": 1.01, "ess_bulk": 400.0, "ess_tail": 400.0, "e_bfmi": 0.3}


@pytest.mark.parametrize(
    ("measures", "found"),
    [
        ({}, []),
        ({"divergences": 3}, [("divergences", 3.0)]),
        ({"r_hat": np.nextafter(1.01, 2)}, [("r_hat", np.nextafter(1.01, 2))]),
        ({"ess_bulk": 399.9}, [("ess_bulk", 399.9)]),
        ({"ess_tail": np.nan}, [("ess_tail", np.nan)]),
        ({"e_bfmi": 0.29}, [("e_bfmi", 0.29)]),
        ({"r_hat": np.nan, "ess_bulk": np.nan}, [("convergence_unknown", np.nan)]),
        ({"r_hat": np.nan, "divergences": 1},
         [("divergences", 1), ("convergence_unknown", np.nan)]),
        ({"r_hat": 2.0, "ess_bulk": 1.0, "e_bfmi": 0.0},
         [("r_hat", 2.0), ("ess_bulk", 1.0), ("e_bfmi", 0.0)]),
    ],
)  # fmt: skip
def test_a_limit_may_be_reached_but_not_passed(measures, found):
    given = findings_of_chains(FINE | measures)
    assert [each.code for each in given] == [code for code, _ in found]
    np.testing.assert_array_equal([each.value for each in given], [value for _, value in found])


def test_measures_that_were_not_made_say_nothing():
    assert findings_of_chains({}) == []
    assert rendered(findings_of_chains({})) == verdicts.GOOD == "good"


def test_every_code_has_words_and_a_kind_without_the_numbers_of_a_case():
    for code in verdicts._KINDS:
        one, other = Finding(code, 0.123, 0.5), Finding(code, 7.0, 0.5)
        assert one.kind == other.kind
        assert "0.123" not in one.kind
        assert "nan" not in str(Finding(code, 1.0, 2.0))
    with pytest.raises(KeyError):
        _ = Finding("nonesuch").kind


def test_words_hold_the_value_and_the_limit():
    table = [
        (Finding("r_hat", 1.0456, 1.01), "R-hat 1.046 > 1.01: "),
        (Finding("ess_tail", 123.4, 400.0), "ess_tail 123 < 400: "),
        (Finding("e_bfmi", 0.214, 0.3), "E-BFMI 0.21 < 0.3: "),
        (Finding("pareto_k", 0.934, 0.7), "refused: Pareto-k 0.93 > 0.7, "),
        (Finding("divergences", 12.0), "12 divergences: "),
    ]
    for finding, words in table:
        assert words in str(finding)
    several = rendered(finding for finding, _ in table)
    assert several == "; ".join(str(finding) for finding, _ in table)
