"""Log-likelihood and derivatives of the paper's Eq. 8 against the original program."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.algebra import simplex
from bayesdecov.algebra.dense import Dense
from bayesdecov.algebra.terms import log_density
from tests.conftest import REFERENCE


@pytest.fixture(scope="module")
def case():
    return np.load(REFERENCE / "decovart_J4_G30.npz")


@pytest.mark.parametrize("point", [0, 1, 2])
def test_log_likelihood_and_derivatives(case, point):
    model = Dense(case["mu"], case["Sigma"])
    p, theta = case["p"][point][None], case["theta"][point][None]
    np.testing.assert_allclose(simplex.proportions(theta), p, rtol=1e-12)
    pieces = model.pieces(p, case["Y"][:, 0][None], np.zeros(1))
    term = log_density(pieces, 30, logdet_weight=1.0)
    without_constant = term.value[0] + 15 * np.log(2 * np.pi)
    assert without_constant == pytest.approx(case["loglik"][point], rel=1e-10)
    np.testing.assert_allclose(term.gradient[0], case["grad_p"][point], rtol=1e-10)
    np.testing.assert_allclose(term.hessian[0], case["hess_p_correct"][point], rtol=1e-10)
    np.testing.assert_allclose(
        simplex.jacobian(p)[0], case["jac_correct"][point], rtol=1e-10, atol=1e-15
    )
    free = simplex.pull_back(term, p)
    np.testing.assert_allclose(free.gradient[0], case["grad_theta_correct"][point], rtol=1e-10)
    scale = np.abs(case["hess_theta_correct"][point]).max()
    np.testing.assert_allclose(
        free.hessian[0], case["hess_theta_correct"][point], rtol=1e-10, atol=1e-12 * scale
    )
