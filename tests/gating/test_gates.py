"""The parts of a hierarchy: what they mean where nothing is said, and that they stay as checked."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest

from bayesdecov.errors import InputError
from bayesdecov.gating import (
    Box,
    Clustering,
    Composition,
    Exclusion,
    Gate,
    Hierarchy,
    Reading,
    read_events,
)
from bayesdecov.gating.dafi import apply

BOX = Box(0, 100, 0, 100)


@pytest.mark.parametrize(("part", "field"), [
    (Gate("a", "x", "y", BOX), "region"), (Exclusion(BOX), "x"), (Clustering(), "k"),
    (Reading(), "range"), (Composition(), "of"), (BOX, "x_min"),
])  # fmt: skip
def test_a_part_cannot_be_changed_after_it_was_checked(part, field):
    with pytest.raises(FrozenInstanceError):
        setattr(part, field, None)
    assert replace(part) == part


def test_changed_copies_are_checked_again():
    tree = Hierarchy((Gate("a", "x", "y", BOX),))
    with pytest.raises(InputError, match=r"cluster\.k: must be a whole number from 1; found 0"):
        replace(tree, clustering=Clustering(k=0))


def test_where_nothing_is_said_everything_counts():
    """No parent: all events. No types: the leaves. No denominator: all events, with a rest."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.uniform(0, 4095, (500, 2)), columns=["x", "y"])
    gates = (
        Gate("a", "x", "y", BOX, mode="events"),
        Gate("b", "x", "y", Box(0, 50, 0, 50), "a", mode="events"),
    )
    tree = Hierarchy(gates)
    inside = apply(tree, read_events(table, tree)).inside
    half = (table["x"] <= 4095 / 2) & (table["y"] <= 4095 / 2)
    assert inside[0].tolist() == half.tolist()
    assert tree.types == ("b",)
    assert (tree.composition.of, tree.composition.rest) == ("all", "rest")


def test_excluded_regions_lie_on_the_axes_of_the_gate_unless_they_name_theirs():
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.uniform(0, 4095, (500, 3)), columns=["x", "y", "z"])
    low = Box(0, 20, 0, 200)
    x, y, z = (table[name] <= 0.1 * 4095 for name in "xyz")
    for part, out in ((Exclusion(low), x), (Exclusion(low, x="z"), z), (Exclusion(low, y="z"), x),
                      (Exclusion(Box(0, 200, 0, 20), x="z"), y),
                      (Exclusion(Box(0, 200, 0, 20), y="z"), z)):  # fmt: skip
        gate = Gate("a", "x", "y", Box(0, 200, 0, 200), mode="events", exclude=(part,))
        tree = Hierarchy((gate,))
        inside = apply(tree, read_events(table, tree)).inside[0]
        assert inside.tolist() == (~out).tolist()


def test_a_population_is_clustered_anew_into_as_many_clusters_as_it_says():
    tree = Hierarchy((Gate("a", "x", "y", BOX),), clustering=Clustering(k=30))
    for k_sub, recluster, clusters in ((None, False, 0), (None, True, 30), (7, True, 7), (7, 4, 4),
                                       (7, 0, 0)):  # fmt: skip
        gate = replace(tree.gates[0], recluster=recluster)
        own = Hierarchy((gate,), clustering=Clustering(k=30, k_sub=k_sub))
        assert own.clusters_of(gate) == clusters
