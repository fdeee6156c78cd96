"""Groups of options: what was given, what is put where, and errors that name the new place."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from bayesdecov.errors import InputError
from bayesdecov.options import (
    NUTS_ONLY,
    DesignOptions,
    Elsewhere,
    EstimatorOptions,
    Sampling,
    given,
    grouped,
    moved_into,
    of_class,
    renamed,
)

GROUPS = (Sampling, Elsewhere, DesignOptions, EstimatorOptions)


@pytest.mark.parametrize("group", GROUPS)
def test_every_field_has_its_help_and_cannot_be_changed(group):
    made = group()
    for each in fields(group):
        assert each.metadata["help"].endswith(".")
        assert each.name in group.__doc__
    with pytest.raises(FrozenInstanceError):
        setattr(made, fields(group)[0].name, 1)
    with pytest.raises(TypeError):
        group(1)


def test_no_name_stands_in_two_groups():
    names = [each.name for group in GROUPS for each in fields(group)]
    assert len(names) == len(set(names))
    assert set(NUTS_ONLY) < {each.name for each in fields(Sampling)}


def test_only_what_was_chosen_is_given():
    assert given(Sampling()) == {}
    assert given(Sampling(draws=5, target_accept=0.0)) == {"draws": 5, "target_accept": 0.0}
    assert given(EstimatorOptions(reml=False)) == {"reml": False}  # off is a choice


def test_a_group_is_taken_as_it_is_made_or_refused():
    chosen = Sampling(draws=3)
    assert of_class(chosen, Sampling, "sampling") is chosen
    assert of_class(None, Sampling, "sampling") == Sampling()
    for wrong in ({"draws": 3}, DesignOptions(), Sampling):
        with pytest.raises(InputError, match=r"^sampling: must be a bayesdecov\.Sampling; found "):
            of_class(wrong, Sampling, "sampling")


def test_options_side_by_side_are_put_into_their_groups():
    flat = {"seed": 1, "draws": 9, "rest": "x", "chains": None}
    found = grouped(flat, design=DesignOptions, sampling=Sampling)
    assert found == {"seed": 1, "design": DesignOptions(rest="x"), "sampling": Sampling(draws=9)}
    assert flat == {"seed": 1, "draws": 9, "rest": "x", "chains": None}
    assert grouped({"seed": 1}, sampling=Sampling) == {"seed": 1}
    assert grouped(flat) == flat


def test_a_keyword_that_moved_names_its_new_place():
    @moved_into(sampling=Sampling)
    def function(data, sampling=None, bootstrap=7, **rest):
        """What it does."""
        return data, sampling, bootstrap, rest

    with pytest.raises(InputError) as said:
        function(1, draws=5)
    assert str(said.value) == (
        "draws: is a field of sampling; found a keyword. "
        "Give sampling=bayesdecov.Sampling(draws=...)."
    )
    assert function(1, other=2) == (1, None, 7, {"other": 2})
    assert function(1, bootstrap=3) == (1, None, 3, {})  # a parameter of its own
    assert (function.__name__, function.__doc__) == ("function", "What it does.")


def test_a_keyword_with_another_name_names_it():
    @renamed(colour="color")
    def function(color=None, **rest):
        return color, rest

    with pytest.raises(InputError, match=r"^colour: is called color\. Give color=\.$"):
        function(colour=1)
    assert function(color=1, x=2) == (1, {"x": 2})
