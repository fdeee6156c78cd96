"""The sampled mixed model: wiring on made-up draws, and a real run marked slow."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import bayesdecov as bd
from bayesdecov._arviz import dataset, from_groups, load, save
from bayesdecov.errors import BayesdecovWarning, InputError
from tests.options import of_fastmix

CHAINS, DRAWS = 2, 1500


@pytest.fixture
def drawn(tables, monkeypatch):
    """`pymc.sample` replaced by draws around the REML estimate, so that nothing is compiled."""
    pm = pytest.importorskip("pymc")
    reml = bd.fastmix(*tables, "map")
    rng = np.random.default_rng(0)
    m, q = len(reml.gene_names), len(reml.random)
    asked = {}

    def sample(**options):
        asked.update(options)
        shape = (CHAINS, DRAWS)
        beta = rng.multivariate_normal(reml.fixed["estimate"], reml.estimate.beta_cov, shape)
        noise = rng.normal(0, 0.02, (*shape, q, q))
        Psi = reml.covariance.to_numpy() * (1 + (noise + noise.swapaxes(2, 3)) / 2)
        Psi += 0.05 * np.eye(q)
        sigma = np.sqrt(reml.noise * rng.chisquare(20 * m, shape) / (20 * m))
        coords = {"chain": np.arange(CHAINS), "draw": np.arange(DRAWS)}
        names = {
            "covariate": list(reml.fixed.index),
            "random_effect": reml.random,
            "random_effect_bis": reml.random,
        }
        posterior = xr.Dataset(
            {
                "beta": (("chain", "draw", "covariate"), beta),
                "Psi": (("chain", "draw", "random_effect", "random_effect_bis"), Psi),
                "psi_sd": (
                    ("chain", "draw", "random_effect"),
                    np.sqrt(np.einsum("cdkk->cdk", Psi)),
                ),
                "sigma": (("chain", "draw"), sigma),
            },
            coords | names,
        )
        diverging = np.zeros(shape, dtype=bool)
        diverging[0, : asked.get("fail", 0)] = True
        energy = rng.normal(size=shape)
        stats = xr.Dataset(
            {"diverging": (("chain", "draw"), diverging), "energy": (("chain", "draw"), energy)},
            coords,
        )
        return from_groups({"posterior": posterior, "sample_stats": stats}, {})

    monkeypatch.setattr(pm, "sample", sample)
    monkeypatch.setattr("bayesdecov.mixed_effects.sampling.draw_prior", lambda model, rng: {})
    return reml, asked


def test_genes_are_averaged_over_the_draws(drawn, tables):
    """Rao-Blackwell moments are those of draws of the genes' effects."""
    reml, asked = drawn
    de = bd.fastmix(
        *tables,
        "nuts",
        sampling=bd.Sampling(nuts_sampler="pymc", draws=50, chains=3, target_accept=0.8),
    )
    assert (asked["draws"], asked["chains"], asked["target_accept"]) == (50, 3, 0.8)
    assert asked["nuts_sampler"] == "pymc"
    np.testing.assert_allclose(de.fixed["estimate"], reml.fixed["estimate"], atol=0.02)
    np.testing.assert_allclose(de.fixed["std_error"], reml.fixed["std_error"], rtol=0.1)
    genes = list(de.gene_names[:4])
    idata = de.to_inference_data(genes=genes, seed=1)
    effect = dataset(idata["posterior"])["effect"]
    assert effect.dims == ("chain", "draw", "gene", "random_effect")
    values = effect.to_numpy().reshape(CHAINS * DRAWS, 4, -1)
    sd = de.estimate.sd[:4]
    error = values.mean(axis=0) - de.effects.loc[genes].to_numpy()
    assert (np.abs(error) < 5 * sd / np.sqrt(CHAINS * DRAWS)).all()
    np.testing.assert_allclose(values.std(axis=0), sd, rtol=0.15)
    with pytest.raises(InputError, match="genes: must be fitted genes"):
        de.to_inference_data(genes=["nonesuch"])
    with pytest.raises(InputError, match="needs draws"):
        reml.to_inference_data(genes=genes)


def test_arviz_reads_it(drawn, tables, tmp_path):
    import arviz as az

    de = bd.fastmix(*tables, "nuts", sampling=bd.Sampling(nuts_sampler="pymc"))
    idata = de.to_inference_data()
    table = az.summary(idata, var_names=["beta", "sigma"])
    assert len(table) == 8
    assert {"r_hat", "ess_bulk"} <= set(table.columns)
    save(idata, tmp_path / "posterior.nc")
    again = load(tmp_path / "posterior.nc")
    np.testing.assert_array_equal(again["posterior"]["Psi"], idata["posterior"]["Psi"])
    assert "NUTS: no divergences" in str(de)
    assert de.facts["ess_bulk"] > 400


def test_divergences_are_said(drawn, tables):
    _, asked = drawn
    asked["fail"] = 3
    with pytest.warns(BayesdecovWarning, match="NUTS: 3 divergences: raise target_accept"):
        de = bd.fastmix(*tables, "nuts", sampling=bd.Sampling(nuts_sampler="pymc"))
    assert de.facts["divergences"] == 3


