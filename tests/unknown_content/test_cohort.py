"""What a cohort shows: genes of both tables, levels and markers by plain loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.errors import InputError
from bayesdecov.io.scale import per_million
from bayesdecov.unknown_content import cohort as module
from bayesdecov.unknown_content.cohort import observed


@pytest.fixture(scope="module")
def tables():
    data = bd.simulate.tissue(6, 300, seed=4)
    reference = bd.Reference.from_samples(data.purified, data.labels, "diagonal", genes=60)
    return per_million(data.bulk)[0], reference


def test_levels_and_markers_are_those_of_the_plain_loops(tables):
    whole, reference = tables
    phi = np.array([1.0, 2.0, np.nan, 4.0, np.inf, 0.0])
    found = observed(whole.iloc[::-1], phi, reference)
    means = reference.transcriptome
    floor = 0.02 * means.loc[found.genes].to_numpy().mean()
    marked = 0
    for g, name in enumerate(found.genes):
        np.testing.assert_array_equal(found.y[:, g], whole.loc[name])
        mu = means.loc[name, list(reference.cell_types)].to_numpy()
        np.testing.assert_array_equal(found.mu[g], mu)
        level = np.median(mu) + floor
        assert found.level[g] == pytest.approx(level)
        is_marker = name in reference.genes and mu.max() > 2 * level
        assert found.owner[g] == (mu.argmax() if is_marker else -1)
        marked += is_marker
    assert marked > 10
    unknown = whole.sum().to_numpy() / 1e6
    np.testing.assert_allclose(found.phi, [1, 2, unknown[2], 4, unknown[4], 0])
    assert found.replicates.tolist() == reference.replicates.tolist()
    assert found.n_types == len(reference.cell_types)


def test_relative_variance_is_that_of_expressed_markers(tables):
    whole, reference = tables
    found = observed(whole, np.ones(6), reference)
    ratios = []
    least = 0.02 * found.mu.mean()
    for j, name in enumerate(reference.cell_types):
        for g, gene in enumerate(reference.genes):
            mean = reference.mean.loc[gene, name]
            if mean > least:
                ratios.append(reference.covariance.variances()[g, j] / mean**2)
    assert found.relative_variance == pytest.approx(np.median(ratios))


def test_the_highest_genes_are_kept_and_all_that_were_chosen(tables, monkeypatch):
    whole, reference = tables
    monkeypatch.setattr(module, "_MOST", 100)
    found = observed(whole, np.ones(6), reference)
    assert len(found.genes) == 100
    assert set(reference.genes) <= set(found.genes)
    both = [whole.mean(axis=1), reference.transcriptome.mean(axis=1)]
    height = pd.concat(both, axis=1).max(axis=1)
    others = height.drop(reference.genes).loc[lambda s: s.index.isin(whole.index)]
    kept = found.genes.difference(reference.genes)
    assert set(kept) == set(others.nlargest(len(kept)).index)
    assert list(found.genes) == [g for g in reference.transcriptome.index if g in found.genes]


def test_genes_and_samples_are_taken_with_replacement(tables):
    whole, reference = tables
    found = observed(whole, np.arange(1.0, 7.0), reference)
    rows = np.array([5, 5, 0])
    genes, samples = found.take_genes(rows), found.take_samples(rows)
    np.testing.assert_array_equal(genes.y, found.y[:, rows])
    for name in ("mu", "level", "owner", "genes"):
        np.testing.assert_array_equal(getattr(genes, name), getattr(found, name)[rows])
    np.testing.assert_array_equal(samples.y, found.y[rows])
    assert samples.phi.tolist() == [6.0, 6.0, 1.0]


def test_too_few_genes():
    data = bd.simulate.tissue(5, 90, {"a": ["T"], "b": ["B"]}, seed=2)
    reference = bd.Reference.from_samples(data.purified, data.labels, "diagonal", genes=20)
    whole, _ = per_million(data.bulk)
    with pytest.raises(InputError, match="other: needs 50 genes"):
        observed(whole.iloc[:40], np.ones(5), reference)
