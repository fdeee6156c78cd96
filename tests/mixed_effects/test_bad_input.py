"""What `fastmix` refuses, and what it points out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov.errors import BayesdecovWarning, InputError
from tests.options import of_fastmix

SAMPLES = [f"sample{i + 1:03d}" for i in range(40)]
AGES = [np.nan, *[1.0, 2.0] * 19, 3.0]
MANY = np.random.default_rng(0).normal(size=(40, 10))
PROPORTIONS = {
    "negative": (lambda P: P.mask(P.iloc[2, 1] == P, -0.1), "-0.1 for sample 'sample003'"),
    "percent": (lambda P: P * 100, "Divide percentages by 100"),
    "counts": (lambda P: (P * 1e4).round(), "Divide counts by their total"),
    "missing": (lambda P: P.mask(P.iloc[2, 1] == P), "missing or infinite"),
    "text": (lambda P: P.astype(object).mask(P.iloc[2, 1] == P, "n/a"), "text 'n/a'"),
    "absent": (lambda P: P.assign(NK=0.0), "only zeros in NK"),
    "twice": (lambda P: pd.concat([P, P]), "sample names must be unique"),
    "same": (lambda P: P.assign(Cell4=P["Cell1"]) / 2, "Cell4 is determined by Cell1"),
    "a list": (lambda P: P.to_numpy().tolist(), "must be a pandas DataFrame"),
}
COVARIATES = {
    "constant": (lambda D: D.assign(batch=1.0), "constant: batch"),
    "one label": (lambda D: D.assign(batch="x"), "constant: batch"),
    "aliased": (lambda D: D.assign(other=3 - 2 * D["Group"]), "other is determined by Group"),
    "missing": (lambda D: D.assign(age=AGES), "'sample001' in column"),
    "no label": (lambda D: D.assign(arm=["", *["a", "b"] * 19, "a"]), "1, the first for sample"),
    "other names": (lambda D: D.set_axis([f"p{i}" for i in range(40)]), "must share sample names"),
    "a stray word": (
        lambda D: D.assign(age=[*[str(i) for i in range(39)], "unknown"]),
        "'unknown' for sample 'sample040' in column 'age'",
    ),
    "too many": (
        lambda D: pd.DataFrame(MANY, D.index).add_prefix("x"),
        "40 samples and 43 columns",
    ),
    "empty": (lambda D: D.iloc[:, :0], "must not be empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", PROPORTIONS)
def test_bad_proportions(case, tables):
    Y, P, D = tables
    change, message = PROPORTIONS[case]
    with pytest.raises(InputError, match=message):
        bd.fastmix(Y, change(P), D)


@pytest.mark.parametrize("case", COVARIATES)
def test_bad_covariates(case, tables):
    Y, P, D = tables
    change, message = COVARIATES[case]
    with pytest.raises(InputError, match=message):
        bd.fastmix(Y, P, change(D))


def test_bad_expression(tables):
    Y, P, D = tables
    for wrong, message in (
        (Y.T, "transpose it"),
        (Y.iloc[:10], "at least twice as many genes"),
        (pd.concat([Y, Y]), "gene names must be unique"),
        (Y.mask(Y.iloc[4, 4] == Y), "missing or infinite"),
        (Y.iloc[:, :0], "must not be empty"),
    ):
        with pytest.raises(InputError, match=message):
            bd.fastmix(wrong, P, D)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formula": "~ nonesuch"}, "formula: cannot be evaluated"),
        ({"formula": "~ (Group"}, "formula: cannot be evaluated"),
        ({"formula": "Group ~ Group"}, "formula: must be one-sided"),
        ({"subject": "nonesuch"}, "subject: must be a column of the covariates"),
        ({"subject": 3}, "subject: must be a column of the covariates or a Series"),
        ({"weights": np.eye(3)}, "weights: must be a covariance matrix"),
        ({"weights": -np.eye(40)}, "must be positive definite"),
        ({"weights": np.eye(40), "subject": pd.Series("a", SAMPLES)},
         "cannot be combined with subject"),
        ({"rest": "Cell1", "reference_cell_type": "Cell2"}, "cannot be combined with rest"),
        ({"random": 3}, "random: must be the names"),
        ({"screen": 3}, "screen: must be a test or the names"),
        ({"weights": [["a"]]}, "weights: must be a covariance matrix"),
        ({"weights": np.diag(np.logspace(-6, 6, 40))}, "weights: must be well conditioned"),
        ({"trim": 0.99, "screen": ["Cell1.Group"]}, "trim: must leave at least twice"),
        ({"reml": False}, "reml: is not an option of method='moments'"),
        ({"covariance": "mcd", "bias": "all"}, "bias: is not used with covariance='mcd'"),
        ({"covariance": "sample", "trim": 0.3}, "trim: is not used with covariance='sample'"),
        ({"formula": "~ 0 + Group"}, "must not remove the intercept"),
        ({"formula": "~ 1"}, "must name a covariate"),
        ({"reference_cell_type": "Cell1", "include_covariates": False}, "needs covariate main"),
    ],
)  # fmt: skip
def test_bad_options(options, message, tables):
    with pytest.raises(InputError, match=message):
        bd.fastmix(*tables, **of_fastmix(options))


def test_columns_of_zeros_and_rare_labels(tables):
    Y, P, D = tables
    P0 = P.assign(Cell1=P["Cell1"].where(D["Group"] == 0, 0.0))
    with pytest.raises(InputError, match=r"only zeros in Cell1\.Group"):
        bd.fastmix(Y, P0, D, design=bd.DesignOptions(standardise=False))
    gone = P.assign(NK=[0.1, *[0.0] * 39])
    with pytest.raises(InputError, match="only zeros in NK"):
        bd.fastmix(Y.iloc[:, 1:], gone, D)
    rare = D.assign(arm=["Control", *["control", "treated"] * 19, "control"])
    with pytest.raises(InputError, match=r"arm\[T.control\] separates 1 samples"):
        bd.fastmix(Y, P, rare[["arm"]].replace({"treated": "control"}))


def test_the_subject_is_no_covariate(tables):
    Y, P, D = tables
    D = D.assign(who=list("ab") * 20)
    with pytest.raises(InputError, match="must not contain the subject"):
        bd.fastmix(Y, P, D, subject="who", formula="~ Group + who")


def test_transposed_proportions_are_recognised(tables):
    Y, P, D = tables
    with pytest.raises(InputError, match="cell types x samples: transpose them"):
        bd.fastmix(Y, P.T, D)


def test_samples_in_one_table_only_are_left_out_and_named(tables):
    Y, P, D = tables
    with pytest.warns(BayesdecovWarning, match="2 samples of the expression.*sample001, sample002"):
        de = bd.fastmix(Y, P.iloc[2:], D)
    assert de.design.table.shape[0] == 38


def test_overlapping_cell_types_are_pointed_out(tables):
    Y, P, D = tables
    with pytest.warns(BayesdecovWarning, match="add up to more than 1"):
        bd.fastmix(Y, P.assign(Big=np.linspace(0.3, 0.9, 40)), D)


def test_raw_counts_are_pointed_out(tables):
    _, P, D = tables
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.lognormal(4, 1, (600, 1)) * rng.uniform(0.5, 2, 40))
    Y = pd.DataFrame(counts, [f"g{i}" for i in range(600)], P.index)
    with pytest.warns(BayesdecovWarning, match="looks like raw counts"):
        bd.fastmix(Y, P, D)