def _chains(values):
    """A made-up container: every parameter's value with a little noise, (chain, draw, ...)."""
    rng = np.random.default_rng(1)
    data = {}
    for name, value in values.items():
        value = np.asarray(value, dtype=float)
        noise = 1 + 1e-3 * rng.normal(size=(CHAINS, 400, *value.shape))
        if name == "Psi":  # stays symmetric
            noise = noise[..., :1, :1]
        dims = [f"{name}_{k}" for k in range(value.ndim)]
        data[name] = (("chain", "draw", *dims), value * noise)
    stats = {
        "diverging": (("chain", "draw"), np.zeros((CHAINS, 400), dtype=bool)),
        "energy": (("chain", "draw"), rng.normal(size=(CHAINS, 400))),
    }
    return from_groups({"posterior": xr.Dataset(data), "sample_stats": xr.Dataset(stats)}, {})


@pytest.fixture
def made_up(monkeypatch):
    """`pymc.sample` replaced by draws that a test sets."""
    import pymc as pm

    box = {}
    monkeypatch.setattr(pm, "sample", lambda **options: _chains(box))
    monkeypatch.setattr("bayesdecov.mixed_effects.sampling.draw_prior", lambda model, rng: {})
    return box


def test_the_contaminated_posterior_says_which_genes_react(made_up):
    cohort = bd.simulate.fastmix("III", "code", 1000, 50, seed=1)
    tables = cohort.expression, cohort.proportions, cohort.covariates
    em = bd.fastmix(*tables, "mixture", estimator=bd.EstimatorOptions(variance="common"))
    parts = em.facts["components"]
    made_up |= {"beta": em.fixed["estimate"], "Psi": em.covariance, "sigma": np.sqrt(em.noise)}
    made_up |= {
        name: [part[name] for part in parts.values()] for name in ("up", "down", "delta", "tau")
    }
    made_up["null"] = 1 - np.sum(made_up["up"]) - np.sum(made_up["down"])
    de = bd.fastmix(*tables, "nuts", estimator=bd.EstimatorOptions(contaminated=True))
    assert de.facts["components"] == list(parts)
    both = de.genes.merge(em.genes, on=["gene", "covariate"])
    assert np.corrcoef(both["prob_deg_x"], both["prob_deg_y"])[0, 1] > 0.98
    np.testing.assert_allclose(both["effect_x"], both["effect_y"], atol=0.05)
    idata = de.to_inference_data(log_likelihood=True)
    assert list(idata["posterior"]["delta"].coords["shifted"].values) == list(parts)
    with pytest.raises(InputError, match="has no draws with contaminated=True"):
        de.to_inference_data(genes=[de.gene_names[0]])


def test_heavy_tails_widen_the_genes_that_fit_badly(made_up, tables):
    reml = bd.fastmix(*tables, "map")
    made_up |= {
        "beta": reml.fixed["estimate"],
        "Psi": reml.covariance,
        "sigma": np.sqrt(reml.noise),
    }
    normal = bd.fastmix(*tables, "nuts")
    made_up["nu"] = 4.0
    heavy = bd.fastmix(*tables, "nuts", estimator=bd.EstimatorOptions(nu="estimate"))
    ls = reml.least_squares
    ratio = (heavy.estimate.sd / normal.estimate.sd)[:, 0]
    assert np.corrcoef(ratio, np.sqrt(ls.rss))[0, 1] > 0.5
    assert ratio.min() < 1 < ratio.max()
    rows = list(heavy.gene_names[:3])
    values = heavy.to_inference_data(genes=rows)["posterior"]["effect"].to_numpy()
    np.testing.assert_allclose(
        values.reshape(-1, 3, values.shape[-1]).std(axis=0), heavy.estimate.sd[:3], rtol=0.2
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "map", "nu": 4}, "nu: is not an option of method='map'"),
        ({"method": "mixture", "contaminated": True}, "contaminated: is not an option"),
        ({"method": "nuts", "nu": 1.5}, "nu: must be a number above 2"),
        ({"method": "nuts", "nu": 5, "contaminated": True}, "nu: is not used with contaminated"),
        ({"method": "nuts", "contaminated": "yes"}, "contaminated: must be True or False"),
        ({"method": "nuts", "nu": 5, "random": ["Cell1"]}, "random: must include all columns"),
    ],
)
def test_options_that_do_not_go_together(options, message, tables):
    with pytest.raises(InputError, match=message):
        bd.fastmix(*tables, **of_fastmix(options))


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["pymc", "nutpie"])
def test_nuts_agrees_with_reml(sampler):
    """Many genes and wide priors: the posterior sits on the REML estimate."""
    if sampler == "nutpie":
        pytest.importorskip("nutpie")
    cohort = bd.simulate.fastmix("I", n_genes=2000, n_samples=40, correlation=0.3, seed=2)
    tables = cohort.expression, cohort.proportions, cohort.covariates
    de = bd.fastmix(*tables, "nuts", seed=1, sampling=bd.Sampling(nuts_sampler=sampler, cores=2))
    reml = bd.fastmix(*tables, "map")
    assert de.facts["divergences"] == 0
    assert de.facts["r_hat"] < 1.01
    assert de.facts["ess_bulk"] > 400
    off = (de.fixed["estimate"] - reml.fixed["estimate"]) / reml.fixed["std_error"]
    assert off.abs().max() < 5 / np.sqrt(de.facts["ess_bulk"]) + 0.02
    np.testing.assert_allclose(de.fixed["std_error"], reml.fixed["std_error"], rtol=0.1)
    np.testing.assert_allclose(de.noise, reml.noise, rtol=0.01)
    truth = cohort.effects.to_numpy().ravel()
    inside = (de.genes["low"] < truth) & (truth < de.genes["high"])
    assert abs(inside.mean() - 0.95) < 0.015
