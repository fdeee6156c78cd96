"""Sums of single bulks against direct algebra; shared moves against fitting again."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_ndtr

from bayesdecov.algebra.held import Held
from bayesdecov.platform.cut import learn_platform
from bayesdecov.platform.draws import draw_factors
from bayesdecov.platform.noise import variance
from bayesdecov.platform.rounds import fit_given
from bayesdecov.platform.samples import BLOCK, hold
from bayesdecov.reference.structures import DenseCovariance, FactorCovariance
from tests.platform.cohorts import G, J, cohort


@pytest.fixture(scope="module")
def learned():
    bulks, profiles, p, _ = cohort(0.4, n=BLOCK + 3)
    platform, _ = learn_platform(bulks, profiles)
    return bulks, platform, p


def structures(seed=0):
    rng = np.random.default_rng(seed)
    D, U = rng.lognormal(2, 1, (G, J)), rng.normal(0, 3, (G, 4))
    factor = FactorCovariance(D, U, np.array([0, 1, 1, 4]))
    return factor, DenseCovariance(np.stack([factor.matrix(j) for j in range(J)]))


def nothing():
    return np.zeros((1, G))


def test_without_covariances_the_sums_are_weighted_least_squares(learned):
    bulks, platform, _ = learned
    found = hold(platform, None, bulks.y[:4], bulks.phi[:4], nothing())
    mixture = fit_given(bulks._replace(y=bulks.y[:4], phi=bulks.phi[:4]), platform.profiles,
                        platform.law, platform.gene)  # fmt: skip
    W = mixture.noise.weights / mixture.variance
    P = platform.profiles.matrix
    q = np.random.default_rng(0).dirichlet(np.ones(J), 4)
    value = Held(J, G).pieces(q, found.packed, np.empty(0), order=0)
    # far from zero the background is what least squares say
    for i in range(4):
        gram = (P * W[i][:, None]).T @ P
        rest = bulks.y[i] - P[:, :J] @ q[i]
        b = (P[:, J] @ (W[i] * rest)) / gram[J, J]
        z = b * np.sqrt(gram[J, J])
        r = rest - b * P[:, J]
        scale = found.scale[i]
        expected = W[i] @ r**2 / scale - 2 * log_ndtr(z / np.sqrt(scale))
        assert value.quad.value[i] == pytest.approx(expected, rel=1e-8)
        logdet = -np.log(W[i]).sum() + G * np.log(scale) + np.log(gram[J, J] / scale)
        assert value.logdet.value[i] == pytest.approx(logdet, rel=1e-9)
        at = bulks.y[i] - mixture.mean[i]
        assert scale == pytest.approx(W[i] @ at**2 / (G - J - 1), rel=1e-8)


def test_dense_and_low_rank_covariances_say_the_same(learned):
    bulks, platform, _ = learned
    factor, dense = structures()
    draws = draw_factors(platform, 5, np.random.default_rng(0))
    a, b = (hold(platform, each, bulks.y[:3], bulks.phi[:3], draws) for each in (factor, dense))
    for one, other in zip(a, b, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-9)


def test_the_covariance_of_a_bulk_is_that_of_the_law_and_the_reference(learned):
    bulks, platform, _ = learned
    factor, dense = structures()
    found = hold(platform, factor, bulks.y[:1], bulks.phi[:1], nothing())
    mixture = fit_given(
        bulks._replace(y=bulks.y[:1], phi=bulks.phi[:1], variances=factor.variances()),
        platform.profiles, platform.law, platform.gene,
    )  # fmt: skip
    q = np.exp(mixture.coefficients.log_q[0, :J])
    own = variance(platform.law, mixture.mean, 0.0, bulks.phi[:1])[0]
    scale = np.sqrt(platform.gene / mixture.noise.weights[0])
    V = np.tensordot(q**2, dense.Sigma, axes=1) + np.diag(own)
    V = V * scale[:, None] * scale * found.scale[0]
    background = platform.background
    logdet = np.linalg.slogdet(V)[1] + np.log(background @ np.linalg.solve(V, background))
    assert found.packed[0, 1] == pytest.approx(logdet, rel=1e-9)


def test_samples_do_not_depend_on_others(learned):
    bulks, platform, _ = learned
    draws = draw_factors(platform, 5, np.random.default_rng(0))
    whole = hold(platform, None, bulks.y, bulks.phi, draws)
    rest = hold(platform, None, bulks.y[BLOCK:], bulks.phi[BLOCK:], draws)
    np.testing.assert_array_equal(whole.packed[BLOCK:], rest.packed)
    np.testing.assert_array_equal(whole.moved[:, BLOCK:], rest.moved)


def test_moves_are_those_of_fits_with_other_factors(learned):
    bulks, platform, _ = learned
    step = 1e-4 * np.random.default_rng(1).normal(size=(2, G))
    found = hold(platform, None, bulks.y[:6], bulks.phi[:6], step)
    held = [fit(platform, bulks, change) for change in (np.zeros(G), *step)]
    for k in range(2):
        # weights and variances are held in the moves and found again here
        np.testing.assert_allclose(
            found.moved[k, :, :3], (held[k + 1] - held[0])[:, :3], rtol=0.5, atol=5e-5
        )


def fit(platform, bulks, change):
    profiles = platform.profiles.scaled(np.exp(change))
    six = bulks._replace(y=bulks.y[:6], phi=bulks.phi[:6])
    return fit_given(six, profiles, platform.law, platform.gene, rounds=40).coefficients.log_q[
        :, :J
    ]
