"""What the cohort teaches: nothing unless it is asked, and what is needed where it is."""

from __future__ import annotations

import numpy as np
import pytest

import bayesdecov as bd
from bayesdecov.deconvolution.align import align_bulk
from bayesdecov.deconvolution.cohort_stage import learn_from_cohort
from bayesdecov.errors import InputError, Notes
from bayesdecov.unknown_content.extended import OTHER


@pytest.fixture(scope="module")
def case():
    tissue = bd.simulate.tissue(16, 300, replicates=4, other=0.3, seed=2)
    reference = bd.Reference.from_samples(tissue.purified, tissue.labels, "diagonal", genes=60)
    aligned = align_bulk(tissue.bulk, reference, assume_linear=False, notes=Notes())
    return tissue, reference.take(aligned.shared), aligned


def learned(case, reference=None, *, free_size=False, seed=1):
    _, own, aligned = case
    notes = Notes()
    rng = np.random.default_rng(seed)
    return learn_from_cohort(
        aligned,
        own if reference is None else reference,
        free_size=free_size,
        other=rng,
        notes=notes,
    ), notes


def test_without_a_question_the_reference_is_handed_on(case):
    _, reference, aligned = case
    found = learn_from_cohort(aligned, reference, free_size=True, other=None, notes=Notes())
    assert found.reference is reference
    assert found.shared_shift is None


def test_unknown_content_becomes_a_cell_type_with_genes_of_its_own(case):
    (found, shift), notes = learned(case)
    assert list(found.cell_types)[-1] == OTHER
    assert len(found.genes) > len(case[1].genes)
    assert shift.shape[1] == 16
    assert np.isfinite(shift).all()
    assert "other cells: profile learned from 16 samples" in notes.lines[-1]
    (again, _), _ = learned(case)
    np.testing.assert_array_equal(found.mean, again.mean)


def test_a_free_total_and_a_taken_name_are_refused(case):
    with pytest.raises(InputError, match="other: needs bulk and reference on one scale"):
        learned(case, free_size=True)
    (extended, _), _ = learned(case)
    with pytest.raises(InputError, match="is called 'other' already"):
        learned(case, extended)
