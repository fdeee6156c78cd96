"""Sums over groups of cells: those of a dense matrix, whatever form the cells have."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from bayesdecov.cells import sums as module
from bayesdecov.cells.sums import group_sums, parts_of
from bayesdecov.errors import InputError

N, G, K = 300, 40, 5


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    X = rng.poisson(0.3, (N, G)).astype(np.float32)
    codes = rng.integers(-1, K, N)
    codes[codes == 3] = 2  # a group without cells
    X[::50] = 0
    slow = np.stack([X[codes == k].sum(axis=0) for k in range(K)])
    return X, codes, slow


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
@pytest.mark.parametrize("part", [1, 1000, 10**9])
def test_sums_are_those_of_the_rows(case, kind, part, monkeypatch):
    X, codes, slow = case
    monkeypatch.setattr(module, "_PART", part)
    found = group_sums(kind(X), codes, K, "cells")
    np.testing.assert_allclose(found.values, slow)
    assert found.whole
    np.testing.assert_array_equal(found.heard, X.any(axis=1))


def test_other_values_than_numbers_are_refused(case):
    with pytest.raises(InputError, match="cells: must contain numbers"):
        group_sums(np.full((N, G), "x", dtype=object), case[1], K, "cells")


def test_parts_cover_the_matrix_once(case, monkeypatch):
    monkeypatch.setattr(module, "_PART", 2000)
    for kind in (sparse.csr_matrix, sparse.csc_matrix):
        seen = np.zeros((N, G), dtype=int)
        for rows, columns, part in parts_of(kind(case[0])):
            seen[rows, columns] += 1
            assert part.shape == seen[rows, columns].shape
        assert (seen == 1).all()


def test_fractions_are_seen_and_wrong_values_refused(case):
    X, codes, _ = case
    assert not group_sums(sparse.csr_matrix(X / 2), codes, K, "cells").whole
    for wrong in (-1.0, np.nan, np.inf):
        broken = X.copy()
        broken[5, 3] = wrong
        for kind in (np.asarray, sparse.csr_matrix):
            with pytest.raises(InputError, match=r"^cells: must contain counts"):
                group_sums(kind(broken), codes, K, "cells")
