"""Starts of k-means: the C library's numbers, and events."""

from __future__ import annotations

import ctypes
import platform

import numpy as np
import pytest

from bayesdecov.gating.initial_centers import glibc_rand, start_of


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs the GNU C library")
@pytest.mark.parametrize("seed", [0, 1, 2, 7, 123456789, 2**31 - 1])
def test_numbers_of_the_c_library(seed):
    libc = ctypes.CDLL(None)
    libc.srand(seed)
    theirs = [libc.rand() for _ in range(500)]
    assert glibc_rand(seed, 500).tolist() == theirs


def test_compat_takes_every_coordinate_from_an_event_of_its_own():
    z = np.arange(50.0).reshape(10, 5)
    start = start_of(z, 3, "compat", 2)
    drawn = glibc_rand(2, 15) % 10
    assert start[1, 2] == z[drawn[7], 2]
    assert start.shape == (3, 5)


@pytest.mark.parametrize("init", ["random", "k-means++"])
def test_other_starts_are_events(init):
    z = np.random.default_rng(1).uniform(size=(30, 2))
    start = start_of(z, 50, init, 4)  # never more than events
    assert len(start) == 30
    assert {tuple(row) for row in start} <= {tuple(row) for row in z}
    assert (start_of(z, 5, init, 4) == start_of(z, 5, init, 4)).all()
    assert (start_of(z, 5, init, 4) != start_of(z, 5, init, 5)).any()
