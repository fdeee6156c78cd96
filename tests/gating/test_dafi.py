"""The gates' semantics against plain loops, and against the original's numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bayesdecov.gating import Box, Clustering, Exclusion, Gate, Hierarchy, Slope, read_events
from bayesdecov.gating.dafi import apply
from bayesdecov.gating.files import read_hierarchy
from bayesdecov.gating.initial_centers import start_of
from tests.gating.test_kmeans import plain


def inside(box, x, y, unit=200):
    return (
        x >= box.x_min / unit
        and x <= box.x_max / unit
        and y >= box.y_min / unit
        and y <= box.y_max / unit
    )


def slow(tree, events, seed):
    """Event by event, cluster by cluster; ``inherit="root"``, boxes and slopes."""
    z, n = events.z, len(events.z)
    populations = {}
    for gate in tree.gates:
        parent = populations.get(gate.parent, set(range(n)))
        x, y = events.column(gate.x), events.column(gate.y)

        def keeps(point, gate=gate, x=x, y=y):
            if isinstance(gate.region, Slope):
                ok = gate.region.low * point[x] <= point[y] <= gate.region.high * point[x]
            else:
                ok = inside(gate.region, point[x], point[y])
            return ok and not any(
                inside(
                    e.region,
                    point[events.column(e.x or gate.x)],
                    point[events.column(e.y or gate.y)],
                )
                for e in gate.exclude
            )

        if gate.mode == "events":
            populations[gate.name] = {i for i in parent if keeps(z[i])}
            continue
        k = 0 if gate.parent is None else tree.clusters_of(tree[gate.parent])
        rows = sorted(parent) if k and len(parent) > 100 else list(range(n))
        k = k if k and len(parent) > 100 else tree.clustering.k
        labels, centers = plain(z[rows], start_of(z[rows], k, tree.clustering.init, seed))
        good = {c for c in range(len(centers)) if keeps(centers[c])}
        populations[gate.name] = {
            i for i, c in zip(rows, labels, strict=True) if c in good
        } & parent
    return populations


@pytest.fixture(scope="module")
def events():
    rng = np.random.default_rng(8)
    parts = [rng.normal(mean, 350, (size, 4)) for mean, size in
             (([900, 900, 1000, 3000], 300), ([2600, 2500, 900, 900], 250),
              ([2500, 2400, 3000, 2500], 320), ([3000, 1200, 3000, 800], 60))]  # fmt: skip
    values = np.clip(np.concatenate(parts), 0, 4095).round()
    return pd.DataFrame(values, columns=["A", "H", "X", "Y"])


TREE = Hierarchy(
    (
        Gate("singlets", "A", "H", Slope(0.6, 1.6), mode="events", recluster=True),
        Gate("big", "A", "X", Box(80, 200, 0, 200), "singlets",
             exclude=(Exclusion(Box(120, 150, 100, 200)), Exclusion(Box(0, 30, 0, 30), "X", "Y"))),
        Gate("high", "X", "Y", Box(90, 200, 70, 200), "big", recluster=12),
        Gate("few", "A", "Y", Box(100, 140, 90, 140), "high"),
        Gate("part", "X", "Y", Box(130, 160, 100, 140), "high", mode="events", recluster=9),
        Gate("leaf", "A", "H", Box(100, 150, 90, 150), "part"),
        Gate("whole", "A", "H", Box(0, 90, 0, 90)),
    ),
    clustering=Clustering(k=25, k_sub=15),
)  # fmt: skip


@pytest.mark.parametrize("init", ["compat", "k-means++"])
@pytest.mark.parametrize("seed", [2, 5])
def test_populations_are_those_of_the_plain_loops(events, init, seed):
    tree = replace(TREE, clustering=replace(TREE.clustering, init=init))
    read = read_events(events, tree, "s")
    found = apply(tree, read, seed).inside
    expected = slow(tree, read, seed)
    assert 0 < len(expected["leaf"]) <= 100 < len(expected["high"])  # both sides of the threshold
    for row, name in zip(found, tree.names, strict=True):
        assert set(np.flatnonzero(row)) == expected[name], name


def test_nearest_inherits_the_clusters_of_an_ancestor(events):
    """The grandchild of a clustered population sees its clusters, not the whole sample's."""
    tree = Hierarchy(
        (
            Gate("cells", "A", "H", Box(0, 200, 0, 200), mode="events", recluster=5),
            Gate("middle", "A", "X", Box(0, 200, 0, 200), "cells"),
            Gate("last", "X", "Y", Box(100, 200, 0, 200), "middle"),
        ),
        clustering=Clustering(k=40, init="k-means++"),
    )
    near = replace(tree, clustering=replace(tree.clustering, inherit="nearest"))
    read = read_events(events, tree, "s")
    root, nearest = apply(tree, read), apply(near, read)
    assert (root.inside[:2] == nearest.inside[:2]).all()
    labels, centers = plain(read.z, start_of(read.z, 5, "k-means++", 2))
    good = (centers[:, 2] >= 0.5) & (centers[:, 2] <= 1) & (centers[:, 3] <= 1)
    assert (nearest.inside[2] == good[labels]).all()
    assert (root.inside[2] != nearest.inside[2]).any()


def test_a_cluster_keeps_its_shape(blobs):
    """All events of a kept cluster, also outside of the box; none of another's inside."""
    tree = Hierarchy(
        (Gate("high", "CD3", "CD4", Box(140, 155, 130, 145)),),
        clustering=Clustering(k=2, init="k-means++"),
    )
    read = read_events(blobs.drop(columns="SSC"), tree, "s")
    members = apply(tree, read)
    assert members.inside[0].tolist() == [False] * 700 + [True] * 300
    box = tree.gates[0].region.holds(read.z[:, 0], read.z[:, 1], 200)
    assert (members.inside[0] & ~box).any()
    assert len(members.kept[0]) == 1


def test_clusters_of_chosen_columns_are_judged_in_all(blobs):
    tree = Hierarchy(
        (Gate("high", "CD4", "SSC", Box(100, 200, 0, 200)),),
        clustering=Clustering(k=2, columns=("CD3",), init="k-means++"),
    )
    assert apply(tree, read_events(blobs, tree, "s")).inside.sum() == 300


@pytest.mark.parametrize("case", [
    pytest.param("patient10_m1", marks=pytest.mark.slow), "donor10_m1_cfg1", "donor10_m1_cfg2",
    "donor10_m1_cfg3", "donor10_m1_cfg4", "donor10_m1_cfg4_s1", "donor10_m1_cfg5", "donor10_mixed",
])  # fmt: skip
@pytest.mark.goldens
def test_counts_and_members_of_the_original(goldens, case):
    """The C program's counts and every event's membership; patient10_m1 is a published table."""
    folder = goldens / "dafi"
    row = pd.read_csv(folder / "cases.tsv", sep="\t").set_index("case").loc[case]
    k, k_sub, seed = (int(row[name]) for name in ("k", "k_recluster", "seed"))
    tree = read_hierarchy(
        folder / row["config"], folder / row["exclusion"], k=k, k_sub=k_sub, seed=seed
    )
    read = read_events(folder / row["data"].replace(".fcs.txt", ".txt.gz"), tree)
    found = apply(tree, read).inside
    assert found.sum(axis=1).tolist() == [int(count) for count in row["events"].split(",")]
    packed = np.load(folder / f"{case}.npz")
    theirs = np.unpackbits(packed["member"], axis=0)[: int(packed["n"])].T.astype(bool)
    assert (found == theirs).all()
