"""K-means against the plain double loop, ties and empty clusters included."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.gating.initial_centers import start_of
from bayesdecov.gating.kmeans import lloyd, plain_squares


def plain(z, start, iterations=100):
    """Assign, move, a hundred times: no shortcuts."""
    centers, labels = start.copy(), None
    for _ in range(iterations):
        labels = plain_squares(z, centers).argmin(axis=1)
        for i in range(len(centers)):
            mine = z[labels == i]
            if len(mine):
                total = np.zeros(z.shape[1])
                for row in mine:  # in the order of events, as a loop over events sums
                    total += row
                centers[i] = total / len(mine)
    return labels, centers


@pytest.mark.parametrize(("n", "k", "columns", "init"), [
    (800, 45, 4, "compat"), (800, 45, 4, "random"), (300, 7, 2, "k-means++"), (60, 61, 3, "compat"),
    (400, 1, 3, "compat"), (1, 1, 2, "random"),
])  # fmt: skip
def test_labels_are_those_of_the_plain_loop(n, k, columns, init):
    rng = np.random.default_rng(n + k)
    z = rng.integers(0, 1024, (n, columns)) * 4 / 4095  # 10-bit channels, as recorded
    start = start_of(z, k, init, 3)
    found = lloyd(z, start)
    labels, centers = plain(z, start)
    assert (found.labels == labels).all()
    assert (found.centers == centers).all()
    assert found.stable


def test_ties_go_to_the_lowest_number():
    z = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.0], [0.5, 1.0]])
    found = lloyd(z, np.array([[0.0, 0.5], [1.0, 0.5], [0.0, 0.5]]), iterations=1)
    assert found.labels.tolist() == [0, 1, 0, 0]
    assert found.centers[2].tolist() == [0.0, 0.5]  # a twin that attracts nothing stays


def test_many_equal_distances():
    """A grid with centers on a coarser grid: whole rows of events lie between two centers."""
    side = np.arange(24) / 24
    z = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    start = z[::12].copy()
    found = lloyd(z, start, iterations=7)
    labels, centers = plain(z, start, iterations=7)
    assert (found.labels == labels).all()
    assert (found.centers == centers).all()


@pytest.mark.parametrize("seed", range(6))
def test_ties_between_centers_of_different_groups(seed):
    """Few values, many centers: the plain sum decides often, and bounds must survive that."""
    rng = np.random.default_rng(seed)
    z = rng.integers(0, 8, (1500, 3)) / 8
    start = z[rng.choice(1500, 100, replace=False)]
    found = lloyd(z, start, 30)
    labels, centers = plain(z, start, 30)
    assert (found.labels == labels).all()
    assert (found.centers == centers).all()


@pytest.mark.parametrize("unit", [1e-6, 1.0, 64.0, 1e6])
def test_any_unit(unit):
    """Raw intensities, far off the full scale, and shares of almost nothing."""
    rng = np.random.default_rng(5)
    z = rng.lognormal(size=(900, 5)).round(2) * unit
    start = start_of(z, 60, "random", 1)
    found = lloyd(z, start)
    labels, centers = plain(z, start)
    assert (found.labels == labels).all()
    assert (found.centers == centers).all()


def test_it_stops_where_it_is_told():
    rng = np.random.default_rng(0)
    z = rng.uniform(size=(500, 3))
    start = start_of(z, 40, "random", 1)
    found = lloyd(z, start, iterations=2)
    assert (found.iterations, found.stable) == (2, False)
    assert (found.labels == plain(z, start, iterations=2)[0]).all()
