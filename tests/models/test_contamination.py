"""The gene-by-gene likelihoods twice: PyTensor and NumPy agree at random points."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.algebra.shared_design import least_squares
from bayesdecov.mixed_effects.predictive import Parameters, Shifts, log_density

NAMES = ["T", "B", "T.age"]
CASES = {
    "normal": (None, []),
    "t": (6.0, []),
    "shifts": (None, ["B", "T.age"]),
    "estimated t": ("estimate", []),
}


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(12, 3)) + 0.5
    Y = (rng.normal(size=(40, 3)) + 1) @ X.T + 0.5 * rng.normal(size=(40, 12))
    return least_squares(X, Y)


@pytest.mark.parametrize("case", CASES)
def test_pytensor_equals_numpy(case, fitted, python_mode):
    import pytensor

    from bayesdecov.models import Genes, contamination

    nu, active = CASES[case]
    ls = fitted
    model = contamination(Genes(ls.c + ls.mean, ls.Vz, ls.rss, ls.df), NAMES, active, nu=nu)
    inputs = [model[name] for name in ("beta", "Psi", "sigma")]
    extra = [name for name in ("shares", "delta", "tau", "nu") if name in model.named_vars]
    if nu == 6.0:
        extra = []
    inputs += [model[name] for name in extra]
    evaluate = pytensor.function(
        inputs, model.potentials[0], mode=python_mode, on_unused_input="ignore"
    )
    rng = np.random.default_rng(1)
    where = [NAMES.index(name) for name in active]
    for _ in range(4):
        A = rng.normal(size=(3, 3))
        beta, Psi, sigma = rng.normal(size=3), A @ A.T, float(np.exp(rng.normal()))
        shifts, given = None, []
        if active:
            shares = rng.dirichlet([10, 1, 1, 1, 1])
            delta, tau = rng.gamma(2.0, 1.0, 2), rng.gamma(2.0, 1.0, 2)
            full = np.zeros((4, 3))
            full[:, where] = shares[1:3], shares[3:], delta, tau**2
            shifts, given = Shifts(*full), [shares, delta, tau]
        tail = 6.0 if nu == 6.0 else None
        if nu == "estimate":
            tail = 3.5
            given.append(tail)
        at = Parameters(beta, Psi, np.array([sigma**2]), tail, shifts)
        np.testing.assert_allclose(
            evaluate(beta, Psi, sigma, *given), log_density(ls, at).sum(), rtol=1e-9
        )


def test_names_and_dims(fitted):
    from bayesdecov.models import Genes, contamination

    ls = fitted
    model = contamination(Genes(ls.c, ls.Vz, ls.rss, ls.df), NAMES, ["B"], nu="estimate")
    assert model.named_vars_to_dims["delta"] == ("shifted",)
    assert tuple(model.coords["shifted"]) == ("B",)
    assert "nu" in model.named_vars
