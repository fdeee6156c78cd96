"""What `deconvolve` refuses, and what it points out and records."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.algebra.priors import Dirichlet
from bayesdecov.errors import BayesdecovWarning, InputError
from tests.options import of_deconvolve

BAD = {
    "no overlap": (lambda y: y.set_axis([f"ENSG{i:011d}" for i in range(150)]), "0 shared of 150"),
    "transposed": (lambda y: y.T, "transpose it"),
    "negative": (lambda y: y - 1000, "bulk: expression must not be negative"),
    "missing": (lambda y: y.mask(y == y.iloc[5, 3]), "missing or infinite"),
    "text": (lambda y: y.astype(object).mask(y == y.iloc[5, 3], "n/a"), "text 'n/a'"),
    "zero sample": (lambda y: y.assign(bulk002=0.0), "only zeros in bulk002"),
    "log": (lambda y: np.log2(y / y.sum() * 1e6 + 1), "linear scale"),
    "duplicate samples": (lambda y: y.set_axis(["a"] * 30, axis=1), "sample names must be unique"),
    "too few genes": (lambda y: y.iloc[:2], "must share at least 4 genes"),
    "empty": (lambda y: y.iloc[:, :0], "must not be empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_bulks(case, cohort):
    change, message = BAD[case]
    made = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal", genes=None)
    with pytest.raises(InputError, match=message):
        bd.deconvolve(change(cohort.bulk), made)


def test_missing_reference_genes_are_recorded(cohort, reference):
    with pytest.warns(BayesdecovWarning, match="reference genes are missing"):
        fit = bd.deconvolve(cohort.bulk.drop(index=reference.genes[:5]), reference)
    assert any("5 of 100 reference genes are missing" in note for note in fit.notes)


def test_counts_against_tpm_is_said(cohort):
    linear = bd.simulate.convolution(n_samples=3, n_genes=150, n_types=4, seed=1)
    made = bd.Reference.from_samples(linear.purified, linear.labels, "diagonal", genes=None)
    with pytest.warns(BayesdecovWarning, match="counts against TPM"):
        bd.deconvolve(cohort.bulk, made)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "cibersort"}, "method: must be one of 'map', 'laplace'"),
        ({"chains": 2}, "chains: is not an option of method='map'"),
        ({"method": "nuts", "target_accept": 1.5}, "target_accept: "),
        ({"method": "nuts", "nuts_sampler": "stan"}, "nuts_sampler: must be one of"),
        ({"method": "nuts", "tune": 0}, "tune: must be a whole number"),
        ({"method": "laplace", "max_pareto_k": -1}, "max_pareto_k: must be a positive number"),
        ({"prior": "uniform"}, "prior: must be one of"),
        ({"prior": Dirichlet((1.0, 2.0))}, "one concentration per cell type"),
        ({"prior": Dirichlet(-1.0)}, "must be positive"),
        ({"noise": "loud"}, "noise: must be one of"),
        ({"size_factor": "big"}, "size_factor: must be one of"),
        ({"df": -1}, "df: must be a positive number"),
        ({"draws": 0, "method": "laplace"}, "draws: must be a whole number"),
        ({"seed": "today"}, "seed: must be None"),
        ({"n_jobs": 0}, "n_jobs: must be"),
        ({"mrna_per_cell": {"type1": 1.0}}, "none for type2, type3, type4"),
        ({"mrna_per_cell": 3}, "must map each cell type"),
    ],
)
def test_bad_options(options, message, cohort, reference):
    with pytest.raises(InputError, match=message):
        bd.deconvolve(cohort.bulk, reference, **of_deconvolve(options))


def test_bad_reference(cohort):
    with pytest.raises(InputError, match="must be a Reference"):
        bd.deconvolve(cohort.bulk, 3)


def test_samples_of_something_else_are_pointed_out(cohort, reference):
    rng = np.random.default_rng(1)
    strange = cohort.bulk.assign(bulk003=rng.permutation(cohort.bulk["bulk003"].to_numpy()))
    with pytest.warns(BayesdecovWarning, match="1 of 30 samples do not look like.*bulk003"):
        fit = bd.deconvolve(strange, reference)
    assert any("bulk003" in note for note in fit.notes)


def test_case_of_gene_names_changes_nothing(cohort, reference):
    lower = cohort.bulk.rename(index=str.upper)
    np.testing.assert_allclose(
        bd.deconvolve(lower, reference).proportions,
        bd.deconvolve(cohort.bulk, reference).proportions,
    )


def test_a_flat_sample_is_printed_without_a_correlation(cohort, reference):
    flat = pd.DataFrame({"flat": 100.0}, cohort.bulk.index)
    with pytest.warns(BayesdecovWarning, match="do not look like a mixture"):
        fit = bd.deconvolve(flat, reference, "nnls")
    assert "Deconvolution: 1 samples" in str(fit)


def test_a_reference_given_as_bulk_is_pointed_out(cohort):
    made = bd.Reference.from_signature(cohort.mean)
    with pytest.warns(BayesdecovWarning, match="swapped or the same table"):
        bd.deconvolve(cohort.mean, made)


def test_hardly_distinct_types_are_named(cohort):
    near = cohort.mean.copy()
    rng = np.random.default_rng(0)
    near["twin"] = near["type2"] * (1 + 1e-6 * rng.normal(size=len(near)))
    with pytest.warns(BayesdecovWarning, match="hardly distinguish these cell types: type2, twin"):
        bd.deconvolve(cohort.mean.add_prefix("bulk "), bd.Reference.from_signature(near), "simplex")


@pytest.mark.parametrize(
    ("options", "words"),
    [({"prior": "bad"}, "prior"), ({"df": -1.0}, "df"), ({"size_factor": "big"}, "size_factor")],
)
def test_options_are_checked_before_tables_are_read(options, words):
    with pytest.raises(bd.errors.InputError, match=f"^{words}"):
        bd.deconvolve("nowhere.csv", "nowhere.nc", **options)
