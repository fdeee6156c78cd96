"""Choices that are made for the user: noise, size factor, prior and tail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.algebra.priors import Dirichlet, SoftmaxNormal
from bayesdecov.deconvolution.model import EQ8, LIKELIHOOD
from bayesdecov.deconvolution.prepare import _automatic_noise, prepare
from bayesdecov.errors import InputError
from tests.deconvolution.problems import reference_of

REFERENCE = replace(reference_of(1), scale="linear")
BULK = pd.DataFrame(
    REFERENCE.mean.to_numpy() @ [[0.2, 0.5], [0.3, 0.1], [0.5, 0.4]], REFERENCE.genes, ["a", "b"]
)


def prepared(reference=REFERENCE, **options):
    return prepare(BULK, reference, **options)


def test_exact_moments_are_the_whole_model():
    found = prepared(reference_of(1))  # from moments: exact
    assert (found.noise, found.model.free_size, found.model.df) == ("none", False, None)
    assert (found.data.phi == 0).all()
    np.testing.assert_allclose(found.data.y, BULK.T)


def test_an_estimated_reference_gets_noise_tails_and_a_free_size():
    found = prepared(platform="same")
    assert (found.noise, found.model.free_size, found.model.df) == ("counting", True, 4.0)
    assert np.isnan(found.data.phi).all()
    assert "counting noise per unit of expression is not known" in found.notes.lines[-1]
    np.testing.assert_allclose(found.data.y * found.data.unit[:, None], BULK.T)
    chosen = prepared(noise="none", size_factor="fixed", df=None)
    assert (chosen.noise, chosen.model.free_size, chosen.model.df) == ("none", False, None)


def test_a_shared_diagonal_needs_no_noise_that_is_unknown():
    data = bd.simulate.convolution(n_samples=2, n_genes=40, n_types=3, seed=1)
    factor = bd.Reference.from_samples(data.purified, data.labels, "factor", genes=None)
    assert _automatic_noise(factor, np.array([np.nan, 1.0])) == "none"
    assert _automatic_noise(factor, np.array([1.0, 1.0])) == "counting"
    assert _automatic_noise(REFERENCE, np.array([np.nan])) == "counting"


def test_priors_by_name_and_by_cell_type():
    assert prepared(platform="same").model.prior == Dirichlet(1.0)
    assert prepared().model.prior == Dirichlet(0.5)
    assert prepared(prior="flat").model.prior == Dirichlet(1.0)
    assert prepared(prior="jeffreys", platform="same").model.prior == Dirichlet(0.5)
    assert prepared(prior="normal").model.prior == SoftmaxNormal()
    assert prepared().model.logdet_weight == LIKELIHOOD
    assert prepared(prior="decovart").model.logdet_weight == EQ8
    named = prepared(prior=Dirichlet({"t2": 3.0, "t0": 1.0, "t1": 2.0}))
    assert named.model.prior == Dirichlet((1.0, 2.0, 3.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior": Dirichlet((1.0, 2.0))}, "prior: needs one concentration per cell type; found 2"),
        ({"prior": Dirichlet(-1.0)}, "prior: concentrations must be positive"),
        ({"prior": SoftmaxNormal(0.0)}, "prior scale: must be a positive number"),
        ({"prior": "uniform"}, "prior: must be one of 'auto', 'flat', 'jeffreys'"),
        ({"noise": "some"}, "noise: must be one of"),
        ({"size_factor": "none"}, "size_factor: must be one of"),
        ({"df": -2}, "df: must be a positive number"),
        ({"platform": "mine"}, "platform: must be one of 'auto', 'same', 'elsewhere'"),
        (
            {"platform": "elsewhere", "prior": "decovart"},
            "prior: cannot have this value with platform=",
        ),
        (
            {"platform": "elsewhere", "noise": "none"},
            "noise: cannot have this value with platform=",
        ),
        ({"platform": "elsewhere", "df": 4}, "df: cannot have this value with platform="),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        prepared(**options)


def test_genes_and_samples_may_come_in_any_order():
    order = np.random.default_rng(0).permutation(len(BULK))
    shuffled = prepare(BULK.iloc[order, ::-1], REFERENCE)
    plain = prepared()
    assert list(shuffled.samples) == ["b", "a"]
    by_gene = dict(zip(plain.reference.genes, plain.data.y[0], strict=True))
    for gene, value in zip(shuffled.reference.genes, shuffled.data.y[1], strict=True):
        assert value == pytest.approx(by_gene[gene])
