"""The preset against FastMix 0.2.5, its screen re-derived."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from tests.conftest import REFERENCE
from tests.options import of_fastmix

OPTIONS = {
    "test2": {"screen": "anderson"}, "trimfixF": {"trim_fixed": False}, "bias0": {"bias": "none"},
    "bias1": {"bias": "all"}, "indep_patched": {"diagonal": True}, "trim03": {"trim": 0.3},
    "nodemo": {"include_covariates": False},
    "random_subset": {"random": ["Cell1", "Cell2", "Cell3", "Severity", "Cell1.Severity"]},
    "random_single": {"random": "Cell1"},
}  # fmt: skip
SMALL = ("default", "default_mc_seed42", "indep_patched", "nodemo", "weighted", "trimfixF", "bias0",
         "bias1", "test2", "test2_nodemo", "test2_weighted", "test2_trimfixF", "test2_bias0",
         "test2_bias1", "test2_indep_patched")  # fmt: skip
MIDDLE = ("default", "default_mc_seed42", "weighted", "test2", "random_subset", "random_single",
          "trim03")  # fmt: skip
RUNS = [(case, run) for case in ("small_cor0_nodeg", "small_cor05_deg") for run in SMALL]
RUNS += [("mid_cor05_deg", run) for run in MIDDLE]


def close(found, theirs, tolerance):
    """Largest difference relative to the largest number."""
    found, theirs = np.asarray(found, dtype=float), np.asarray(theirs, dtype=float)
    assert np.abs(found - theirs).max() <= tolerance * np.abs(theirs).max()


def test_packed_runs():
    """The two runs kept in the repository: nothing screened in, and four effects."""
    case = np.load(REFERENCE / "fastmix_small.npz")
    samples = [f"s{i}" for i in range(50)]
    tables = (
        pd.DataFrame(case["GeneExp"], [f"g{i}" for i in range(400)], samples),
        pd.DataFrame(case["CellProp"], samples, ["Cell1", "Cell2", "Cell3"]),
        pd.DataFrame(case["Demo"], samples, ["Severity", "Sex"]),
    )
    for run, screen, flagged in (("default", None, 0), ("test2", "anderson", 4)):
        de = bd.fastmix(
            *tables, preset="fastmix-0.2.5", estimator=bd.EstimatorOptions(screen=screen)
        )
        assert len(de.facts["flagged"]) == flagged
        fixed = case[f"{run}_fixed_results"]
        close(de.fixed["estimate"], fixed[:, 0], 1e-8)
        close(de.fixed["t"], fixed[:, 1], 1e-8)
        close(de.fixed["p_value"], fixed[:, 2], 1e-8)
        close(de.fixed["q_value"], fixed[:, 3], 1e-8)
        close(de.covariance, case[f"{run}_cov"], 1e-8)
        close(de.effects, case[f"{run}_beta_mat"], 1e-8)
        close(de.estimate.z, case[f"{run}_eta_stat2_whitened"], 1e-8)


def read(path):
    return pd.read_csv(path if path.exists() else f"{path}.gz", index_col=0)


@pytest.mark.goldens
@pytest.mark.parametrize(("case", "run"), RUNS, ids=lambda value: value)
def test_every_run(case, run, goldens):
    folder = goldens / "fastmix" / case
    tables = [read(folder / "input" / f"{name}.csv") for name in ("GeneExp", "CellProp", "Demo")]
    for table in tables[1:]:  # samples are numbered in some tables and named in others
        table.index = tables[0].columns
    options = {}
    for part, option in OPTIONS.items():
        if part in run:
            options |= option
    if "weighted" in run:
        options["weights"] = read(folder / "input" / "cov_matrix.csv").to_numpy()
    de = bd.fastmix(*tables, preset="fastmix-0.2.5", **of_fastmix(options))
    theirs = json.loads((folder / run / "scalars.json").read_text())
    decisions = np.isin(de.random, de.facts["flagged"])
    assert decisions.tolist() == np.atleast_1d(theirs["out_idx"]).astype(bool).tolist()
    close(de.noise, theirs["var_epsilon"], 1e-10)

    tolerance = 1e-2 if "mc_seed" in run else 1e-8
    fixed = read(folder / run / "fixed_results.csv")
    for column, name in enumerate(("estimate", "t", "p_value", "q_value")):
        close(de.fixed[name], fixed.iloc[:, column], tolerance)
    close(de.estimate.beta_cov, read(folder / run / "sigma_beta.csv"), tolerance)
    close(de.covariance, read(folder / run / "cov.csv"), tolerance)
    close(de.effects, read(folder / run / "beta_mat.csv"), tolerance)
    close(de.estimate.z, read(folder / run / "eta_stat2_whitened.csv"), tolerance)
    close(de.p_values, read(folder / run / "re_ind_pvalue.csv"), tolerance)


@pytest.mark.goldens
@pytest.mark.parametrize(
    ("scores", "model", "level"),
    [
        ("demo_sig05", "demo", 0.05),
        ("demo_sig005", "demo", 0.005),
        ("nodemo_sig05", "nodemo", 0.05),
    ],
)
def test_scores(scores, model, level, goldens):
    folder = goldens / "fastmix" / "scores"
    names = ("GeneExp", "CellProp", "Demo")
    train, test = (
        [read(folder / part / f"{name}.csv") for name in names] for part in ("train", "test")
    )
    for tables in (train, test):
        for table in tables[1:]:
            table.index = tables[0].columns
    de = bd.fastmix(
        *train, preset="fastmix-0.2.5", design=bd.DesignOptions(include_covariates=model == "demo")
    )
    # scores of exactly their fit, so that only the scores are compared
    tables = {
        name: read(folder / f"model_{model}" / f"{name}.csv")
        for name in ("fixed_results", "beta_mat", "re_ind_pvalue")
    }
    beta = tables["fixed_results"].iloc[:, 0].to_numpy()
    gamma = tables["beta_mat"].to_numpy() - beta
    theirs = de.estimate._replace(beta=beta, gamma=gamma, p=tables["re_ind_pvalue"].to_numpy())
    close(de.effects, tables["beta_mat"], 1e-8)
    de = replace(de, estimate=theirs)
    found = de.scores(*test, "Sex", level=level)
    single = read(folder / f"scores_{scores}" / "single_scores.csv")
    close(found.single["single"], single.iloc[:, 0], 1e-10)
    close(found.single["single_sparse"], single.iloc[:, 1], 1e-10)
    close(found.multi, read(folder / f"scores_{scores}" / "multi_score.csv"), 1e-10)
    sparse = read(folder / f"scores_{scores}" / "multi_sparse_score.csv")
    assert found.multi_sparse.index.tolist() == sparse.index.tolist()
    close(found.multi_sparse, sparse, 1e-10)
