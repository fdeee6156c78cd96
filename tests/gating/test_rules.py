"""What a hierarchy must obey: rules against a plain reading of them, and what messages name."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from bayesdecov.errors import InputError
from bayesdecov.gating import (
    Box,
    Clustering,
    Composition,
    Exclusion,
    Gate,
    Hierarchy,
    Polygon,
    Reading,
    Slope,
)
from bayesdecov.gating.rules import nearest, problem

ANY = Box(-math.inf, math.inf, -math.inf, math.inf)
NUMBERS = [-1, 0, 50.5, 200, 200.5, math.inf, -math.inf, np.float32(3), np.int64(150)]
OTHERS = [math.nan, True, "1", None, 10**400]  # the last is larger than any float
VALUES = [*NUMBERS, *OTHERS]


def is_number(value):
    return any(value is number for number in NUMBERS) or value in (10, 20, 50, 60)


def accepted(region, **options):
    mode = "events" if isinstance(region, Slope) else "cluster"
    try:
        Hierarchy((Gate("a", "x", "y", region, mode=mode),), **options)
    except InputError as error:  # one that names no gate is no answer
        return not error.argument.startswith("hierarchy, gate 'a', ")
    return True


@pytest.mark.parametrize("scale", [200, 4096.0, "raw"])
def test_a_box_holds_ordered_numbers_within_the_scale(scale):
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(400):
        bounds = [50, 60, 10, 20]
        for place in rng.integers(4, size=2):
            bounds[place] = VALUES[rng.integers(len(VALUES))]
        expected = all(map(is_number, bounds))
        expected = expected and bounds[0] <= bounds[1] and bounds[2] <= bounds[3]
        if expected and scale != "raw":
            expected = all(math.isinf(v) or 0 <= v <= scale for v in bounds)
        assert accepted(Box(*bounds), scale=scale) == expected, bounds
        outcomes.add(expected)
    assert outcomes == {True, False}


def test_a_slope_is_two_numbers_from_zero_of_which_the_second_is_larger():
    for low, high in itertools.product(VALUES, VALUES):
        expected = is_number(low) and is_number(high) and 0 <= low < high
        assert accepted(Slope(low, high)) == expected, (low, high)


def test_a_polygon_has_three_finite_corners_within_the_scale():
    for value in VALUES:
        expected = is_number(value) and math.isfinite(value)
        corners = ((0, 0), (100, value), (50, 90))
        assert accepted(Polygon(corners), scale="raw") == expected, value
        expected = expected and 0 <= value <= 200
        assert accepted(Polygon(corners)) == expected, value
    assert not accepted(Polygon(((0, 0), (1, 1))))
    assert not accepted(Polygon(()))
    assert not accepted("a region")


def test_gates_may_stand_in_any_order_with_parents_first():
    parents = {"a": None, "b": "a", "c": "b", "d": "a"}
    allowed = 0
    for order in itertools.permutations(parents):
        gates = tuple(Gate(name, 1, 2, ANY, parents[name]) for name in order)
        first = all(
            parents[name] is None or order.index(parents[name]) < order.index(name)
            for name in order
        )
        allowed += first
        if first:
            assert Hierarchy(gates).names == list(order)
        else:
            with pytest.raises(InputError, match=r"parent: must be a gate that comes earlier"):
                Hierarchy(gates)
    assert allowed == 3  # a b c d, a b d c, a d b c


GATE = Gate("a", "x", "y", ANY)
TREE = Hierarchy((GATE,))


@pytest.mark.parametrize(("changes", "argument"), [
    ({"name": ""}, "hierarchy, gate number 1, name"),
    ({"name": 5}, "hierarchy, gate number 1, name"),
    ({"name": " a"}, "hierarchy, gate ' a', name"),
    ({"name": "all"}, "hierarchy, gate 'all', name"),
    ({"parent": "a"}, "hierarchy, gate 'a', parent"),
    ({"x": ""}, "hierarchy, gate 'a', x"),
    ({"y": 0}, "hierarchy, gate 'a', y"),
    ({"y": True}, "hierarchy, gate 'a', y"),
    ({"y": 2**53}, "hierarchy, gate 'a', y"),
    ({"mode": "Events"}, "hierarchy, gate 'a', mode"),
    ({"recluster": -1}, "hierarchy, gate 'a', recluster"),
    ({"recluster": 1}, "hierarchy, gate 'a', recluster"),
    ({"recluster": 2.0}, "hierarchy, gate 'a', recluster"),
    ({"exclude": (Exclusion(ANY, "x", 0),)}, "hierarchy, gate 'a', exclude.y"),
    ({"exclude": (Exclusion(Box(0, 201, 0, 1)),)}, "hierarchy, gate 'a', box"),
])  # fmt: skip
def test_a_gate_that_cannot_be_meant_is_named_with_its_field(changes, argument):
    with pytest.raises(InputError) as caught:
        Hierarchy((replace(GATE, **changes),))
    assert caught.value.argument == argument


@pytest.mark.parametrize(("changes", "argument"), [
    ({"gates": ()}, "gate"),
    ({"scale": math.inf}, "scale"),
    ({"scale": True}, "scale"),
    ({"clustering": Clustering(k=2.0)}, "cluster.k"),
    ({"clustering": Clustering(k_sub=0)}, "cluster.k_sub"),
    ({"clustering": Clustering(seed=2**31)}, "cluster.seed"),
    ({"clustering": Clustering(columns=("x", ""))}, "cluster.columns"),
    ({"reading": Reading(compensate=None)}, "read.compensate"),
    ({"reading": Reading(range=math.nan)}, "read.range"),
    ({"reading": Reading(parameters={"W": 0.5})}, "read.W"),
    ({"reading": Reading(transform="asinh", parameters={"T": 0})}, "read.T"),
    ({"reading": Reading(transform="asinh", parameters={"A": -1})}, "read.A"),
    ({"aliases": {"x": " "}}, "aliases.x"),
    ({"composition": Composition(of="b")}, "proportions.of"),
    ({"composition": Composition(types=("a", "a"))}, "proportions.types"),
    ({"composition": Composition(rest="a")}, "proportions.rest"),
])  # fmt: skip
def test_a_setting_that_cannot_be_meant_is_named(changes, argument):
    with pytest.raises(InputError) as caught:
        replace(TREE, **changes)
    assert caught.value.argument == f"hierarchy, {argument}"


def test_a_parameter_of_the_transform_may_be_zero_where_it_can():
    reading = Reading(transform="logicle", parameters={"W": 0, "A": 0.0, "T": 1, "M": 4})
    assert replace(TREE, reading=reading).reading.parameters["W"] == 0


def test_the_nearest_name_ignores_case_and_is_silent_if_none_is_close():
    assert nearest("cd4", ["CD3", "CD4", "CD19"]) == "did you mean 'CD4'?"
    assert nearest("LYMPH", ["mono", "lymph"]) == "did you mean 'lymph'?"
    assert nearest("Lymphocites", ["Monocytes", "Lymphocytes"]) == "did you mean 'Lymphocytes'?"
    assert nearest("CD4", ["Singlets"]) == nearest("CD4", []) == ""


def test_a_problem_names_the_gate_the_field_and_what_was_found():
    error = problem("a", "box", "must be closed", found=[1, None], fix="close it")
    assert str(error) == "hierarchy, gate 'a', box: must be closed; found [1, None]. Close it."
    assert str(problem(None, "", "is empty")) == "hierarchy: is empty."
