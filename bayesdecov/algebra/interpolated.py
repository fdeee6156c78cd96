r"""The low-rank density of one sample in the neighbourhood of a point, at a fraction of the cost.

A posterior is evaluated thousands of times within a small region, where the inverse diagonal
:math:`w(q) = 1/d(q)` of all genes follows that of a few of them (an interpolative decomposition,
Cheng et al. 2005):

.. math:: w_g(q) \approx \sum_{s \in S} X_{gs}\, w_s(q)
   \quad\Rightarrow\quad
   U^\top \mathrm{diag}(w(q))\, U \approx \sum_{s \in S} w_s(q)\, T_s, \qquad
   T_s = U^\top \mathrm{diag}(X_{\cdot s})\, U .

The only part of an evaluation whose cost is genes times factors squared then costs genes in ``S``
(some thirty) times factors squared. Everything else remains exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr, solve_triangular

from bayesdecov.algebra.density import Density
from bayesdecov.algebra.lowrank import LowRank, weighted_grams
from bayesdecov.algebra.terms import Array

_TOLERANCE = 1e-6  # of the interpolated diagonal, relative to its largest direction
_FEWEST_GENES, _FEWEST_FACTORS = 200, 20  # below these the exact density is as fast
_CHUNK_FLOATS = 200_000  # of the largest work array, to fit into a processor's cache


@dataclass(frozen=True)
class Interpolated(LowRank):
    """Result of `interpolate`: values (``order=0``) are interpolated, derivatives exact."""

    genes: np.ndarray  # S
    parts: Array  # T_s, (gene of S, factor, factor)

    @property
    def chunk(self) -> int:
        """How many points are evaluated at once."""
        return max(1, _CHUNK_FLOATS // max(self.n_genes, self.U.shape[1] ** 2))

    def grams(self, d: Array) -> Array:
        """``U' diag(1/d) U`` of every point, interpolated."""
        return np.tensordot(1 / d[:, self.genes], self.parts, axes=1)


def helps(density: Density) -> bool:
    """Whether `interpolate` reduces the cost."""
    return (
        isinstance(density, LowRank)
        and density.n_genes >= _FEWEST_GENES
        and density.U.shape[1] >= _FEWEST_FACTORS
    )


def interpolate(density: LowRank, q: Array, phi: float) -> LowRank:
    """The density for points like ``q`` (point, cell_type); the first is the centre.

    The exact one where it does not exist at the centre.

    Parameters
    ----------
    density
        The exact density.
    q
        About a hundred points spread over the region; outside it accuracy is lower.
    phi
        Counting noise of the sample.
    """
    _, d = density.moments(q, np.full(len(q), phi))
    centre = d[0]
    if not np.isfinite(centre).all():
        return density
    ratio = centre / d
    ratio = ratio[np.isfinite(ratio).all(axis=1)]
    values, vectors = np.linalg.eigh(ratio @ ratio.T)
    kept = values > _TOLERANCE**2 * values[-1]
    R, order = qr(vectors[:, kept].T @ ratio, mode="r", pivoting=True)
    rank = len(R)
    genes = order[:rank]
    X = np.empty((density.n_genes, rank))
    X[order] = solve_triangular(R[:, :rank], R).T
    # a symmetric product takes half the time of a general one but needs weights that are positive
    lift = np.maximum(-X.min(axis=0), 0.0)
    parts = weighted_grams(density.U, np.maximum(X + lift, 0.0).T / centre)
    parts -= lift[:, None, None] * weighted_grams(density.U, 1 / centre[None])
    return Interpolated(
        density.mu,
        density.D,
        density.U,
        density.owner,
        genes=genes,
        parts=parts * centre[genes, None, None],
    )
