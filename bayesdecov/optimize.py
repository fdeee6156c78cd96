r"""A batched Levenberg-Marquardt maximiser that knows nothing of deconvolution.

Many small, independent problems are maximised together: arrays carry a leading problem axis and
finished problems leave the active set. Each step solves

.. math:: (-H + \lambda D)\, d = g

with ``D`` the scaled magnitude of the diagonal. One eigendecomposition of
:math:`D^{-1/2}(-H)D^{-1/2}` an iteration gives the smallest damping that makes the matrix positive
definite, the step for any further damping, and the stopping criterion.

A problem has converged when three criteria hold together (Commenges et al. 2006; Philipps et al.
2021, marqLevAlg): the parameters and the value no longer change, and the *relative distance to
maximum* :math:`g^\top(-H)^{-1}g/d`, defined only where :math:`-H` is positive definite, is small.
The last one tells a maximum from a saddle point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra.terms import Array, Term

Objective = Callable[[Array, NDArray[np.intp]], Term]
"""``objective(x, rows)``: value, gradient and Hessian at ``x`` (m, d) of the problems ``rows``."""

_LARGEST_DAMPING = 1e12
_FLAT = 1e-8


class Tolerances(NamedTuple):
    """The three stopping criteria; all have to hold."""

    parameter: float = 1e-5
    value: float = 1e-6
    rdm: float = 1e-7


class Maximum(NamedTuple):
    """Where each problem ended; every field has a leading problem axis."""

    x: Array
    value: Array
    gradient: Array
    hessian: Array
    iterations: NDArray[np.int64]
    rdm: Array
    converged: NDArray[np.bool_]

    def take(self, rows: NDArray[np.intp]) -> Maximum:
        """Some of the problems."""
        fields: Any = (field[rows] for field in self)
        return Maximum(*fields)


class _Spectrum(NamedTuple):
    """``-H`` in scaled coordinates: eigenvalues, eigenvectors, 1/sqrt(D), rotated gradient."""

    values: Array
    vectors: Array
    inverse_root: Array
    gradient: Array


def marquardt(
    objective: Objective,
    x0: Array,
    *,
    natural: Callable[[Array], Array] | None = None,
    tolerances: Tolerances = Tolerances(),  # noqa: B008  (an immutable tuple)
    max_iterations: int = 200,
    max_step: float = 5.0,
) -> Maximum:
    """Maximise ``objective`` from every row of ``x0``.

    Parameters
    ----------
    objective
        Returns a `Term` for the rows it is given; a value that is not finite counts as a failed
        step.
    x0
        Starting points, shape (problem, d).
    natural
        Map from ``x`` to the parameters whose change decides on convergence. Needed where ``x``
        may run off to infinity while the parameters settle on a boundary. Default: ``x`` itself.
    tolerances
        Stopping criteria.
    max_iterations
        Accepted or failed steps allowed for each problem.
    max_step
        Longest allowed change of any coordinate in one step.

    Returns
    -------
    Maximum
        Never raises for lack of convergence: see ``converged`` and ``rdm``.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesdecov.algebra.terms import Term
    >>> def bell(x, rows):
    ...     return Term(-np.cosh(x[:, 0] - rows), -np.sinh(x - rows[:, None]),
    ...                 -np.cosh(x - rows[:, None])[:, :, None])
    >>> marquardt(bell, np.zeros((3, 1))).x.round(3).ravel().tolist()
    [0.0, 1.0, 2.0]
    """
    x = np.array(x0, dtype=float)
    n, d = x.shape
    settle = natural or (lambda values: values)
    everyone = np.arange(n)
    term = objective(x, everyone)
    value, gradient, hessian = (np.array(part) for part in term)
    iterations = np.zeros(n, dtype=np.int64)
    rdm = np.full(n, np.nan)
    converged = np.zeros(n, dtype=bool)
    damping = np.zeros(n)
    last_step, stretch = np.zeros((n, d)), np.ones(n)
    usable = np.isfinite(value) & np.isfinite(gradient).all(1) & np.isfinite(hessian).all((1, 2))
    active = everyone[usable]
    if d == 0:
        return Maximum(x, value, gradient, hessian, iterations, np.zeros(n), usable)

    spectrum = _decompose(gradient[active], hessian[active])
    while len(active):
        now_rdm = _relative_distance(spectrum)
        rdm[active] = now_rdm
        step, damping[active] = _step(spectrum, damping[active], max_step)
        stretch[active] = _stretched(step, last_step[active], stretch[active])
        last_step[active] = step
        step = _limited(step * stretch[active, None], max_step)
        proposal = x[active] + step
        trial = objective(proposal, active)
        gain = trial.value - value[active]
        slack = 1e-13 * (1 + np.abs(value[active]))
        accepted = np.isfinite(trial.value) & (gain >= -slack)
        change = np.abs(settle(proposal) - settle(x[active])).max(1)
        iterations[active] += 1

        # A maximum: tiny step, tiny gain, and the expected remaining gain is tiny too.
        done = (
            (change < tolerances.parameter)
            & (np.abs(gain) < tolerances.value)
            & (now_rdm < tolerances.rdm)
        )
        took = active[accepted]
        x[took] = proposal[accepted]
        value[took] = trial.value[accepted]
        gradient[took] = trial.gradient[accepted]
        hessian[took] = trial.hessian[accepted]
        converged[active[done]] = True
        stretch[active[~accepted]] = 1.0
        last_step[active[~accepted]] = 0.0
        damping[active] = np.where(
            accepted, _lowered(damping[active]), np.maximum(damping[active] * 10, 1e-3)
        )
        stop = done | (iterations[active] >= max_iterations) | (damping[active] > _LARGEST_DAMPING)
        renew = accepted & ~stop
        spectrum = _merge(
            spectrum, _decompose(gradient[active[renew]], hessian[active[renew]]), renew
        )
        spectrum = _Spectrum(*(part[~stop] for part in spectrum))
        active = active[~stop]
    return Maximum(x, value, gradient, hessian, iterations, rdm, converged)


def _decompose(gradient: Array, hessian: Array) -> _Spectrum:
    """Eigendecomposition of the scaled negative Hessian."""
    A = -hessian
    size = np.abs(np.diagonal(A, axis1=1, axis2=2))
    scale = size + 1e-2 * size.mean(1, keepdims=True) + 1e-12
    inverse_root = 1 / np.sqrt(scale)
    scaled = A * inverse_root[:, :, None] * inverse_root[:, None, :]
    if A.shape[1] == 1:
        values, vectors = scaled[:, :, 0], np.ones_like(scaled)
    else:
        values, vectors = np.linalg.eigh(scaled)
    rotated = np.einsum("nij,ni->nj", vectors, inverse_root * gradient)
    return _Spectrum(values, vectors, inverse_root, rotated)


def _relative_distance(spectrum: _Spectrum) -> Array:
    """``g'(-H)^-1 g / d``; infinite where ``-H`` is not positive definite."""
    # in scaled coordinates a curvature of this size is rounding, neither a peak nor a saddle
    definite = spectrum.values[:, 0] > -_FLAT
    safe = np.maximum(spectrum.values, _FLAT)
    distance = (spectrum.gradient**2 / safe).mean(1)
    return np.where(definite, distance, np.inf)


