"""The joint likelihood twice: PyTensor and NumPy agree, in value and in gradient."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import bayesdecov as bd
from bayesdecov.algebra.subspace import subspace
from bayesdecov.errors import BayesdecovWarning


@pytest.mark.parametrize("hidden", [0, 2])
def test_pytensor_equals_numpy(hidden, python_mode):
    import pytensor

    data = bd.simulate.fastmix(
        "III",
        n_genes=300,
        n_samples=24,
        proportions="dirichlet",
        error_sd=0.05,
        hidden=hidden,
        seed=2,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesdecovWarning)
        fit = bd.fastmix(
            data.expression,
            data.measured,
            data.covariates,
            "joint",
            standard_errors=0.05,
            estimator=bd.EstimatorOptions(variance="common"),
        )
    model, (known, seen, found) = fit.to_pymc(), fit.sharpened
    assert {v.name for v in model.free_RVs} == {
        "z", "error_scale", "cohort_mean", "cohort", "beta", "psi", "sigma",
    }  # fmt: skip
    genes = next(each for each in model.potentials if each.name == "genes")
    inputs = [model[name] for name in ("phi", "beta", "Psi", "sigma")]
    evaluate = pytensor.function(inputs, [genes, pytensor.grad(genes, inputs[0])], mode=python_mode)
    rng, m = np.random.default_rng(0), seen.genes
    for _ in range(3):
        phi = found.phi + 0.01 * rng.normal(size=found.phi.shape)
        at = subspace(known.X(phi), seen)
        n, n_columns = at.X.shape
        beta = at.onto @ seen.total / m
        Psi = at.onto @ seen.centred @ at.onto.T / m - at.sigma2 * at.V
        value, gradient = evaluate(phi, beta, Psi, np.sqrt(at.sigma2))
        df = m * (n - n_columns)
        constant = m * n * np.log(2 * np.pi) + m * n_columns * (1 - np.log(m))
        constant += df * (1 - np.log(df))
        assert value == pytest.approx(at.value - 0.5 * constant, rel=1e-10)
        # at the best parameters the slope of the likelihood is that of its maximum
        expected = np.einsum("ia,iad->id", at.gradient, known.lifts)
        np.testing.assert_allclose(gradient, expected, atol=1e-8 * np.abs(expected).max())
