"""Transforms against published values and their own definitions."""

from __future__ import annotations

import numpy as np
import pytest

from bayesdecov.gating import scales

# FCSTrans at r = 262144, from its definition to three decimals
VALUES = {-111: 0.0, 0: 460.288, 100: 872.057, 1000: 1859.848, 10000: 2800.694, 100000: 3714.599,
          262144: 4095.831}  # fmt: skip


def test_values():
    found = scales.fcstrans(np.array([float(x) for x in VALUES]))
    assert np.abs(found - list(VALUES.values())).max() < 5e-4


@pytest.mark.parametrize("top", [1024.0, 65536.0, 262144.0])
def test_it_inverts_its_definition(top):
    d = 4.5 * np.log(10)
    w, p = 1.1643875022454866, 2.304432764809082
    y = np.linspace(0, d + 1.5, 400)
    x = top * np.exp(w - d) * (np.exp(y - w) - p**2 * np.exp((w - y) / p) + p**2 - 1)
    assert np.abs(scales.fcstrans(x, top) * d / 4096 - y).max() < 1e-9


def test_floored_below_and_open_above():
    low, high, far = scales.fcstrans(np.array([-1e5, 1e6, 1e12]))
    assert low == 0
    assert 4096 < high < far


def test_logicle_is_the_same_above_zero_and_not_below():
    x = np.array([0.0, 50.0, 5000.0, 2e5])
    parameters = {"W": 0.505687}
    logicle = scales.transformed(x, "logicle", 262255.878, parameters)
    assert np.abs(logicle - scales.fcstrans(x)).max() < 1e-3
    below = scales.transformed(np.array([-111.0]), "logicle", 262255.878, parameters)
    assert 10 < below[0] < 12  # up to 11 channels, as measured


def test_asinh_and_none():
    x = np.array([0.0, 262144.0])
    shown = scales.transformed(x, "asinh", 262144.0, {"A": 1.0})
    assert shown == pytest.approx([4096 / 5, 4096.0])
    assert scales.transformed(x, "none", 1.0, {}) is x


def test_scatter_is_cut():
    assert scales.scatter(np.array([-5.0, 131072.0, 3e5]), 262144.0).tolist() == [0, 2047.5, 4095]
