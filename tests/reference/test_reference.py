"""Making, saving and loading references."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning, InputError
from bayesdecov.reference.estimate import ESTIMATORS


@pytest.fixture(scope="module")
def cohort():
    return bd.simulate.convolution(n_genes=80, n_types=3, replicates=6, depth=50_000, seed=1)


@pytest.mark.parametrize("method", ESTIMATORS)
def test_round_trip(cohort, method, tmp_path):
    made = bd.Reference.from_samples(cohort.purified, cohort.labels, method, genes=40)
    made.save(tmp_path / "reference.nc")
    read = bd.Reference.load(tmp_path / "reference.nc")
    pd.testing.assert_frame_equal(read.mean, made.mean, check_names=False)
    pd.testing.assert_frame_equal(read.profiles, made.profiles, check_names=False)
    pd.testing.assert_frame_equal(read.transcriptome, made.transcriptome, check_names=False)
    for name in made.cell_types:
        np.testing.assert_array_equal(made.covariance_of(name), read.covariance_of(name))
    assert (read.scale, read.settings, read.notes) == (made.scale, made.settings, made.notes)
    one = bd.deconvolve(cohort.bulk, made)
    other = bd.deconvolve(cohort.bulk, read)
    np.testing.assert_array_equal(one.proportions, other.proportions)


def test_counts_become_counts_per_million_and_keep_their_noise(cohort):
    made = bd.Reference.from_samples(cohort.purified, cohort.labels, genes=None)
    assert made.scale == "counts"
    np.testing.assert_allclose(made.mean.sum(), 1e6)
    unit = (1e6 / cohort.purified.sum()).groupby(cohort.labels).mean()
    np.testing.assert_allclose(made.counting, unit.loc[made.cell_types])


def test_absolute_scale_is_kept():
    """A type with twice the mRNA stays twice as bright: nothing is normalised away."""
    cohort = bd.simulate.convolution(n_genes=60, n_types=2, replicates=5, seed=4)
    purified = cohort.purified.copy()
    purified[cohort.labels.index[cohort.labels == "type1"]] *= 2
    made = bd.Reference.from_samples(purified, cohort.labels, genes=None)
    plain = bd.Reference.from_samples(cohort.purified, cohort.labels, genes=None)
    np.testing.assert_allclose(made.mean["type1"], 2 * plain.mean["type1"])


def test_whole_numbers_keep_their_absolute_scale_when_asked(cohort):
    made = bd.Reference.from_samples(cohort.purified, cohort.labels, genes=None, assume_linear=True)
    assert made.scale == "linear"
    expected = cohort.purified.T.groupby(cohort.labels).mean().T
    np.testing.assert_allclose(made.mean, expected.loc[made.genes, made.cell_types])
    assert any("kept as they are" in note for note in made.notes)


def test_order_of_genes_and_samples_is_irrelevant(cohort):
    shuffled = cohort.purified.sample(frac=1, random_state=3)
    shuffled = shuffled.sample(frac=1, axis=1, random_state=4)
    made = bd.Reference.from_samples(cohort.purified, cohort.labels, "shrinkage", genes=None)
    other = bd.Reference.from_samples(
        shuffled, cohort.labels.sample(frac=1, random_state=5), "shrinkage", genes=None
    )
    pd.testing.assert_frame_equal(made.mean, other.mean.loc[made.genes], check_names=False)
    for name in made.cell_types:
        np.testing.assert_allclose(
            made.covariance_of(name),
            other.covariance_of(name).loc[made.genes, made.genes],
            rtol=1e-9,
            atol=1e-9,
        )


def test_given_genes_are_used_as_given(cohort):
    wanted = list(cohort.purified.index[[7, 3, 11, 30]])
    made = bd.Reference.from_samples(cohort.purified, cohort.labels, genes=wanted)
    assert list(made.genes) == wanted


def test_moments_are_exact(cohort):
    Sigma = {name: cohort.covariances[j] for j, name in enumerate(cohort.mean.columns)}
    made = bd.Reference.from_moments(cohort.mean, Sigma)
    assert made.replicates.eq(0).all()
    for j, name in enumerate(cohort.mean.columns):
        np.testing.assert_array_equal(made.covariance_of(name), cohort.covariances[j])
    shuffled = {
        name: pd.DataFrame(S, cohort.mean.index, cohort.mean.index).sample(frac=1, random_state=1)
        for name, S in Sigma.items()
    }
    again = bd.Reference.from_moments(cohort.mean, shuffled, replicates=5)
    np.testing.assert_array_equal(again.covariance_of("type1"), made.covariance_of("type1"))
    assert again.replicates.eq(5).all()


def test_signature_says_that_it_has_no_replicates(cohort):
    made = bd.Reference.from_signature(cohort.mean)
    assert "no replicates" in str(made)
    sd = np.sqrt(made.covariance.variances())
    np.testing.assert_allclose(sd / made.mean, 0.3)


def test_named_genes_that_are_silent_are_left_out_and_said(cohort):
    purified = cohort.purified.copy()
    purified.iloc[:5] = 0.0
    with pytest.warns(BayesdecovWarning, match="5 genes are zero in every cell type"):
        made = bd.Reference.from_samples(purified, cohort.labels, genes=list(purified.index[:30]))
    assert len(made.genes) == 25


def test_taking_a_gene_that_is_not_there(cohort):
    made = bd.Reference.from_samples(cohort.purified, cohort.labels, genes=10)
    with pytest.raises(InputError, match="missing nonesuch"):
        made.take(pd.Index(["nonesuch", made.genes[0]]))


def test_labels_are_cleaned(cohort, tmp_path):
    spaced = cohort.labels.where(cohort.labels.index != "type1 1", " type1 ")
    made = bd.Reference.from_samples(cohort.purified, spaced, genes=10)
    assert list(made.cell_types) == ["type1", "type2", "type3"]
    numbers = cohort.labels.map({"type1": 0.0, "type2": 1.0, "type3": 2.0})
    made = bd.Reference.from_samples(cohort.purified, numbers, genes=10)
    assert list(made.cell_types) == ["0", "1", "2"]
    cohort.labels.replace("type3", "NA").to_csv(tmp_path / "l.csv", index_label="sample")
    made = bd.Reference.from_samples(cohort.purified, tmp_path / "l.csv", genes=10)
    assert "NA" in made.cell_types


def test_anndata_is_accepted(cohort):
    anndata = pytest.importorskip("anndata")
    adata = anndata.AnnData(cohort.purified.T)
    made = bd.Reference.from_samples(adata, cohort.labels, genes=20)
    plain = bd.Reference.from_samples(cohort.purified, cohort.labels, genes=20)
    np.testing.assert_allclose(made.mean, plain.mean)


def _purified(cohort):
    return cohort.purified.copy(), cohort.labels.copy()


BAD = {
    "missing label": (lambda x, y: (x, y.iloc[1:]), "labels: every purified sample needs"),
    "one type": (lambda x, y: (x, y.replace({"type2": "type1", "type3": "type1"})), "at least two"),
    "labels not a series": (lambda x, y: (x, list(y)), "must be a Series"),
    "duplicate label": (lambda x, y: (x, pd.concat([y, y.iloc[:1]])), "sample names must be uniq"),
    "negative": (lambda x, y: (x - 50, y), "purified: expression must not be negative"),
    "missing value": (lambda x, y: (x.mask(x == x.iloc[3, 2]), y), "missing or infinite"),
    "logs": (lambda x, y: (np.log2(x + 1), y), "linear scale.*--assume-linear"),
    "text": (lambda x, y: (x.astype(object).mask(x == x.iloc[3, 2], "high"), y), "text 'high' in"),
    "empty": (lambda x, y: (x.iloc[:0], y), "must not be empty"),
    "duplicate samples": (
        lambda x, y: (x.set_axis(["type1 1", *x.columns[1:-1], "type1 1"], axis=1), y),
        "sample names must be unique",
    ),
    "zero sample": (lambda x, y: (x.assign(**{"type1 1": 0.0}), y), "only zeros in type1 1"),
    "not a table": (lambda x, y: (x.to_numpy(), y), "must be a pandas DataFrame"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_purified_samples(case, cohort):
    change, message = BAD[case]
    purified, labels = change(*_purified(cohort))
    with pytest.raises(InputError, match=message):
        bd.Reference.from_samples(purified, labels)


def test_assume_linear_insists_and_is_recorded(cohort):
    logs = np.log2(cohort.purified + 1)
    with pytest.warns(BayesdecovWarning, match="looks like logarithms"):
        made = bd.Reference.from_samples(logs, cohort.labels, assume_linear=True, genes=20)
    assert any("looks like logarithms" in note for note in made.notes)


def test_collinear_types_are_named(cohort):
    signature = cohort.mean.assign(copy=2 * cohort.mean["type2"])
    with pytest.raises(InputError, match="cannot be distinguished: type2, copy"):
        bd.Reference.from_signature(signature)


def test_more_types_than_genes(cohort):
    with pytest.raises(InputError, match="at least as many genes as cell types"):
        bd.Reference.from_signature(cohort.mean.iloc[:2])


def test_duplicate_genes_are_merged_and_recorded(cohort):
    doubled = cohort.purified.rename(index={"gene0002": "gene0001"})
    with pytest.warns(BayesdecovWarning, match="1 repeated genes merged"):
        made = bd.Reference.from_samples(doubled, cohort.labels, genes=None)
    assert made.genes.is_unique
    assert any("gene0001" in note for note in made.notes)


@pytest.mark.parametrize(
    ("covariances", "message"),
    [
        (np.zeros((3, 80, 80)), "must be positive definite"),
        (np.ones((2, 80, 80)), "must have shape"),
        ({"type1": np.eye(80)}, "none for type2, type3"),
        (np.stack([np.triu(np.ones((80, 80)))] * 3), "must be symmetric"),
    ],
)
def test_bad_moments(covariances, message, cohort):
    with pytest.raises(InputError, match=message):
        bd.Reference.from_moments(cohort.mean, covariances)


def test_bad_arguments(cohort):
    with pytest.raises(InputError, match="covariance: must be one of"):
        bd.Reference.from_samples(cohort.purified, cohort.labels, "lasso")
    with pytest.raises(InputError, match=r"genes: must all be in the table.*nonesuch"):
        bd.Reference.from_samples(cohort.purified, cohort.labels, genes=["gene0001", "nonesuch"])
    with pytest.raises(InputError, match="genes: must be a whole number >= 3"):
        bd.Reference.from_samples(cohort.purified, cohort.labels, genes=2)
    copies = [
        cohort.purified.set_axis([f"{g}-{k}" for g in cohort.purified.index]) for k in range(30)
    ]
    with pytest.raises(InputError, match="at most 2000 genes"):
        bd.Reference.from_samples(pd.concat(copies), cohort.labels, genes=None)
