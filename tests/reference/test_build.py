"""Fields of a reference from samples, a signature and moments, by plain loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesdecov.errors import InputError
from bayesdecov.reference.build import from_moments, from_samples, from_signature


def purified(seed=0, n_genes=30):
    rng = np.random.default_rng(seed)
    level = rng.lognormal(4, 1, (n_genes, 3))
    labels = pd.Series(np.repeat(["T", "B", "M"], [4, 3, 2]), [f"s{i}" for i in range(9)])
    columns = ["TBM".index(label) for label in labels]
    table = pd.DataFrame(
        rng.poisson(rng.gamma(20, level[:, columns] / 20)),
        [f"g{i}" for i in range(n_genes)],
        labels.index,
    )
    return table, labels


def test_counts_are_averaged_per_million_type_by_type():
    table, labels = purified()
    table.loc["silent"] = 0
    made = from_samples(table, labels, "diagonal", None, None, False)
    assert list(made["mean"].columns) == ["B", "M", "T"]
    assert "silent" not in made["mean"].index
    assert "silent" in made["transcriptome"].index
    for kind in "BMT":
        mine = [name for name in table if labels[name] == kind]
        share = [1e6 * table[name] / table[name].sum() for name in mine]
        expected = sum(share) / len(mine)
        np.testing.assert_allclose(made["transcriptome"][kind], expected)
        np.testing.assert_allclose(made["mean"][kind], expected.drop("silent"))
        unit = sum(1e6 / table[name].sum() for name in mine) / len(mine)
        assert made["counting"][kind] == pytest.approx(unit)
        assert made["replicates"][kind] == len(mine)
    assert made["scale"] == "counts"


def test_whole_numbers_that_are_taken_as_they_are_keep_their_totals():
    table, labels = purified()
    made = from_samples(table, labels, "diagonal", None, None, True)
    np.testing.assert_allclose(made["mean"]["M"], table[["s7", "s8"]].mean(axis=1))
    assert made["scale"] == "linear"
    assert made["notes"] == (
        "purified: whole numbers kept as they are, not scaled to counts per million",
    )


def test_the_order_of_samples_and_labels_is_irrelevant():
    table, labels = purified()
    donors = pd.Series([f"d{i % 3}" for i in range(9)], labels.index)
    one = from_samples(table, labels, "shrinkage", 12, donors, False)
    order = np.random.default_rng(0).permutation(9)
    other = from_samples(table.iloc[:, order], labels[::-1], "shrinkage", 12, donors, False)
    pd.testing.assert_frame_equal(one["mean"], other["mean"])
    for j in range(3):
        np.testing.assert_allclose(one["covariance"].matrix(j), other["covariance"].matrix(j))
    assert other["donors"].to_dict() == donors.to_dict()
    assert other["labels"].to_dict() == labels.to_dict()
    assert other["profiles"].shape == (12, 9)


def test_a_signature_has_one_replicate_of_each_type_and_three_tenths_of_the_mean():
    table, labels = purified()
    signature = table.T.groupby(labels).mean().T
    signature.loc["silent"] = 0.0
    made = from_signature(signature, None, False)
    assert made["replicates"].tolist() == [1, 1, 1]
    assert "silent" not in made["mean"].index
    floor = 0.01 * made["mean"].mean(axis=1).to_numpy()[:, None]
    np.testing.assert_allclose(
        made["covariance"].variances(), (0.3 * np.maximum(made["mean"], floor)) ** 2
    )
    assert made["counting"].isna().all()
    with pytest.raises(InputError, match="signature: needs at least two cell types"):
        from_signature(signature[["B"]], None, False)


def moments():
    rng = np.random.default_rng(1)
    mean = pd.DataFrame(rng.gamma(2, 2, (5, 2)), list("abcde"), ["T", 1])
    A = rng.normal(size=(2, 5, 7))
    return mean, A @ A.transpose(0, 2, 1)


def test_moments_are_aligned_by_the_names_of_genes_and_types():
    mean, Sigma = moments()
    shuffled = pd.DataFrame(Sigma[1], list("abcde"), list("abcde")).loc[
        list("cadeb"), list("edcba")
    ]
    made = from_moments(mean, {1: shuffled, "T": Sigma[0], "other": 0}, {"1": 3, "T": 2})
    np.testing.assert_array_equal(made["covariance"].Sigma, Sigma)
    assert made["replicates"].to_dict() == {"T": 2, "1": 3}
    for given in ([2, 3], np.array([2, 3]), pd.Series({1: 3.0, "T": 2.0})):
        assert from_moments(mean, Sigma, given)["replicates"].tolist() == [2, 3]
    assert from_moments(mean, Sigma, 4)["replicates"].tolist() == [4, 4]
    assert from_moments(mean, Sigma, None)["replicates"].tolist() == [0, 0]


@pytest.mark.parametrize(("replicates", "said"), [
    (-1, "must be a whole number >= 0"), ([1, 2, 3], "one number per cell type; found 3 numbers"),
    ([1, -1], "found -1"), ([1, 1.5], "found 1.5"), ({"T": 2}, "found nan for '1'"),
    ([1, True], "found True"), (["1", 2], "found '1'"), ([1, np.inf], "found inf"),
])  # fmt: skip
def test_numbers_of_replicates_that_cannot_be(replicates, said):
    mean, Sigma = moments()
    with pytest.raises(InputError) as caught:
        from_moments(mean, Sigma, replicates)
    assert caught.value.argument == "replicates"
    assert said in str(caught.value)


def test_covariances_that_are_no_matrices_are_refused():
    mean, Sigma = moments()
    frame = pd.DataFrame(Sigma[0], list("abcdX"), list("abcdX"))
    for given, said in (({"T": frame, "1": Sigma[1]}, "found none for e"),
                        ("x", "array of numbers"),
                        ({"T": Sigma[0]}, "found none for 1"), (Sigma[:, 1:], "must have shape"),
                        (-Sigma, "'T' must be positive definite")):  # fmt: skip
        with pytest.raises(InputError, match="covariances: ") as caught:
            from_moments(mean, given, None)
        assert said in str(caught.value)
