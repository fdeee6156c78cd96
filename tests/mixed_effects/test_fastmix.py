"""The verb: moments and its options, the container, its files and scores."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import bayesdecov as bd
from bayesdecov._arviz import load
from bayesdecov.errors import BayesdecovWarning, InputError
from tests.options import of_fastmix


def test_columns_of_the_contract(tables):
    de = bd.fastmix(*tables)
    assert de.fixed.columns.tolist() == ["estimate", "std_error", "t", "df", "p_value", "q_value"]
    assert de.fixed.index.name == "covariate"
    first = ["gene", "covariate", "effect", "random_effect", "sd", "p_value", "q_value"]
    assert de.genes.columns[:7].tolist() == first
    assert len(de.genes) == 600 * 7
    one = de.genes.query("gene == 'gene00003' and covariate == 'Cell2.Group'").iloc[0]
    assert one["effect"] == de.effects.loc["gene00003", "Cell2.Group"]
    assert one["p_value"] == de.p_values.loc["gene00003", "Cell2.Group"]
    np.testing.assert_allclose(
        one["effect"] - one["random_effect"], de.fixed.loc["Cell2.Group", "estimate"]
    )
    assert isinstance(de.noise, float)
    assert de.covariance.shape == (7, 7)
    assert {"prob_deg", "lfsr"} <= set(bd.fastmix(*tables, "mixture").genes.columns)
    assert len(str(de).splitlines()) <= 12


def test_intervals_of_the_normal_model_cover():
    cohort = bd.simulate.fastmix("I", n_genes=1500, n_samples=80, correlation=0.3, seed=4)
    truth = cohort.effects.to_numpy().ravel()
    for method in ("moments", "map"):
        table = bd.fastmix(cohort.expression, cohort.proportions, cohort.covariates, method).genes
        inside = (table["low"] < truth) & (truth < table["high"])
        assert abs(inside.mean() - 0.95) < 0.01
        p = table["p_value"].to_numpy()
        assert abs((p < 0.05).mean() - 0.05) < 0.01


def test_intervals_know_that_the_covariance_is_estimated():
    """Few genes, much noise: 12 data sets of 300 genes, coverage within 2 % of .95."""
    inside = []
    for seed in range(12):
        cohort = bd.simulate.fastmix("I", n_genes=300, n_samples=120, seed=seed)
        table = bd.fastmix(cohort.expression, cohort.proportions, cohort.covariates, "map").genes
        truth = cohort.effects.to_numpy().ravel()
        inside.append(((table["low"] < truth) & (truth < table["high"])).mean())
    assert abs(np.mean(inside) - 0.95) < 0.02


def test_block_correction_stays_positive_definite(tables):
    """FastMix Eq. 13 as a whole block: eigenvalues never go below those of the noise."""
    options = {"screen": ["Cell1.Group", "Cell2.Group", "Cell3.Group"]}
    block = bd.fastmix(*tables, **of_fastmix(options))
    diagonal = bd.fastmix(*tables, **of_fastmix({**options, "correction": "diagonal"}))
    assert block.facts["flagged"] == options["screen"]
    assert block.facts["kept_genes"] == 300
    assert not np.allclose(block.covariance, diagonal.covariance)
    assert np.linalg.eigvalsh(block.covariance)[0] > 0


@pytest.mark.parametrize("covariance", ["mcd", "ogk"])
def test_classical_robust_covariances(covariance):
    cohort = bd.simulate.fastmix("III", "code", 2000, 50, seed=6)
    tables = cohort.expression, cohort.proportions, cohort.covariates
    robust = bd.fastmix(*tables, seed=1, estimator=bd.EstimatorOptions(covariance=covariance))
    plain = bd.fastmix(*tables, estimator=bd.EstimatorOptions(covariance="sample"))
    error = [
        np.abs(de.covariance - cohort.covariance).loc["Cell1.Group", "Cell1.Group"]
        for de in (robust, plain)
    ]
    assert error[0] < error[1]
    again = bd.fastmix(*tables, seed=1, estimator=bd.EstimatorOptions(covariance=covariance))
    pd.testing.assert_frame_equal(robust.covariance, again.covariance)


def test_presets_and_options(tables):
    paper = bd.fastmix(*tables, preset="paper")
    assert paper.settings["screen"] == "shapiro"
    assert paper.estimate.p.max() <= 0.5  # one-sided, as in Eq. 14
    code = bd.fastmix(*tables, preset="fastmix-0.2.5")
    assert (code.fixed["df"] == 40 - 7 - 1).all()
    ours = bd.fastmix(*tables)
    assert (ours.fixed["df"] > 50).all()
    changed = bd.fastmix(
        *tables, preset="fastmix-0.2.5", estimator=bd.EstimatorOptions(statistic="marginal")
    )
    assert not np.allclose(changed.p_values, code.p_values)


@pytest.mark.parametrize("bias", ["flagged", "all", "none"])
def test_unbalanced_shifts_do_not_move_the_fixed_effects(bias):
    """90 % of the shifts go up: the plain mean is off, the corrected one much less."""
    cohort = bd.simulate.fastmix("III", "code", 4000, 50, up=0.9, seed=9)
    tables = cohort.expression, cohort.proportions, cohort.covariates
    error = (
        bd.fastmix(*tables, estimator=bd.EstimatorOptions(bias=bias, screen="anderson")).fixed[
            "estimate"
        ]
        - cohort.fixed
    )
    plain = bd.fastmix(*tables, "map").fixed["estimate"] - cohort.fixed
    shifted = ["Cell1.Group", "Cell2.Group"]
    assert plain[shifted].abs().mean() > 0.1
    limit = 0.06 if bias != "none" else 0.9 * plain[shifted].abs().mean()
    assert error[shifted].abs().mean() < limit
    mixture = bd.fastmix(*tables, "mixture").fixed["estimate"] - cohort.fixed
    assert mixture[shifted].abs().mean() < 0.06


def test_what_other_methods_would_ignore_is_refused(tables):
    for options, message in (
        ({"method": "map", "trim": 0.3}, "trim: is not an option of method='map'"),
        ({"method": "mixture", "screen": "shapiro"}, "screen: is not an option"),
        ({"method": "mixture", "preset": "paper"}, "preset: is not an option"),
        ({"variance": "gene"}, "'gene' needs method='mixture'"),
        ({"method": "nuts", "trim": 0.3}, "trim: is not an option of method='nuts'"),
        ({"method": "map", "draws": 100}, "draws: is not an option of method='map'"),
        ({"method": "nuts", "draws": 0}, "draws: must be a whole number"),
        ({"method": "nuts", "nuts_sampler": "stan"}, "nuts_sampler: must be one of"),
        ({"method": "lme4"}, "method: must be one of"),
        ({"preset": "fastmix"}, "preset: must be one of"),
        ({"trim": 1.0}, "trim: must lie in"),
        ({"screen": "ks"}, "screen: must be one of"),
        ({"screen": ["nonesuch"]}, "screen: must name random effects"),
        ({"random": ["nonesuch"]}, "random: must name design columns"),
        ({"sided": 3}, "sided: must be 1 or 2"),
        ({"statistic": "t"}, "statistic: must be one of"),
        ({"include_covariates": "maybe"}, "include_covariates: must be True, False or 'auto'"),
        ({"reference_cell_type": "Cell9"}, "reference_cell_type: must be one of"),
    ):
        with pytest.raises(InputError, match=message):
            bd.fastmix(*tables, **of_fastmix(options))


def test_scores_separate_the_groups():
    cohort = bd.simulate.fastmix("III", "code", 1500, 80, correlation=0.5, seed=12)
    train, test = cohort.proportions.index[:50], cohort.proportions.index[50:]
    de = bd.fastmix(
        cohort.expression[train], cohort.proportions, cohort.covariates.loc[train], "mixture"
    )
    for sparse in ("interactions", "all"):
        found = de.scores(
            cohort.expression[test],
            cohort.proportions.loc[test],
            cohort.covariates.loc[test].drop(columns="Group").assign(unused=1.0),
            "Group",
            sparse=sparse,
        )
        group = cohort.covariates.loc[test, "Group"].to_numpy() == 1
        assert found.response == (0, 1)
        for name in ("", "_sparse"):
            called = found.single[f"single{name}"] > found.single[f"midpoint{name}"]
            assert (called.to_numpy() == group).mean() > 0.95
        assert found.multi.shape == (1500, 30)
        assert found.multi_sparse.index[0] == "fixed"
    one = de.scores(cohort.expression[test[:1]], cohort.proportions, cohort.covariates, "Group")
    np.testing.assert_allclose(one.single["single"], found.single["single"].iloc[:1])
    with pytest.raises(InputError, match="response: must be a covariate with two values"):
        de.scores(cohort.expression, cohort.proportions, cohort.covariates, "Cell1")
    with pytest.raises(InputError, match="every gene of the fit"):
        de.scores(cohort.expression.iloc[:9], cohort.proportions, cohort.covariates, "Group")


def test_files_and_arviz(tables, tmp_path):
    de = bd.fastmix(*tables, "mixture")
    de.write(tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"fixed.csv", "genes.csv", "covariance.csv", "design.csv", "posterior.nc",
                     "run.json"}  # fmt: skip
    genes = pd.read_csv(tmp_path / "out" / "genes.csv")
    pd.testing.assert_frame_equal(genes, de.genes, check_dtype=False)
    fixed = pd.read_csv(tmp_path / "out" / "fixed.csv", index_col="covariate")
    np.testing.assert_allclose(fixed["estimate"], de.fixed["estimate"], rtol=1e-12)
    text = (tmp_path / "out" / "run.json").read_text()
    assert "Infinity" not in text  # equal variances: infinite prior degrees of freedom
    record = json.loads(text)
    assert record["settings"]["components"].keys() == de.facts["components"].keys()
    assert record["settings"]["standardisation"]["Group"]["mean"] == 0.5
    idata = load(tmp_path / "out" / "posterior.nc")
    assert idata["fit"]["random_effect_mean"].dims == ("gene", "random_effect")
    assert idata["posterior_predictive"]["coefficients"].dims[2:] == ("gene", "covariate")
    np.testing.assert_allclose(
        idata["posterior"]["beta"].sel(covariate="Cell1").item(), de.fixed.loc["Cell1", "estimate"]
    )


def test_other_containers(group_cohort):
    """A deconvolution as proportions, an AnnData as expression, paths of tables."""
    import anndata

    Y, P, D = group_cohort.expression, group_cohort.proportions, group_cohort.covariates
    plain = bd.fastmix(Y, P, D)
    held = anndata.AnnData(Y.T.to_numpy(), obs=D, var=pd.DataFrame(index=Y.index))
    pd.testing.assert_frame_equal(bd.fastmix(held, P, D).fixed, plain.fixed)

    class Fit:
        proportions = P

    pd.testing.assert_frame_equal(bd.fastmix(Y, Fit(), D).fixed, plain.fixed)


def test_genes_without_variation_are_left_out(tables):
    Y, P, D = tables
    Y = Y.copy()
    Y.iloc[[3, 7]] = 1.0
    with pytest.warns(BayesdecovWarning, match="2 genes with the same value in every sample"):
        de = bd.fastmix(Y, P, D)
    assert len(de.gene_names) == 598
    assert np.isfinite(de.genes.select_dtypes("number").to_numpy()).all()


@pytest.mark.parametrize("factor", [10.0, 1e3, 1e5])
def test_one_gene_far_out_does_not_decide(factor):
    cohort = bd.simulate.fastmix("III", "code", 1000, 50, seed=3)
    tables = cohort.proportions, cohort.covariates
    Y = cohort.expression.copy()
    Y.iloc[5] *= factor
    clean, dirty = bd.fastmix(cohort.expression, *tables), bd.fastmix(Y, *tables)
    np.testing.assert_allclose(dirty.fixed["std_error"], clean.fixed["std_error"], rtol=0.5)
    assert np.isfinite(dirty.genes.select_dtypes("number").to_numpy()).all()
    if factor > 10:
        assert dirty.facts["outliers"] == 1
        assert any("too extreme" in note for note in dirty.notes)


def test_named_effects_without_variance_are_not_said_to_be_trimmed(tables):
    Y, P, D = tables
    rng = np.random.default_rng(0)
    noise = pd.DataFrame(rng.normal(size=Y.shape), Y.index, Y.columns)
    names = ["Cell1.Group", "Cell2.Group", "Cell3.Group"]
    de = bd.fastmix(noise, P, D, estimator=bd.EstimatorOptions(screen=names))
    flat = [name for name in names if name not in de.facts["flagged"]]
    assert flat
    assert any("not trimmed, because" in note and flat[0] in note for note in de.notes)
