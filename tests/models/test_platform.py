"""The likelihood twice: PyTensor and NumPy agree at random points. And a posterior."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import softmax
from scipy.stats import t as student

from bayesdecov.errors import InputError
from bayesdecov.platform.noise import Law, variance

N, G, J = 4, 25, 3
TAU = 0.5
BACKGROUND = 0.05
NU, GENE_DF, PROFILE_SD = 4.0, 6.0, 0.2
CASES = {
    "all is learned": {},
    "replicates, counts": {"variances": True, "counting_noise": np.array([0.02, 0.3, 0.1, 0.0])},
    "no background, errors of profiles": {"background": False, "profile_sd": PROFILE_SD},
    "sizes are given": {"variances": True, "counting_noise": 0.1, "size_factor": 2.0},
}


@pytest.fixture(scope="module")
def data():
    """Profiles, bulks of them after shifts of the genes, variances, and the proportions."""
    rng = np.random.default_rng(4)
    mu = 1 + rng.gamma(1.0, 20.0, (G, J))
    p = rng.dirichlet(np.full(J, 3.0), N)
    # quantiles instead of draws: 25 factors of which the scale is TAU, neither more nor less
    z = rng.permutation(student.ppf((np.arange(G) + 0.5) / G, 4))
    f = np.exp(TAU * z) * (p @ mu.T + BACKGROUND * mu.mean())
    y = f * (1 + 0.1 * rng.normal(size=f.shape)) + np.sqrt(0.05 * f) * rng.normal(size=f.shape)
    y = np.maximum(y, 0) * rng.lognormal(0, 0.5, (N, 1))
    genes, types = [f"g{i}" for i in range(G)], [f"t{j}" for j in range(J)]
    mean = pd.DataFrame(mu, genes, types)
    bulk = pd.DataFrame(y.T, genes, [f"s{i}" for i in range(N)])
    variances = pd.DataFrame(rng.gamma(2.0, 0.5, (G, J)) * mu, genes, types)
    return mean, bulk, variances, p


@pytest.fixture(scope="module")
def models(data):
    from bayesdecov.models import platform

    mean, bulk, variances, _ = data
    built = {}
    for name, options in CASES.items():
        given = options | ({"variances": variances} if "variances" in options else {})
        built[name] = platform(mean, bulk, nu=NU, gene_df=GENE_DF, **given)
    return built


def _numpy(data, options, at):
    """Log-density of the bulks for the values ``at`` of the free variables."""
    mean, bulk, variances, _ = data
    mu, y = mean.to_numpy(), bulk.to_numpy().T
    sizes = np.full(N, options.get("size_factor", np.nan))
    if "size_factor" not in options:
        sizes = y.sum(axis=1) / mu.mean(axis=1).sum()
    p = softmax(np.log(at["level"]) + at["deviation"], axis=1)
    q = at["size_factor"][:, None] / sizes[:, None] * p
    a = np.exp(at["tau"] * at["unit_factor"])
    exact = mu * np.exp(options.get("profile_sd", 0.0) * at.get("profile_error", np.zeros((G, J))))
    f = q @ exact.T
    if options.get("background", True):
        f += mu.mean() * at["background"][:, None]
    f *= a
    structure, phi = 0.0, None
    if "variances" in options:
        structure = q**2 @ (a[:, None] ** 2 * variances.to_numpy()).T
    if "counting_noise" in options:
        phi = np.broadcast_to(options["counting_noise"], (N,)) / sizes
    law = Law(at["c"] ** 2, at.get("phi", np.nan), at["b"] ** 2, NU)
    scale = np.sqrt(at["gene_noise"] * variance(law, f, structure, phi))
    value = student.logpdf(y / sizes[:, None], NU, f, scale)
    return p, a, value


def _compiled(model, wanted, mode):
    return model.compile_fn(
        wanted, inputs=model.value_vars, mode=mode, on_unused_input="ignore", point_fn=True
    )


def _random_point(model, rng):
    start = model.initial_point()
    return {key: value + 0.5 * rng.normal(size=value.shape) for key, value in start.items()}


@pytest.mark.parametrize("name", CASES)
def test_pytensor_equals_numpy(name, data, models, python_mode):
    model = models[name]
    free = [rv.name for rv in model.free_RVs]
    (bulk,) = model.observed_RVs
    wanted = model.replace_rvs_by_values(
        [*model.free_RVs, model["proportions"], model["gene_factor"]]
    )
    evaluate = _compiled(model, [*wanted, *model.logp(vars=[bulk], sum=False)], python_mode)
    rng = np.random.default_rng(1)
    for _ in range(3):
        point = _random_point(model, rng)
        *values, proportions, factors, density = evaluate(point)
        p, a, expected = _numpy(data, CASES[name], dict(zip(free, values, strict=True)))
        np.testing.assert_allclose(proportions, p, rtol=1e-10)
        np.testing.assert_allclose(factors, a, rtol=1e-10)
        np.testing.assert_allclose(density, expected, rtol=1e-8)


def test_the_level_is_the_cohorts_and_counts_once(models, python_mode):
    """Deviations leave the geometric mean over samples to the level, whatever their prior."""
    model = models["all is learned"]
    wanted = model.replace_rvs_by_values([model["level"], model["proportions"]])
    point = _random_point(model, np.random.default_rng(2))
    level, p = _compiled(model, wanted, python_mode)(point)
    found = np.log(p).mean(axis=0) - np.log(level)
    np.testing.assert_allclose(found, found.mean(), atol=1e-10)


def test_priors_are_those_of_the_description(models, python_mode):
    """Densities by SciPy, without the Jacobians of transforms."""
    model = models["all is learned"]
    laws = {
        "tau": stats.halfnorm(scale=0.5),
        "unit_factor": student(4),
        "level": stats.dirichlet(np.ones(J)),
        "gene_noise": stats.invgamma(GENE_DF / 2, scale=GENE_DF / 2),
        "c": stats.halfnorm(scale=0.5),
        "spread": stats.halfnorm(),
        "background": stats.expon(scale=0.1),
    }
    variables = [model[name] for name in laws]
    densities = model.logp(vars=variables, sum=False, jacobian=False)
    evaluate = _compiled(model, [*model.replace_rvs_by_values(variables), *densities], python_mode)
    found = evaluate(_random_point(model, np.random.default_rng(3)))
    values, densities = found[: len(laws)], found[len(laws) :]
    for law, value, density in zip(laws.values(), values, densities, strict=True):
        np.testing.assert_allclose(density, law.logpdf(value), rtol=1e-8)


def test_names_and_dims(models):
    model = models["replicates, counts"]
    assert set(model.coords) == {"gene", "cell_type", "sample"}
    dims = model.named_vars_to_dims
    assert dims["proportions"] == ("sample", "cell_type")
    assert dims["gene_factor"] == ("gene",)
    assert dims["bulk"] == ("sample", "gene")
    assert "phi" not in model.named_vars
    assert "phi" in models["all is learned"].named_vars
    assert "background" not in models["no background, errors of profiles"].named_vars


def test_the_unit_of_the_bulk_does_not_matter(data, models, python_mode):
    """Bulks and their counting noise in another unit: the same density where sizes follow."""
    from bayesdecov.models import platform

    mean, bulk, variances, _ = data
    name = "replicates, counts"
    options = CASES[name] | {"variances": variances, "nu": NU, "gene_df": GENE_DF}
    options["counting_noise"] = options["counting_noise"] * 1e3
    shuffled = bulk.iloc[::-1] * 1e3
    other = platform(mean, shuffled, **options)
    values = []
    for model in (models[name], other):
        (y,) = model.observed_RVs
        values.append(_compiled(model, model.logp(vars=[y]), python_mode)(model.initial_point()))
    assert values[1] == pytest.approx(values[0], rel=1e-10)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Found dimension named 'sample'")  # ArviZ 1
def test_the_posterior_finds_what_was_simulated(data, models):
    import pymc as pm
    from threadpoolctl import threadpool_limits

    from bayesdecov._arviz import dataset

    *_, p = data
    with models["all is learned"], threadpool_limits(limits=1, user_api="blas"):
        idata = pm.sample(
            draws=200,
            tune=300,
            chains=2,
            cores=1,
            random_seed=3,
            progressbar=False,
            compute_convergence_checks=False,
            quiet=True,
        )
    posterior = dataset(idata["posterior"])
    found = posterior["proportions"].to_numpy().reshape(-1, N, J)
    assert np.corrcoef(found.mean(axis=0).ravel(), p.ravel())[0, 1] > 0.9
    # differences between samples are free of the error of the level
    apart, truth = (found - found.mean(axis=1, keepdims=True)).mean(axis=0), p - p.mean(axis=0)
    assert np.corrcoef(apart.ravel(), truth.ravel())[0, 1] > 0.98
    assert (np.abs(found.mean(axis=0) - p) < 4 * found.std(axis=0)).all()
    low, high = np.quantile(posterior["tau"], [0.025, 0.975])
    assert low < TAU < high
    assert low > 0.2
    assert int(dataset(idata["sample_stats"])["diverging"].sum()) <= 4


BAD = {
    "two samples": ("bulk", lambda mean, bulk: {"bulk": bulk.iloc[:, :2]}),
    "genes are missing": ("bulk", lambda mean, bulk: {"bulk": bulk.iloc[1:]}),
    "negative": ("bulk", lambda mean, bulk: {"bulk": bulk - 100}),
    "silent": ("bulk", lambda mean, bulk: {"bulk": _silent(bulk)}),
    "missing values": ("mean", lambda mean, bulk: {"mean": mean.where(mean > 10)}),
    "one type twice": ("mean", lambda mean, bulk: {"mean": mean.assign(t1=mean["t0"])}),
    "a type without variances": ("variances", lambda mean, bulk: {"variances": mean[["t0"]]}),
    "negative variances": ("variances", lambda mean, bulk: {"variances": -mean}),
    "noise of two samples": ("counting_noise", lambda mean, bulk: {"counting_noise": [1.0, 2.0]}),
    "noise in words": ("counting_noise", lambda mean, bulk: {"counting_noise": "much"}),
    "no size": ("size_factor", lambda mean, bulk: {"size_factor": 0.0}),
    "nu": ("nu", lambda mean, bulk: {"nu": 0}),
    "gene_df": ("gene_df", lambda mean, bulk: {"gene_df": np.inf}),
    "profile_sd": ("profile_sd", lambda mean, bulk: {"profile_sd": -0.1}),
}


def _silent(bulk):
    """A sample whose only expression is in a gene that the profiles do not have."""
    more = bulk.copy()
    more["s0"] = 0.0
    return pd.concat([more, pd.DataFrame(1.0, ["other"], bulk.columns)])


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(name, data):
    from bayesdecov.models import platform

    argument, change = BAD[name]
    mean, bulk, *_ = data
    with pytest.raises(InputError) as caught:
        platform(**{"mean": mean, "bulk": bulk} | change(mean, bulk))
    assert caught.value.argument == argument
