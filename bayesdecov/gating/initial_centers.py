"""Initialisation of k-means: as in the original program, at random events, or by k-means++."""

from __future__ import annotations

import numpy as np

from bayesdecov.algebra.terms import Array

STARTS = ("compat", "random", "k-means++")
_MODULUS = 2**31 - 1


def start_of(z: Array, k: int, init: str, seed: int) -> Array:
    """Centers to start from, (cluster, column).

    ``compat`` draws each coordinate of each center from a different event, with the C library's
    ``rand()`` seeded anew, as DAFi does: many centers start far from any event, and these clusters
    stay empty. The other two start at events, so there are at most as many centers as events.
    """
    n, columns = z.shape
    if init == "compat":
        drawn = glibc_rand(seed, k * columns) % n
        return z[drawn.reshape(k, columns), np.arange(columns)]
    k = min(k, n)
    if init == "random":
        return z[np.random.default_rng(seed).choice(n, k, replace=False)]
    from sklearn.cluster import kmeans_plusplus

    return kmeans_plusplus(z, k, random_state=seed)[0]


def glibc_rand(seed: int, count: int) -> np.ndarray:
    """The first ``count`` numbers of glibc's ``rand()`` after ``srand(seed)``.

    An additive feedback generator, x[i] = x[i-3] + x[i-31] modulo 2^32, filled by 16807 x modulo
    2^31 - 1; its first 310 outputs are dropped and the lowest bit of the others is cut off.

    Examples
    --------
    >>> glibc_rand(1, 3).tolist()
    [1804289383, 846930886, 1681692777]
    """
    state = [seed or 1]
    for _ in range(30):
        state.append(16807 * state[-1] % _MODULUS)
    state += state[:3]
    for i in range(34, 344 + count):
        state.append((state[i - 3] + state[i - 31]) & 0xFFFFFFFF)
    return np.array(state[344:], dtype=np.int64) >> 1
