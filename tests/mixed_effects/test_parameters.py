"""The unbounded form of the contaminated normal's parameters, and steps in it."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.mixed_effects.contamination import expectation, maximisation
from bayesdecov.mixed_effects.parameters import extrapolated, pack, units, unpack, without
from tests.mixed_effects.problems import contaminated, states


@pytest.fixture
def case():
    return contaminated()


def test_dropping_a_component_keeps_the_second_moment(case):
    at, *_ = case
    less = without(at, 0)
    assert less.active.tolist() == [2]
    np.testing.assert_allclose(less.Psi[0, 0] - at.Psi[0, 0], 0.15 * (0.5 + 9.0))
    np.testing.assert_allclose(less.null + less.up.sum() + less.down.sum(), 1.0)


def test_long_steps_stay_inside(case):
    at, Vz, c, _ = case
    path = [at]
    for _ in range(2):
        path.append(maximisation(expectation(c, Vz, np.array([1.0]), path[-1]), path[-1], 10.0))
    far = extrapolated(*path)
    assert np.linalg.eigvalsh(far.Psi)[0] > -1e-12
    assert 0 < far.null < 1
    assert (far.tau2 >= 0).all()
    assert (far.delta >= 0).all()
    np.testing.assert_allclose(far.null + far.up.sum() + far.down.sum(), 1, rtol=1e-9)
    assert extrapolated(at, at, at) is None


def test_packing_is_undone(case):
    at, *_ = case
    back = unpack(pack(at, units(at)), units(at), at.active)
    for name, value in at._asdict().items():
        np.testing.assert_allclose(getattr(back, name), value, atol=1e-10, err_msg=name)


def test_dropping_a_component_keeps_mean_and_covariance_if_up_and_down_are_even(case):
    """Total covariance of the mixture, component by component, before and after."""
    at, *_ = case
    at = at._replace(down=at.up.copy(), null=1 - 2 * at.up.sum())

    def moments(law):
        parts = list(states(law, law.Psi))
        mean = sum(w * centre for w, centre, _ in parts)
        return mean, sum(w * (T + np.outer(m - mean, m - mean)) for w, m, T in parts)

    for k in (0, 2):
        for before, after in zip(moments(at), moments(without(at, k)), strict=True):
            np.testing.assert_allclose(after, before, rtol=1e-12)


def test_what_lies_outside_is_moved_to_the_edge(case):
    at, *_ = case
    scale = np.array([2.0, 1.0, 3.0])
    x = pack(at, scale)
    x[3:5] = -1.0  # shifts in the wrong direction
    x[5:7] = 1e6  # a variance without bounds
    x[-1] = -50.0  # the last variance of Psi
    edge = unpack(x, scale, at.active)
    np.testing.assert_array_equal(edge.delta, 0)
    assert np.isfinite(edge.tau2).all()
    values = np.linalg.eigvalsh(edge.Psi)
    assert values[0] == pytest.approx(0, abs=1e-12 * values[-1])
    np.testing.assert_allclose(edge.beta, at.beta, rtol=1e-12)
    np.testing.assert_allclose([edge.null, *edge.up], [at.null, *at.up], rtol=1e-9, atol=1e-12)
    x[7:11] = 1e6  # shares that leave nothing to the null
    full = unpack(x, scale, at.active)
    assert full.null >= 0
    np.testing.assert_allclose(full.up + full.down, [0.5, 0, 0.5], rtol=1e-9)


def test_units_do_not_matter_and_a_variance_of_zero_has_one(case):
    at, *_ = case
    a = np.array([0.1, 7.0, 40.0])
    other = at._replace(
        beta=at.beta * a, Psi=at.Psi * np.outer(a, a), delta=at.delta * a, tau2=at.tau2 * a**2
    )
    np.testing.assert_allclose(pack(other, units(other)), pack(at, units(at)), rtol=1e-12)
    flat = at._replace(Psi=np.diag([1.0, 0.0, 4.0]))
    assert (units(flat) > 0).all()
    np.testing.assert_array_equal(units(flat)[[0, 2]], [1, 2])


@pytest.mark.parametrize("rate", [0.2, 0.9, 0.999])
def test_a_long_step_along_a_straight_path_ends_at_its_limit(case, rate):
    """EM that shrinks the distance to its limit by one factor is finished in one step."""
    at, *_ = case
    start = np.array([5.0, -3.0, 1.0])
    path = [at._replace(beta=at.beta + rate**step * start) for step in range(3)]
    np.testing.assert_allclose(extrapolated(*path).beta, at.beta, atol=1e-7)


def test_no_long_step_from_values_that_are_not_finite(case):
    at, *_ = case
    assert extrapolated(at, at._replace(beta=at.beta + np.nan), at) is None
