"""Which mRNA per cell turns fractions of mRNA into fractions of cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.deconvolution.cell_fractions import mrna_per_cell
from bayesdecov.errors import BayesdecovWarning, InputError, Notes
from bayesdecov.unknown_content.extended import OTHER


@pytest.fixture(scope="module")
def reference():
    cohort = bd.simulate.convolution(n_samples=3, n_genes=40, n_types=3, seed=1)
    return bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal")


def known(reference, *values):
    return replace(reference, mrna_per_cell=pd.Series(values, reference.cell_types))


def test_what_is_given_comes_before_what_the_reference_knows(reference):
    both = known(reference, 1.0, 2.0, 3.0)
    assert mrna_per_cell(None, reference, Notes()) is None
    assert mrna_per_cell(None, both, Notes()).tolist() == [1, 2, 3]
    assert mrna_per_cell("none", both, Notes()) is None
    given = dict.fromkeys(reference.cell_types, 4.0)
    assert mrna_per_cell(given, both, Notes()).tolist() == [4, 4, 4]


def test_a_type_of_unknown_content_leaves_fractions_of_mrna(reference):
    notes = Notes()
    name = reference.cell_types[1]
    with pytest.warns(BayesdecovWarning, match=f"not known of {name}"):
        assert mrna_per_cell(None, known(reference, 1.0, np.nan, 3.0), notes) is None


def test_other_cells_have_the_mean_of_the_known(reference):
    names = [*reference.cell_types[:2], OTHER]
    mean = reference.mean.set_axis(names, axis=1)
    extended = replace(reference, mean=mean, mrna_per_cell=pd.Series([1.0, 3.0], names[:2]))
    assert mrna_per_cell(None, extended, Notes()).tolist() == [1, 3, 2]
    assert mrna_per_cell({names[0]: 2, names[1]: 6}, extended, Notes())[OTHER] == 4


@pytest.mark.parametrize("wrong", ["cells", 3.0, {"type1": 1.0}])
def test_anything_else_is_refused(reference, wrong):
    with pytest.raises(InputError, match=r"^mrna_per_cell: "):
        mrna_per_cell(wrong, reference, Notes())
