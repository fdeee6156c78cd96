"""The choice of markers against plain loops, and what it does not depend on."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import bayesdecov as bd
from bayesdecov.reference.markers import choose_markers


def slow(means, logs, variance, replicates, count):
    """Gene by gene: every type's queue, then every pair's, in turn."""
    n_genes, n_types = means.shape

    def t(g, j, k):
        return (logs[g, j] - logs[g, k]) / math.sqrt(
            variance[g] * (1 / replicates[j] + 1 / replicates[k])
        )

    queues = []
    for j in range(n_types):
        others = [k for k in range(n_types) if k != j]
        good = [
            g
            for g in range(n_genes)
            if all(logs[g, j] - logs[g, k] >= math.log2(1.5) for k in others)
        ]
        queues.append(sorted(good, key=lambda g, j=j, o=others: -min(t(g, j, k) for k in o)))
    pairs = []
    for j, k in itertools.combinations(range(n_types), 2):
        spoken = [g for g in range(n_genes) if means[g, j] > 0 or means[g, k] > 0]
        pairs.append(sorted(spoken, key=lambda g, j=j, k=k: -abs(t(g, j, k))))
    taken = []
    for group in (queues, pairs):
        while len(taken) < count and any(set(queue) - set(taken) for queue in group):
            for queue in group:
                left = [g for g in queue if g not in taken]
                if left and len(taken) < count:
                    taken.append(left[0])
    return sorted(taken)


def drawn(seed, n_genes=60, n_types=4):
    rng = np.random.default_rng(seed)
    means = rng.lognormal(2, 1, (n_genes, n_types)) * rng.integers(0, 2, (n_genes, n_types))
    means[means.sum(axis=1) == 0, 0] = 1.0
    logs = np.log2(means + 0.5) + 0.01 * rng.normal(size=means.shape)
    return means, logs, rng.gamma(2, 0.1, n_genes), rng.integers(1, 9, n_types)


@pytest.mark.parametrize("count", [4, 17, 45, 58])
@pytest.mark.parametrize("seed", range(4))
def test_the_chosen_genes_are_those_of_the_plain_loops(seed, count):
    means, logs, variance, replicates = drawn(seed)
    found = choose_markers(means, logs, variance, replicates, count)
    assert found.tolist() == slow(means, logs, variance, replicates, count)


def test_the_order_of_genes_and_the_unit_of_the_logarithms_are_irrelevant():
    means, logs, variance, replicates = drawn(5)
    found = choose_markers(means, logs, variance, replicates, 20)
    order = np.random.default_rng(1).permutation(len(means))
    again = choose_markers(means[order], logs[order], 9 * variance[order], replicates, 20)
    assert sorted(order[again]) == found.tolist()
    moved = choose_markers(means, logs + np.arange(60)[:, None], variance, replicates, 20)
    assert moved.tolist() == found.tolist()


def test_a_marker_is_expressed_by_one_type_only():
    """Ten genes of each of three types 8-fold, the rest alike: the markers are those."""
    rng = np.random.default_rng(2)
    logs = np.repeat(rng.normal(5, 1, (100, 1)), 3, axis=1) + 0.05 * rng.normal(size=(100, 3))
    for j in range(3):
        logs[10 * j : 10 * j + 10, j] += 3
    found = choose_markers(2**logs, logs, np.full(100, 0.1), np.array([3, 3, 3]), 15)
    assert np.bincount(found // 10, minlength=10).tolist() == [5, 5, 5, 0, 0, 0, 0, 0, 0, 0]


def test_a_gene_that_is_less_than_half_as_high_again_waits_for_the_pairs():
    logs = np.array([[1.0, 0.0], [math.log2(1.49), 0.0], [0.0, 1.0], [0.0, math.log2(1.51)]])
    even = np.array([1.0, 1e-6, 1.0, 1.0])  # gene 1 has by far the largest t
    assert choose_markers(2**logs, logs, even, np.array([3, 3]), 3).tolist() == [0, 2, 3]
    assert choose_markers(2**logs, logs, even, np.array([3, 3]), 9).tolist() == [0, 1, 2, 3]


def test_markers_mark():
    cohort = bd.simulate.convolution(n_genes=300, n_types=4, replicates=6, seed=3)
    reference = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal", genes=40)
    chosen = cohort.mean.loc[reference.genes]
    top = chosen.to_numpy().argsort(1)
    best, second = np.take_along_axis(chosen.to_numpy(), top[:, [-1, -2]], 1).T
    assert np.median(best / second) > 4
    assert np.bincount(top[:, -1], minlength=4).min() >= 8  # every type gets its share


def test_markers_do_not_depend_on_the_order_of_genes_or_types():
    cohort = bd.simulate.convolution(n_genes=120, n_types=3, replicates=5, seed=9)
    usual = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal", genes=30)
    shuffled = cohort.purified.sample(frac=1, random_state=1).sample(frac=1, axis=1, random_state=2)
    other = bd.Reference.from_samples(shuffled, cohort.labels, "diagonal", genes=30)
    assert set(usual.genes) == set(other.genes)
