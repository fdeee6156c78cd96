r"""The density of a bulk given its proportions where its variances are held: a quadratic form.

With ``V`` fixed (at its value for the last estimate, as in iteratively reweighted least squares)
and profiles ``mu``, all that proportions can be asked of a bulk is

.. math:: Q(q) = y^\top V^{-1} y - 2\, l^\top q + q^\top G q, \qquad
          l = \mu^\top V^{-1} y, \quad G = \mu^\top V^{-1}\mu ,

whatever the number of genes. A further column, the background, has a coefficient :math:`q_0 \ge 0`
that is no proportion; it is integrated out under a flat prior, which leaves the Schur complements
of ``l`` and ``G`` and the probability that :math:`q_0` is positive,

.. math:: -2\log\Phi(z), \qquad z = (l_0 - G_{0\cdot}\, q) / \sqrt{G_{00}} .
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr

from bayesdecov.algebra.terms import Array, Pieces, Term, values_only

_LOG_ROOT_2PI = 0.5 * np.log(2 * np.pi)
_FAR = -200.0  # below it the expansion at minus infinity is exact to rounding of the Hessian
_NONE = np.empty(0)


class QuadraticSums(NamedTuple):
    """What is left of bulks and profiles: of every sample, the background last.

    ``square`` is ``y' W y``, ``logdet`` that of ``V``, both (sample,); ``linear`` (sample, column)
    and ``gram`` (sample, column, column).
    """

    square: Array
    logdet: Array
    linear: Array
    gram: Array

    def packed(self) -> Array:
        """As one row per sample, for `Held.pieces`, with the background integrated out."""
        l0, g0, g00 = self.linear[:, -1], self.gram[:, -1, :-1], self.gram[:, -1, -1]
        linear = self.linear[:, :-1] - g0 * (l0 / g00)[:, None]
        gram = self.gram[:, :-1, :-1] - g0[:, :, None] * (g0 / g00[:, None])[:, None]
        root = np.sqrt(g00)
        n = len(gram)
        return np.column_stack(
            [
                self.square - l0**2 / g00, self.logdet + np.log(g00), l0 / root,
                g0 / root[:, None], linear, gram.reshape(n, -1),
            ]
        )  # fmt: skip


@dataclass(frozen=True)
class Held:
    """The density of packed sums (`QuadraticSums.packed`); ``V`` holds the counting noise."""

    n_types: int
    n_genes: int

    @property
    def chunk(self) -> int:
        """How many samples are evaluated at once."""
        return 100_000

    def approximate_hessian(self) -> Held:
        """The same: the Hessian costs nothing."""
        return self

    def project(self, y: Array) -> Array:
        """Packed sums are made where variances are known: refuse bulks."""
        raise TypeError("a bulk's sums depend on its variances")

    def scan(self, q: Array, y: Array, phi: float) -> Pieces:
        """Values at shared points, (sample, point)."""
        shape = (len(y), len(q))
        rows = np.repeat(np.arange(len(y)), len(q))
        found = self.pieces(np.tile(q, (len(y), 1)), y[rows], np.empty(0), order=0)
        return values_only(found.logdet.value.reshape(shape), found.quad.value.reshape(shape))

    def pieces(self, q: Array, y: Array, phi: Array, *, order: int = 2) -> Pieces:
        """``log|V|`` and ``Q`` for every row of packed sums ``y``, derivatives up to ``order``."""
        n, k = len(q), self.n_types
        square, logdet, z = y[:, 0], y[:, 1], y[:, 2]
        slope, linear = y[:, 3 : 3 + k], y[:, 3 + k : 3 + 2 * k]
        gram = y[:, 3 + 2 * k :].reshape(n, k, k)
        z = z - np.einsum("nj,nj->n", slope, q)
        product = (gram @ q[:, :, None])[:, :, 0]
        log_positive = log_ndtr(z)
        value = square - 2 * np.einsum("nj,nj->n", linear, q) + np.einsum("nj,nj->n", product, q)
        value = value - 2 * log_positive
        if order == 0:
            return values_only(logdet, value)
        mills, bend = _mills(z, log_positive)
        gradient = 2 * (product - linear + mills[:, None] * slope)
        flat = np.zeros((n, k))
        if order == 1:
            return Pieces(Term(logdet, flat, _NONE), Term(value, gradient, _NONE), _NONE, _NONE)
        information = gram + bend[:, None, None] * slope[:, :, None] * slope[:, None]
        nothing = np.zeros((n, k, k))
        return Pieces(
            Term(logdet, flat, nothing), Term(value, gradient, 2 * information),
            information, nothing,
        )  # fmt: skip


def _mills(z: Array, log_positive: Array) -> tuple[Array, Array]:
    """Slope of ``log Phi(z)`` and minus its curvature."""
    far = np.minimum(z, _FAR)
    near = np.maximum(z, _FAR)
    log_probability = np.where(z < _FAR, log_ndtr(_FAR), log_positive)
    ratio = np.exp(-0.5 * near**2 - _LOG_ROOT_2PI - log_probability)
    mills = np.where(z < _FAR, -far - 1 / far, ratio)
    return mills, np.where(z < _FAR, 1 - 1 / far**2, ratio * (near + ratio))
