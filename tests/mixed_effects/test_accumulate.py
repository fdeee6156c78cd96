"""Least squares a part at a time is least squares of everything."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesdecov.algebra.shared_design import least_squares
from bayesdecov.errors import BayesdecovWarning, InputError, Notes
from bayesdecov.io import blocks
from bayesdecov.io.blocks import Blocks
from bayesdecov.mixed_effects import accumulate
from bayesdecov.mixed_effects.accumulate import accumulated, say_flat, some_genes

GENES, SAMPLES = 23, 9


@pytest.fixture
def data(monkeypatch):
    monkeypatch.setattr(blocks, "_BYTES", 8 * SAMPLES * 5)  # five genes at a time
    rng = np.random.default_rng(0)
    Y = pd.DataFrame(
        rng.normal(size=(GENES, SAMPLES)) + 1e3,
        [f" gene{i} " for i in range(GENES)],
        [f"s{i}" for i in range(SAMPLES)],
    )
    return Y, rng.normal(size=(SAMPLES, 3)), rng


def same(found, slow):
    for name in slow._fields:
        np.testing.assert_allclose(getattr(found, name), getattr(slow, name), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("whitened", [False, True])
@pytest.mark.parametrize("random", [(0, 1, 2), (1,)])
def test_parts_give_what_one_fit_of_all_genes_gives(data, whitened, random):
    Y, X, rng = data
    A = rng.normal(size=(SAMPLES, SAMPLES))
    root = np.linalg.inv(np.linalg.cholesky(A @ A.T + np.eye(SAMPLES))) if whitened else None
    root = None if root is None else (root + root.T) / 2
    random = np.array(random)
    assert len(list(Blocks(Y, "expression").by_genes())) == 5
    found, names = accumulated(Blocks(Y, "expression"), Y.columns, X, root, random, Notes())
    W = np.eye(SAMPLES) if root is None else root
    same(found, least_squares(W @ X, Y.to_numpy() @ W, random))
    assert names.tolist() == [f"gene{i}" for i in range(GENES)]


def test_samples_are_taken_by_name_in_the_order_of_the_design(data):
    Y, X, rng = data
    order = rng.permutation(SAMPLES)[:7]
    samples = Y.columns[order]
    found, _ = accumulated(Blocks(Y, "expression"), samples, X[order], None, np.arange(3), Notes())
    same(found, least_squares(X[order], Y[samples].to_numpy()))
    pd.testing.assert_index_equal(some_genes(Blocks(Y, "e"), samples).columns, samples)


def test_genes_without_variation_are_left_out_and_named(data):
    """Whether they vary is asked of the samples that are used, not of all."""
    Y, X, _ = data
    Y.iloc[[2, 17]] = 3.0
    Y.iloc[20, :8] = 5.0
    samples, notes = Y.columns[:8], Notes()
    with pytest.warns(BayesdecovWarning, match="3 genes with the same value in every sample"):
        found, names = accumulated(
            Blocks(Y, "expression"), samples, X[:8], None, np.arange(3), notes
        )
    kept = np.setdiff1d(np.arange(GENES), [2, 17, 20])
    assert names.tolist() == [f"gene{i}" for i in kept]
    same(found, least_squares(X[:8], Y.iloc[kept, :8].to_numpy()))
    assert notes.lines[0].endswith("gene2, gene17, gene20")


def test_only_flat_genes_are_refused_and_none_is_not_mentioned(data):
    Y, X, _ = data
    with (
        pytest.warns(BayesdecovWarning, match="23 genes"),
        pytest.raises(InputError, match="expression: must vary between samples; found the same"),
    ):
        accumulated(Blocks(Y * 0 + 1, "e"), Y.columns, X, None, np.arange(3), Notes())
    notes = Notes()
    say_flat(Y.index[:0], notes)
    assert notes.lines == []


def test_genes_that_are_looked_at_are_evenly_spaced(data, monkeypatch):
    Y, _, _ = data
    monkeypatch.setattr(accumulate, "_SOME", 4)
    found = some_genes(Blocks(Y, "expression"), Y.columns)
    pd.testing.assert_frame_equal(found, Y.iloc[::5].rename(str.strip))


def test_text_in_a_late_part_is_pointed_out(data):
    Y, X, _ = data
    Y = Y.astype(object)
    Y.iloc[21, 3] = "n/a"
    with pytest.raises(InputError, match=r"expression: .*text 'n/a'"):
        accumulated(Blocks(Y, "expression"), Y.columns, X, None, np.arange(3), Notes())
