"""Related cell types from whole donors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesdecov import simulate
from bayesdecov.errors import InputError


def test_without_differences_between_donors_a_bulk_is_the_mixture_of_the_purified():
    data = simulate.tissue(6, 300, donor_sd=0.0, depth=3e7, replicates=2, seed=1)
    profiles = data.purified / data.purified.sum()
    mean = profiles.T.groupby(data.labels, sort=False).mean().T
    expected = mean @ data.proportions[mean.columns].T
    found = data.bulk / data.bulk.sum()
    large = (expected > 1e-4).to_numpy()
    # counts of 3,000 and more, and as many in the profiles: relative errors of .02
    assert np.abs(found.to_numpy() / expected.to_numpy() - 1)[large].max() < 0.15


def test_types_of_a_lineage_are_closer_than_others():
    data = simulate.tissue(2, 2000, donor_sd=0.0, depth=1e7, replicates=1, sibling_fold=1.5, seed=2)
    profiles = np.log1p(data.purified.set_axis(data.labels, axis=1))
    r = profiles.corr()
    assert r.loc["B naive", "B memory"] > r.loc["B naive", "CD4 T"] + 0.05


def test_donors_share_deviations_over_their_cell_types():
    data = simulate.tissue(2, 2000, donor_sd=0.5, depth=1e8, replicates=12, seed=3)
    log_x = np.log(data.purified.to_numpy() + 1).reshape(2000, 8, 12)
    log_x -= log_x.mean(axis=2, keepdims=True)
    own = np.mean([np.corrcoef(log_x[:, 0, d], log_x[:, 5, d])[0, 1] for d in range(12)])
    other = np.mean([np.corrcoef(log_x[:, 0, d], log_x[:, 5, d - 1])[0, 1] for d in range(12)])
    assert own == pytest.approx(0.3, abs=0.05)  # the shared part of the log-variance
    assert other < 0.02


def test_other_content_and_pure_samples():
    data = simulate.tissue(400, 200, other=0.4, depth=1e4, seed=4)
    # Beta with 8 pseudo-counts: standard deviation .16, so a standard error of .008
    assert data.other.mean() == pytest.approx(0.4, abs=0.03)
    assert np.allclose(data.proportions.sum(axis=1), 1)
    pure = simulate.tissue(9, 200, pure=True, depth=1e4, seed=4)
    assert (pure.proportions.max(axis=1) == 1).all()
    assert pure.proportions.iloc[8].equals(pure.proportions.iloc[0].rename("bulk009"))
    assert (pure.other == 0).all()


def test_own_lineages_and_seed():
    tree = {"one": ["a"], "two": ["b", "c"]}
    first = simulate.tissue(3, 100, tree, seed=5)
    assert first.lineages == {"a": "one", "b": "two", "c": "two"}
    assert first.bulk.equals(simulate.tissue(3, 100, tree, seed=5).bulk)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"lineages": {"one": ["a", "a"]}}, "each only once"),
        ({"other": 1.0}, "fraction below 1"),
        ({"donor_sd": -1.0}, "donor_sd"),
        ({"sibling_fold": 0.5}, "sibling_fold"),
        ({"n_genes": 10}, "n_genes"),
        ({"depth": 0}, "depth"),
        ({"proportions": np.zeros((2, 8))}, "must be nonnegative, with a positive sum"),
        ({"proportions": np.ones((2, 3))}, "samples x 8"),
    ],
)
def test_bad_input(options, match):
    with pytest.raises(InputError, match=match):
        simulate.tissue(**options)


def test_given_proportions_and_many_types():
    tree = {f"l{j}": [f"t{j}"] for j in range(20)}
    data = simulate.tissue(3, 400, tree, seed=6)
    assert data.proportions.shape == (3, 20)
    wanted = pd.DataFrame({"b": [3.0, 1.0], "a": [1.0, 1.0]})
    given = simulate.tissue(n_genes=100, lineages={"one": ["a"], "two": ["b"]}, proportions=wanted)
    assert given.proportions["b"].tolist() == [0.75, 0.5]
