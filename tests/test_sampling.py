"""Schedules: what was asked for over what is usual, every field checked, a sampler that exists."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov import sampling
from bayesdecov.errors import InputError
from bayesdecov.options import Sampling
from bayesdecov.sampling import Schedule, installed, scheduled

USUAL = Schedule(draws=11, tune=12, chains=3, cores=2, target_accept=0.7, nuts_sampler="pymc")
CHOICES = {
    "draws": 5,
    "tune": 6,
    "chains": 1,
    "cores": 4,
    "target_accept": 0.99,
    "nuts_sampler": "nutpie",
}


@pytest.fixture
def packages(monkeypatch):
    """Names of packages that are installed."""
    there = {"nutpie"}
    monkeypatch.setattr(
        sampling.importlib.util, "find_spec", lambda name: name if name in there else None
    )
    return there


def test_nothing_asked_for_is_the_usual_schedule():
    for nothing in (None, Sampling(), Sampling(max_pareto_k=1.0, bootstrap=9)):
        assert scheduled(nothing, USUAL) == USUAL


@pytest.mark.parametrize("name", CHOICES)
def test_one_choice_changes_one_field(name, packages):
    found = scheduled(Sampling(**{name: CHOICES[name]}), USUAL)
    assert found == USUAL._replace(**{name: CHOICES[name]})


@pytest.mark.parametrize(
    ("name", "values", "rule"),
    [
        ("draws", (0, -1, 2.0, True, "5"), "must be a whole number >= 1"),
        ("tune", (0, 1.5), "must be a whole number >= 1"),
        ("chains", (0, np.nan), "must be a whole number >= 1"),
        ("cores", (0, -1), "must be a whole number >= 1"),
        ("target_accept", (1.0, 90), "must lie between 0 and 1"),
        ("target_accept", (0.0, -0.5, True), "must be a positive number"),
        ("nuts_sampler", ("stan", 1), "must be one of 'auto', 'pymc', 'nutpie'"),
    ],
)
def test_a_wrong_choice_is_refused_with_its_name_rule_and_value(name, values, rule):
    for value in values:
        with pytest.raises(InputError) as said:
            scheduled(Sampling(**{name: value}), USUAL)
        assert (said.value.argument, said.value.rule) == (name, rule)
        assert said.value.found == repr(value)


def test_a_usual_schedule_is_checked_too():
    with pytest.raises(InputError, match=r"^chains: must be a whole number"):
        scheduled(None, USUAL._replace(chains=0))


def test_the_sampler_is_one_that_is_installed(packages):
    assert [installed(each) for each in ("auto", "nutpie", "pymc")] == ["nutpie", "nutpie", "pymc"]
    packages.clear()
    assert [installed(each) for each in ("auto", "pymc")] == ["pymc", "pymc"]
    with pytest.raises(InputError, match=r"'nutpie' is not installed\. Pip install nutpie"):
        scheduled(Sampling(nuts_sampler="nutpie"), USUAL)
