"""The same likelihood twice: PyTensor and NumPy agree at random points."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayesdecov.algebra import simplex
from bayesdecov.algebra.dense import Dense
from bayesdecov.algebra.priors import Dirichlet, SoftmaxNormal
from bayesdecov.algebra.terms import Term, log_density

N, G, J = 3, 7, 4
CASES = {
    "flat": {},
    "counting": {"counting_noise": np.array([0.1, 0.2, 0.3])},
    "decovart": {"prior": "decovart"},
    "dirichlet, size factor": {"prior": Dirichlet((2.0, 1.0, 3.0, 1.5)), "size_factor": 1.0},
    "normal, t": {"prior": SoftmaxNormal(0.9), "df": 5.0},
}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    mu = rng.gamma(3.0, 4.0, (G, J))
    A = rng.normal(size=(J, G, G + 3))
    Sigma = A @ A.transpose(0, 2, 1) / G
    y = rng.dirichlet(np.ones(J), N) @ mu.T + rng.normal(size=(N, G))
    genes = [f"g{i}" for i in range(G)]
    mean = pd.DataFrame(mu, genes, [f"t{j}" for j in range(J)])
    return mean, Sigma, pd.DataFrame(y.T, genes, [f"s{i}" for i in range(N)])


def _numpy(mean, Sigma, bulk, theta, log_size, options):
    """Log-density of the proportions plus log-prior, with its gradient in theta (and log s)."""
    prior = options.get("prior", "flat")
    paper = prior == "decovart"
    if isinstance(prior, str):
        prior = Dirichlet(1.0)
    p = simplex.proportions(theta)
    s = np.exp(log_size) if options.get("size_factor") else None
    q = p if s is None else s[:, None] * p
    phi = np.broadcast_to(np.asarray(options.get("counting_noise", 0.0), float), (N,))
    pieces = Dense(mean.to_numpy(), Sigma).pieces(q, bulk.to_numpy().T, phi)
    weight = 1.0 if paper else 0.5
    term = log_density(pieces, G, logdet_weight=weight, df=options.get("df"))
    term = simplex.pull_back(term, p, s)
    log_prior = prior.log_prior(theta, jacobian=False)
    gradient = term.gradient.copy()
    gradient[:, : J - 1] += log_prior.gradient
    return Term(term.value + log_prior.value, gradient, term.hessian)


def _point(model, theta, log_size):
    """PyMC's own unconstrained values at ``theta``."""
    import pytensor.tensor as pt

    full = np.concatenate([theta, np.zeros((N, 1))], axis=1)
    centred = (full - full.mean(1, keepdims=True))[:, :-1]
    point = {}
    for variable in model.value_vars:
        if "size_factor" in variable.name:
            point[variable.name] = log_size
        elif "log_ratios" in variable.name:
            z = full - full.mean(1, keepdims=True)
            forward = model.rvs_to_transforms[model["log_ratios"]].forward(pt.as_tensor(z))
            point[variable.name] = forward.eval()
        else:
            point[variable.name] = centred
    return point


@pytest.mark.parametrize("name", CASES)
def test_pytensor_equals_numpy(name, data, python_mode):
    from bayesdecov.models import convolution

    options = CASES[name]
    model = convolution(*data, **options)
    logp = model.compile_logp(jacobian=False, mode=python_mode)
    rng = np.random.default_rng(1)
    ours, theirs = [], []
    for _ in range(3):
        theta, log_size = rng.normal(size=(N, J - 1)), 0.2 * rng.normal(size=N)
        theirs.append(float(logp(_point(model, theta, log_size))))
        total = _numpy(*data, theta, log_size, options).value.sum()
        if options.get("size_factor"):  # LogNormal(0, 1) without the Jacobian of the logarithm
            total += (-0.5 * log_size**2 - log_size - 0.5 * np.log(2 * np.pi)).sum()
        ours.append(total)
    # Dirichlet and normal densities differ from ours by their constant only
    np.testing.assert_allclose(np.diff(ours), np.diff(theirs), rtol=1e-10)
    if name in ("flat", "counting", "decovart"):
        constant = N * np.log(6.0)  # Dirichlet(1) in four types: log Gamma(4)
        np.testing.assert_allclose(np.array(ours) + constant, theirs, rtol=1e-10)


@pytest.mark.parametrize("name", ["counting", "decovart"])
def test_gradients_agree(name, data, python_mode):
    from bayesdecov.models import convolution

    options = CASES[name]
    model = convolution(*data, **options)
    gradient = model.compile_dlogp(jacobian=False, mode=python_mode)
    theta = np.random.default_rng(2).normal(size=(N, J - 1))
    theirs = np.asarray(gradient(_point(model, theta, np.zeros(N)))).reshape(N, J - 1)
    g = _numpy(*data, theta, np.zeros(N), options).gradient
    # PyMC's simplex coordinates sum to zero: theta_j = y_j + sum(y), so dtheta/dy = I + 11'
    ours = g + g.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)


def test_names_and_dims(data):
    from bayesdecov.models import convolution

    model = convolution(*data)
    assert set(model.coords) == {"sample", "cell_type", "gene", "gene_bis"}
    assert model.named_vars_to_dims["proportions"] == ("sample", "cell_type")
    assert [rv.name for rv in model.observed_RVs] == ["bulk"]


def test_fit_hands_its_model_to_pymc(python_mode):
    """`Deconvolution.to_pymc` has the log-likelihood that the fit reports."""
    import bayesdecov as bd

    cohort = bd.simulate.convolution(n_samples=3, n_genes=60, n_types=3, depth=20_000, seed=2)
    reference = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal", genes=20)
    fit = bd.deconvolve(cohort.bulk, reference, df=None)
    model = fit.to_pymc()
    p = fit.proportions.to_numpy()
    assert (p > 0).all()
    theta = np.log(p[:, :-1] / p[:, -1:])
    full = np.concatenate([theta, np.zeros((3, 1))], axis=1)
    (value,) = model.value_vars
    point = {value.name: (full - full.mean(1, keepdims=True))[:, :-1]}
    total = float(model.compile_logp(jacobian=False, mode=python_mode)(point))
    assert total - 3 * np.log(2.0) == pytest.approx(fit.diagnostics["log_likelihood"].sum())


def test_a_free_size_factor_is_in_the_same_place_in_pymc(python_mode):
    """With the bulk in another unit: the model's likelihood at the fit is the one reported."""
    import bayesdecov as bd

    cohort = bd.simulate.convolution(n_samples=3, n_genes=40, n_types=3, seed=2)
    reference = bd.Reference.from_samples(cohort.purified, cohort.labels, "diagonal", genes=20)
    fit = bd.deconvolve(cohort.bulk * 1000, reference, platform="same")
    model = fit.to_pymc()
    p = fit.proportions.to_numpy()
    assert (p > 0).all()
    log_p = np.log(p)
    point = {
        "proportions_simplex__": (log_p - log_p.mean(1, keepdims=True))[:, :-1],
        "size_factor_log__": np.log(fit.diagnostics["size_factor"].to_numpy()),
    }
    (bulk,) = model.observed_RVs
    logp = model.compile_fn(model.logp(vars=[bulk]), mode=python_mode)
    total = float(logp({v.name: point[v.name] for v in model.value_vars}))
    assert total == pytest.approx(fit.diagnostics["log_likelihood"].sum(), rel=1e-6)
