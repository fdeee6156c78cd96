"""From tables to arrays: by name whatever the order, whitened, and refused with a reason."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesdecov.errors import BayesdecovWarning, InputError, Notes
from bayesdecov.io.blocks import Blocks
from bayesdecov.mixed_effects.prepare import check_proportions, prepare, sample_table, whole

GENES, N = 40, 16
NAMES = [f"s{i}" for i in range(N)]


@pytest.fixture
def tables():
    rng = np.random.default_rng(0)
    P = pd.DataFrame(rng.dirichlet(np.full(3, 4.0), N), NAMES, ["T", "B", "M"])
    D = pd.DataFrame({"age": rng.uniform(20, 80, N), "sex": ["m", "f"] * (N // 2)}, NAMES)
    Y = pd.DataFrame(rng.normal(size=(GENES, N)), [f"g{i}" for i in range(GENES)], NAMES)
    return Y, P, D


def prepared(tables, notes=None, **options):
    given = {
        "formula": "~ age", "include_covariates": "auto", "rest": None, "random": None,
        "reference_cell_type": None, "standardise": True, "weights": None, "subject": None,
    } | options  # fmt: skip
    return prepare(*tables, notes=Notes() if notes is None else notes, **given)


def test_the_arrays_are_least_squares_on_the_design_written_out(tables):
    Y, P, D = tables
    found = prepared(tables)
    age = (D["age"] - D["age"].mean()) / D["age"].std()
    X = np.column_stack([P, P.mul(age, axis=0)])
    np.testing.assert_allclose(found.design.table, X, rtol=1e-9, atol=1e-12)
    slow = np.linalg.lstsq(X, Y.to_numpy().T, rcond=None)[0].T
    np.testing.assert_allclose(found.ls.b, slow, rtol=1e-8, atol=1e-10)
    assert found.random == ["T", "B", "M", "T.age", "B.age", "M.age"]
    assert found.root is None


def test_samples_are_matched_by_name(tables):
    """Tables in other orders, with spaces around names and samples of their own."""
    Y, P, D = tables
    base = prepared(tables)
    rng, notes = np.random.default_rng(1), Notes()
    more = pd.concat([P, P.iloc[:1].set_axis(["extra"])]).iloc[rng.permutation(N + 1)]
    moved = prepared((Y, more.rename(" {} ".format), D.iloc[rng.permutation(N)]), notes)
    pd.testing.assert_frame_equal(moved.design.table, base.design.table)
    np.testing.assert_allclose(moved.ls.b, base.ls.b, rtol=1e-10)
    assert any("1 samples of the proportions are missing" in line for line in notes.lines)
    order = rng.permutation(N)
    turned = prepared((Y.iloc[:, order], P, D))  # the expression's order is the one that is kept
    assert list(turned.design.table.index) == [NAMES[i] for i in order]
    np.testing.assert_allclose(turned.ls.b, base.ls.b, rtol=1e-8, atol=1e-10)


def test_a_known_covariance_of_samples_is_generalised_least_squares(tables):
    Y, _, _ = tables
    A = np.random.default_rng(2).normal(size=(N, N))
    C = A @ A.T / N + np.eye(N)
    found = prepared(tables, weights=C)
    X, K = found.design.table.to_numpy(), np.linalg.inv(C)
    slow = np.linalg.solve(X.T @ K @ X, X.T @ K @ Y.to_numpy().T).T
    np.testing.assert_allclose(found.ls.b, slow, rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(found.Y, Y)  # as they were before


@pytest.mark.parametrize("weighted", [False, True])
def test_expression_on_disk_gives_the_same(tables, weighted):
    Y, P, D = tables
    weights = 0.5 * np.eye(N) + 0.5 if weighted else None
    memory = prepared(tables, weights=weights, random=["T", "M.age"])
    disk = prepared((Blocks(Y, "expression"), P, D), weights=weights, random=["T", "M.age"])
    for one, other in zip(memory.ls, disk.ls, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10)
    assert disk.Y.shape == (0, N)
    assert disk.random == memory.random == ["T", "M.age"]


def test_random_columns_come_in_the_order_of_the_design_and_once(tables):
    assert prepared(tables, random=["M.age", "T", "T"]).random == ["T", "M.age"]
    assert prepared(tables, random="B").random == ["B"]
    for random, found in (([], "found nothing"), (["x", "T"], "found x"), (3, "found 3")):
        with pytest.raises(InputError, match=f"random: must .*{found}"):
            prepared(tables, random=random)


def test_proportions_near_one_are_scaled_and_others_are_left_alone(tables):
    _, P, _ = tables
    notes = Notes()
    rounded = P.round(2)
    np.testing.assert_allclose(whole(rounded, notes).sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(whole(rounded, notes), rounded.div(rounded.sum(axis=1), axis=0))
    assert "were scaled to 1" in notes.lines[0]
    part = 0.7 * P
    pd.testing.assert_frame_equal(whole(part, notes), part)
    assert "add up to 0.7 to 0.7: the remainder is assumed to express nothing" in notes.lines[-1]
    notes = Notes()
    pd.testing.assert_frame_equal(whole(P, notes), P)
    assert notes.lines == []
    with pytest.warns(BayesdecovWarning, match="more than 1 in s0, s1, s2.*contain others"):
        whole(1.3 * P, notes)
    one = P.copy()
    one.iloc[0] *= 1.1  # an error, if there are errors
    whole(one, notes, unsure=True)
    with pytest.warns(BayesdecovWarning, match="more than 1 in s0"):
        whole(one, notes)


@pytest.mark.parametrize(
    ("change", "unsure", "message"),
    [
        (lambda P: P - 0.4, False, r"must not be negative; found -.* for sample 's"),
        (lambda P: P * 100, False, "values up to .* Divide percentages by 100"),
        (lambda P: P * 100, True, "Divide percentages by 100"),
        (lambda P: P * 7e4, False, "Divide counts by their total"),
        (lambda P: P.iloc[:, :0], False, "must not be empty"),
    ],
)
def test_proportions_that_are_refused(tables, change, unsure, message):
    with pytest.raises(InputError, match=message):
        check_proportions(change(tables[1]), "proportions", unsure=unsure)


def test_proportions_with_errors_may_lie_a_little_outside(tables):
    P = tables[1].copy()
    P.iloc[0, 0], P.iloc[1, 1] = 1.2, -0.05
    pd.testing.assert_frame_equal(check_proportions(P, "proportions", unsure=True), P)
    with pytest.raises(
        InputError, match=r"must not be negative; found -0\.05 for sample 's1', cell type 'B'"
    ):
        check_proportions(P, "proportions")


def test_a_table_of_samples_has_clean_unique_names():
    series = pd.Series([1.0, 2.0], [1, " b "], name="age")
    found = sample_table(series, "covariates")
    assert found.index.tolist() == ["1", "b"]
    assert found.columns.tolist() == ["age"]
    assert sample_table(series.rename(None), "covariates").columns.tolist() == ["covariate"]
    with pytest.raises(InputError, match=r"covariates: must be a pandas DataFrame.*found list"):
        sample_table([1, 2], "covariates")
    with pytest.raises(InputError, match="covariates: sample names must be unique"):
        sample_table(series.set_axis(["b", " b"]), "covariates")


@pytest.mark.parametrize(
    ("change", "fix"),
    [
        (lambda Y, P, D: (Y, P.rename("x{}".format), D), "Use the same sample names"),
        (lambda Y, P, D: (Y.T, P, D), "Expression seems to be samples x genes: transpose it"),
        (lambda Y, P, D: (Y, P.T, D), "Proportions seem to be cell types x samples"),
    ],
    ids=["names", "expression", "proportions"],
)  # fmt: skip
def test_tables_without_a_sample_in_common_are_refused(tables, change, fix):
    with pytest.raises(InputError, match=f"must share sample names.*{fix}"):
        prepared(change(*tables))


def test_too_few_genes_that_vary_are_refused(tables):
    Y, P, D = tables
    Y = Y.copy()
    Y.iloc[13:] = 1.0
    with (
        pytest.warns(BayesdecovWarning, match="27 genes with the same value"),
        pytest.raises(InputError, match="found 13 varying genes and 6 random effects"),
    ):
        prepared((Y, P, D))
