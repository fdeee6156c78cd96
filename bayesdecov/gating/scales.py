r"""From a detector's linear units to display channels.

Display channels run from 0 to 4095, the full scale; gates are drawn on shares of it.

``fcstrans`` is FCSTrans' logicle as DAFi's own preparation computes it. With natural-log units
:math:`d = 4.5\ln 10`, range :math:`r`, and :math:`w = 2p\ln p/(p+1)`,

.. math:: S(y) = r e^{w-d}\big(e^{y-w} - p^2 e^{-(y-w)/p} + p^2 - 1\big), \qquad
          \mathrm{channel}(x) = \max(0, S^{-1}(x))\cdot 4096/d,

where :math:`w` is such that -111 is the lowest value shown at :math:`r = 2^{18}`, whatever the
range of the channel. ``logicle`` and ``asinh`` are those of Gating-ML 2.0 (flowutils), also floored
at zero, so that a bound at the edge of the scale includes all events beyond it; the first equals
``fcstrans`` above zero and differs below it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from bayesdecov.algebra.terms import Array

FULL = 4095.0
CHANNELS = 4096.0
TRANSFORMS = ("fcstrans", "logicle", "asinh", "none")
# Gating-ML's names: top of scale (None: channel's range), decades, linear and negative decades
PARAMETERS: dict[str, dict[str, float | None]] = {
    "logicle": {"T": None, "M": 4.5, "W": 0.5, "A": 0.0},
    "asinh": {"T": None, "M": 4.0, "A": 1.0},
}

_DECADES = 4.5
_LOWEST = -111.0
_RANGE = 262144.0


def transformed(x: Array, how: str, top: float, parameters: Mapping[str, float]) -> Array:
    """Channels of fluorescence in linear units.

    Parameters
    ----------
    x
        Compensated intensities.
    how
        One of ``TRANSFORMS``.
    top
        The range of the channel: the intensity at the upper end.
    parameters
        Parameters of Gating-ML's transforms that differ from ``PARAMETERS``.
    """
    if how == "fcstrans":
        return fcstrans(x, top)
    if how == "none":
        return x
    from flowutils import transforms

    given = {**PARAMETERS[how], **parameters}
    p = {name: top if value is None else value for name, value in given.items()}
    x = np.ascontiguousarray(x, dtype=np.float64)
    if how == "logicle":
        share = transforms.logicle(x, None, t=p["T"], m=p["M"], w=p["W"], a=p["A"])
    else:
        share = transforms.asinh(x, None, t=p["T"], m=p["M"], a=p["A"])
    return np.maximum(np.asarray(share, dtype=np.float64), 0.0) * CHANNELS


def fcstrans(x: Array, top: float = _RANGE) -> Array:
    """FCSTrans' channels, floored at zero and not cut above.

    Examples
    --------
    >>> fcstrans(np.array([-111.0, 0.0, 1000.0, 100000.0])).round(3).tolist()
    [0.0, 460.288, 1859.848, 3714.599]
    """
    w, p = _linear_width()
    d = _DECADES * np.log(10.0)
    grid = np.linspace(0.0, d + 2.0, 2048)
    values = _biexponential(grid, w, p, top)
    y = np.interp(x, values, grid)
    beyond = x > values[-1]  # far above the scale one exponential dominates
    y[beyond] = np.log(x[beyond] / top) + d
    for _ in range(4):  # Newton from within a grid step
        y -= (_biexponential(y, w, p, top) - np.maximum(x, values[0])) / _slope(y, w, p, top)
    return np.maximum(y, 0.0) * (CHANNELS / d)


def scatter(x: Array, top: float) -> Array:
    """Channels of scatter: linear, cut at both ends."""
    return np.clip(x * (FULL / top), 0.0, FULL)


def _biexponential(y: Array, w: float, p: float, top: float) -> Array:
    a = top * np.exp(w - _DECADES * np.log(10.0))
    return a * (np.exp(y - w) - p**2 * np.exp((w - y) / p) + p**2 - 1)


def _slope(y: Array, w: float, p: float, top: float) -> Array:
    a = top * np.exp(w - _DECADES * np.log(10.0))
    return a * (np.exp(y - w) + p * np.exp((w - y) / p))


@cache
def _linear_width() -> tuple[float, float]:
    """``w`` and ``p`` of the curve that shows -111 at zero."""
    from scipy.optimize import brentq

    def width(p: float) -> float:
        return 2 * p * np.log(p) / (p + 1)

    p = brentq(
        lambda p: _biexponential(np.zeros(1), width(p), p, _RANGE)[0] - _LOWEST,
        1.01,
        10.0,
        xtol=1e-14,
    )
    return width(p), p
