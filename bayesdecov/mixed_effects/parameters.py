"""Parameters of the contaminated normal, and their unbounded form."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra.terms import Array
from bayesdecov.algebra.truncation import at_least

_TINY = 1e-12  # stands for a share or variance of zero on the log scale
_LARGEST_LOG = 50.0


class Contamination(NamedTuple):
    """Parameters; ``up``, ``down``, ``delta`` and ``tau2`` are (q,), zero where not active."""

    beta: Array
    Psi: Array
    null: float
    up: Array
    down: Array
    delta: Array
    tau2: Array
    active: NDArray[np.intp]


def without(at: Contamination, k: int) -> Contamination:
    """The mixture without component ``k``, with its second moment added to ``Psi``."""
    share = at.up[k] + at.down[k]
    Psi = at.Psi.copy()
    Psi[k, k] += share * (at.tau2[k] + at.delta[k] ** 2)
    up, down = at.up.copy(), at.down.copy()
    up[k] = down[k] = 0.0
    return at._replace(
        Psi=Psi, null=at.null + share, up=up, down=down, active=at.active[at.active != k]
    )


def pack(at: Contamination, scale: Array) -> Array:
    """Unbounded parameters: log variances and log ratios of shares to the null share.

    In the order ``beta, delta, log tau2, log up/null, log down/null`` and the lower triangle of
    ``Psi``, everything in units of ``scale`` (q,).
    """
    k = at.active
    return np.concatenate(
        [
            at.beta / scale,
            at.delta[k] / scale[k],
            np.log(np.maximum(at.tau2[k] / scale[k] ** 2, _TINY)),
            np.log(np.maximum(at.up[k], _TINY) / at.null),
            np.log(np.maximum(at.down[k], _TINY) / at.null),
            (at.Psi / np.outer(scale, scale))[np.tril_indices(len(scale))],
        ]
    )


def unpack(x: Array, scale: Array, active: NDArray[np.intp]) -> Contamination:
    """The inverse of `pack`; points outside the parameter space are moved to its boundary."""
    q, k = len(scale), active
    beta, delta, tau2, up, down, rest = np.split(x, np.cumsum([q, *[len(k)] * 4]))
    lower = np.zeros((q, q))
    lower[np.tril_indices(q)] = rest
    Psi = at_least((lower + np.tril(lower, -1).T) * np.outer(scale, scale), 0.0)
    shares = np.exp(np.minimum(np.append(up, down), _LARGEST_LOG))
    null = 1.0 / (1.0 + float(shares.sum()))
    fields = {name: np.zeros(q) for name in ("up", "down", "delta", "tau2")}
    fields["up"][k], fields["down"][k] = shares[: len(k)] * null, shares[len(k) :] * null
    fields["delta"][k] = np.maximum(delta, 0.0) * scale[k]
    fields["tau2"][k] = np.exp(np.minimum(tau2, _LARGEST_LOG)) * scale[k] ** 2
    return Contamination(beta * scale, Psi, null, active=k, **fields)


def units(at: Contamination) -> Array:
    """Standard deviations of the random effects, the units of the unbounded form."""
    return np.asarray(np.sqrt(np.maximum(np.diag(at.Psi), 1e-300)))


def extrapolated(
    first: Contamination, second: Contamination, third: Contamination
) -> Contamination | None:
    """An extrapolation of two EM steps (SQUAREM: Varadhan and Roland 2008), None if impossible.

    It may have a lower likelihood, so callers compare.
    """
    scale = units(first)
    points = [pack(at, scale) for at in (first, second, third)]
    r, v = points[1] - points[0], points[2] - 2 * points[1] + points[0]
    size = float(np.linalg.norm(v))
    if not np.isfinite(size) or size == 0:
        return None
    length = max(float(np.linalg.norm(r)) / size, 1.0)
    return unpack(points[0] + 2 * length * r + length**2 * v, scale, first.active)