def _step(spectrum: _Spectrum, damping: Array, max_step: float) -> tuple[Array, Array]:
    """Damped Newton step, and the damping that was needed to make it one."""
    smallest = spectrum.values[:, 0]
    needed = np.where(smallest > 0, 0.0, -1.2 * smallest + 1e-3)
    used = np.maximum(damping, needed)
    rotated = spectrum.gradient / (spectrum.values + used[:, None])
    step = spectrum.inverse_root * np.einsum("nij,nj->ni", spectrum.vectors, rotated)
    return _limited(step, max_step), used


def _limited(step: Array, max_step: float) -> Array:
    """Shorten steps so that no coordinate moves further than ``max_step``."""
    longest = np.abs(step).max(1)
    return step * np.minimum(1.0, max_step / np.maximum(longest, 1e-300))[:, None]


def _stretched(step: Array, last_step: Array, stretch: Array) -> Array:
    """Double the stride while Newton proposes the same step again and again.

    That is the signature of a maximum at infinity that is approached exponentially, such as a
    proportion that goes to zero on the log scale.
    """
    difference = np.linalg.norm(step - last_step, axis=1)
    same = difference < 0.2 * np.linalg.norm(step, axis=1)
    return np.where(same, np.minimum(2 * stretch, 16.0), 1.0)


def _lowered(damping: Array) -> Array:
    """Damping after a successful step; below a small value plain Newton steps are taken."""
    lowered = damping / 10
    return np.where(lowered < 1e-6, 0.0, lowered)


def _merge(old: _Spectrum, new: _Spectrum, rows: NDArray[np.bool_]) -> _Spectrum:
    """Replace the rows of ``old`` whose position changed."""
    for target, source in zip(old, new, strict=True):
        target[rows] = source
    return old
