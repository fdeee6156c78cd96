"""Cells that the reference lacks, as a cell type with a posterior; and cell types left out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import bayesdecov as bd
from bayesdecov.algebra.priors import Dirichlet
from bayesdecov.errors import BayesdecovWarning, InputError
from tests.options import of_deconvolve

SHARE = np.concatenate([np.zeros(8), np.linspace(0.1, 0.5, 12)])


@pytest.fixture(scope="module")
def tissue():
    return bd.simulate.tissue(20, 800, other=SHARE, seed=5)


@pytest.fixture(scope="module")
def reference(tissue):
    return bd.Reference.from_samples(tissue.purified, tissue.labels, "diagonal", genes=150)


@pytest.fixture(scope="module")
def fit(tissue, reference):
    return bd.deconvolve(
        tissue.bulk,
        reference,
        "laplace",
        other=True,
        seed=1,
        sampling=bd.Sampling(max_pareto_k=np.inf),
    )


def test_other_cells_are_found(fit, tissue):
    other = fit.proportions["other"]
    assert roc_auc_score(SHARE > 0, other) == 1
    table = fit.intervals().query("cell_type == 'other'")
    held = (table["low"].to_numpy() <= SHARE) & (table["high"].to_numpy() >= SHARE)
    assert held[SHARE > 0].mean() > 0.8
    known = fit.proportions.drop(columns="other")
    known = known.div(known.sum(axis=1), axis=0)
    error = np.sqrt(np.square(known - tissue.proportions[known.columns]).mean(axis=None))
    assert error < 0.04
    np.testing.assert_allclose(fit.proportions.sum(axis=1), 1)


def test_without_it_the_known_types_pay(fit, tissue, reference):
    with pytest.warns(BayesdecovWarning, match="do not look like a mixture"):
        plain = bd.deconvolve(tissue.bulk, reference, "map", platform="same").proportions
    known = fit.proportions.drop(columns="other")
    known = known.div(known.sum(axis=1), axis=0)
    truth = tissue.proportions
    errors = [
        np.square(p[truth.columns] - truth)[SHARE > 0.2].mean(axis=None) for p in (known, plain)
    ]
    assert errors[0] < 0.25 * errors[1]


def test_the_alarm(fit):
    alarm = fit.diagnostics["verdict"].str.contains("the reference lacks")
    assert not alarm[SHARE == 0].any()
    assert alarm[SHARE > 0.2].all()
    assert (fit.diagnostics["p_other"] == fit.probability_above(0.05)["other"]).all()


@pytest.mark.slow
def test_workers_do_not_matter_and_seeds_do(fit, tissue, reference):
    options = {"other": True, "max_pareto_k": np.inf}
    again = bd.deconvolve(
        tissue.bulk, reference, "laplace", seed=1, n_jobs=2, **of_deconvolve(options)
    )
    assert (again.proportions == fit.proportions).all(axis=None)
    another = bd.deconvolve(tissue.bulk, reference, "laplace", seed=2, **of_deconvolve(options))
    assert not (another.proportions == fit.proportions).any(axis=None)


@pytest.mark.slow
def test_a_contrast_of_foreign_content(fit, tissue, tmp_path):
    """The prior is taken out where it is in: in the draws before they were moved."""
    many = pd.DataFrame({"foreign": np.where(SHARE > 0.25, "much", "little")}, tissue.bulk.columns)
    table = bd.contrast(fit, many, seed=1).table.set_index("cell_type").loc["other"]
    truth = 100 * (SHARE[SHARE > 0.25].mean() - SHARE[SHARE <= 0.25].mean())
    assert table["low"] < truth < table["high"]
    assert table["difference"] == pytest.approx(truth, rel=0.4)
    fit.write(tmp_path / "run")
    again = bd.contrast(tmp_path / "run", many, seed=1).table.set_index("cell_type").loc["other"]
    assert again["difference"] == pytest.approx(table["difference"], abs=1e-6)


def test_map_has_wider_errors_too(tissue, reference, fit):
    found = bd.deconvolve(tissue.bulk, reference, "map", other=True, seed=1)
    spread = found.intervals().query("cell_type == 'other'")["sd"].to_numpy()
    drawn = fit.intervals().query("cell_type == 'other'")["sd"].to_numpy()
    big = SHARE > 0.2
    assert (spread[big] / drawn[big]).min() > 0.7
    assert (spread[big] / drawn[big]).max() < 1.5
    assert found.diagnostics["p_other"][big].min() > 0.9


def test_cohorts_without_other_cells_raise_no_alarm():
    tissue = bd.simulate.tissue(30, 800, seed=7)
    reference = bd.Reference.from_samples(tissue.purified, tissue.labels, "diagonal", genes=150)
    found = bd.deconvolve(tissue.bulk, reference, other=True, seed=1)
    assert (found.diagnostics["p_other"] < 0.95).all()
    assert found.proportions["other"].mean() < 0.08


def test_a_single_sample(tissue, reference):
    found = bd.deconvolve(tissue.bulk.iloc[:, [-1]], reference, other=True, seed=1)
    assert found.proportions["other"].iloc[0] > 0.2
    assert "1 samples" in " ".join(found.notes)


@pytest.mark.slow
def test_priors_get_a_concentration_for_other(tissue, reference):
    bulk = tissue.bulk.iloc[:, ::4]
    names = reference.cell_types
    by_name = Dirichlet(dict.fromkeys(names, 2.0))
    as_list = Dirichlet((2.0,) * len(names))
    fits = [
        bd.deconvolve(bulk, reference, prior=prior, other=True, seed=1).proportions
        for prior in (by_name, as_list)
    ]
    assert (fits[0] == fits[1]).all(axis=None)
    high = bd.deconvolve(
        bulk,
        reference,
        prior=Dirichlet(dict.fromkeys(names, 1.0) | {"other": 9}),
        other=True,
        seed=1,
    ).proportions
    flat = bd.deconvolve(bulk, reference, other=True, seed=1).proportions
    assert (high["other"] >= flat["other"]).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "nnls"}, "other: cannot be combined with method='nnls'"),
        ({"calibrate": True}, "other: cannot be combined with calibrate"),
        ({"size_factor": "free"}, "other: needs bulk and reference on one scale"),
    ],
)
def test_refusals(options, words, tissue, reference):
    with pytest.raises(InputError, match=words):
        bd.deconvolve(tissue.bulk, reference, other=True, **of_deconvolve(options))


def test_a_type_called_other_is_refused(tissue):
    labels = tissue.labels.replace("CD4 T", "other")
    reference = bd.Reference.from_samples(tissue.purified, labels, "diagonal", genes=150)
    with pytest.raises(InputError, match="called 'other' already"):
        bd.deconvolve(tissue.bulk, reference, other=True)


def test_probability_above(fit, tissue, reference):
    drawn = fit.probability_above(0.2)
    assert ((drawn >= 0) & (drawn <= 1)).all(axis=None)
    pooled = fit.draws.pooled
    np.testing.assert_array_equal(drawn.to_numpy(), (pooled > 0.2).mean(axis=1))
    plain = bd.deconvolve(tissue.bulk.iloc[:, :5], reference, "map")
    at_estimate = plain.proportions.iloc[0, 0]
    found = plain.probability_above(float(at_estimate)).iloc[0, 0]
    assert found == pytest.approx(0.5)
    assert bd.deconvolve(tissue.bulk, reference, "nnls").probability_above(0.1).isna().all(None)
    with pytest.raises(InputError, match="threshold"):
        fit.probability_above(1.2)


@pytest.mark.parametrize("covariance", ["diagonal", "factor", "glasso"])
def test_leave_one_type_out(covariance):
    lineages = {"T cell": ("CD4 T", "CD8 T"), "B cell": ("B",), "Monocyte": ("mono",)}
    tissue = bd.simulate.tissue(15, 400, lineages, sibling_fold=2.0, seed=3)
    reference = bd.Reference.from_samples(tissue.purified, tissue.labels, covariance, genes=80)
    fit = bd.deconvolve(tissue.bulk, reference)
    table = fit.leave_one_type_out()
    assert table.groupby("left_out")["absorbed"].sum().to_numpy() == pytest.approx(1)
    absorbed = table.set_index(["left_out", "cell_type"])["absorbed"]
    assert absorbed["CD4 T", "CD8 T"] > 0.5  # the sibling takes it
    ratio = table.groupby("left_out")["misfit_ratio"].first()
    assert ratio["mono"] > ratio["CD4 T"] >= 0.9
    assert set(table.query("left_out == 'B'")["cell_type"]) == {"CD4 T", "CD8 T", "mono"}


def test_leave_one_type_out_needs_three_types_and_a_likelihood(tissue, reference):
    two = bd.simulate.tissue(4, 200, {"a": ["T"], "b": ["B"]}, seed=1)
    small = bd.Reference.from_samples(two.purified, two.labels, "diagonal", genes=40)
    with pytest.raises(InputError, match="three cell types"):
        bd.deconvolve(two.bulk, small).leave_one_type_out()
    with pytest.raises(InputError, match="must have a likelihood"):
        bd.deconvolve(tissue.bulk, reference, "nnls").leave_one_type_out()
