r"""Convolution density with ``Sigma_j = diag(D_j) + U_j U_j'``: linear in the number of genes.

.. math:: V(q) = \mathrm{diag}(d(q)) + U\,\mathrm{diag}(q_{o}^2)\,U^\top, \qquad
          d(q) = \sum_j q_j^2 D_j + \varphi\,\mu q

with ``U`` all loadings side by side and ``o`` the cell type that owns each column. The Woodbury
identity in the form that allows ``q_j = 0`` gives ``Theta = diag(1/d) - P P'`` at cost O(G R^2).
Without loadings this is the diagonal model.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from bayesdecov.algebra.counting import counting_variance
from bayesdecov.algebra.linalg import cholesky, invert_lower, log_determinant, solve_lower
from bayesdecov.algebra.terms import (
    Array,
    Contractions,
    Pieces,
    add_diagonal,
    assemble,
    values_only,
    with_gradients,
)

_CHUNK_FLOATS = 2_000_000


class Factors(NamedTuple):
    """``Theta = V^{-1} = diag(1/d) - P P'`` with ``P = diag(1/d) U root``, of every sample."""

    mean: Array
    d: Array
    P: Array
    logdet: Array
    gram: Array  # U' diag(1/d) U
    root: Array  # (factor, factor)


@dataclass(frozen=True)
class LowRank:
    """Means, diagonals and loadings.

    ``mu`` and ``D`` are (gene, cell_type); ``U`` is (gene, factor); ``owner`` (factor,) holds the
    index of the cell type that each column of ``U`` belongs to.
    """

    mu: Array
    D: Array
    U: Array
    owner: np.ndarray
    exact_hessian: bool = field(default=True, kw_only=True)

    def approximate_hessian(self) -> LowRank:
        """The same without the most expensive part of the Hessian (some 2 % of its size)."""
        return replace(self, exact_hessian=False)

    @property
    def n_genes(self) -> int:
        """Number of genes G."""
        return int(self.mu.shape[0])

    @property
    def chunk(self) -> int:
        """How many samples are evaluated at once."""
        return max(1, _CHUNK_FLOATS // (self.n_genes * (self.U.shape[1] + self.mu.shape[1] + 1)))

    def project(self, y: Array) -> Array:
        """Bulks are used as they are."""
        return y

    def scan(self, q: Array, y: Array, phi: float) -> Pieces:
        """Values at the shared points ``q`` (point, cell_type) for all bulks: (sample, point)."""
        logdet, quad = np.empty(len(q)), np.empty((len(y), len(q)))
        for k, point in enumerate(q):
            mean, d, P, logdet[k], *_ = (
                part[0] for part in self.factorise(point[None], np.array([phi]))
            )
            residuals = y - mean
            projected = residuals @ P
            quad[:, k] = (residuals**2) @ (1 / d) - np.einsum("nk,nk->n", projected, projected)
        return values_only(np.broadcast_to(logdet, quad.shape), quad)

    def moments(self, q: Array, phi: Array) -> tuple[Array, Array]:
        """``mu q`` and ``d(q)`` (n, gene), which is NaN where it is not positive."""
        mean = q @ self.mu.T
        d = (q * q) @ self.D.T + counting_variance(phi, mean)
        return mean, np.where(d > 0, d, np.nan)

    def grams(self, d: Array) -> Array:
        """``U' diag(1/d) U`` for every row of ``d`` (n, gene): (n, R, R). For values alone."""
        return weighted_grams(self.U, 1 / d)

    def factorise(self, q: Array, phi: Array) -> Factors:
        """The factors of ``V(q)``, which do not depend on the data."""
        mean, d = self.moments(q, phi)
        weights = q[:, self.owner]
        gram = weighted_grams(self.U, 1 / d)
        L = cholesky(weights[:, :, None] * gram * weights[:, None, :] + np.eye(len(self.owner)))
        root = weights[:, :, None] * invert_lower(L).transpose(0, 2, 1)
        P = (self.U @ root) / d[:, :, None]
        return Factors(mean, d, P, np.log(d).sum(-1) + log_determinant(L), gram, root)

    def pieces(self, q: Array, y: Array, phi: Array, *, order: int = 2) -> Pieces:
        """``log|V|`` and ``Q`` for every sample (`terms.Pieces`), derivatives up to ``order``."""
        if order == 0:
            return self._values(q, y, phi)
        mean, d, P, logdet, gram, root = self.factorise(q, phi)
        r = y - mean
        r_over_d = r / d
        projected = (P.transpose(0, 2, 1) @ r[:, :, None])[:, :, 0]
        quad = np.einsum("ng,ng->n", r, r_over_d) - np.einsum("nk,nk->n", projected, projected)
        u = r_over_d - (P @ projected[:, :, None])[:, :, 0]
        leverage = np.einsum("ngk,ngk->ng", P, P)
        theta_diagonal = 1 / d - leverage
        b = 2 * q[:, None, :] * self.D + phi[:, None, None] * self.mu  # (n, G, J)
        groups = np.equal.outer(self.owner, np.arange(self.mu.shape[1])).astype(float)  # (R, J)
        onto = root.transpose(0, 2, 1) @ gram  # P' U, (n, R, R)
        inside = gram - onto.transpose(0, 2, 1) @ onto  # U' Theta U
        loading_u = u @ self.U  # U' u, (n, R)
        square_u = (loading_u * loading_u) @ groups
        u_s_u = (u * u) @ self.D + square_u
        mu_u = u @ self.mu
        u_b_u = 2 * q * u_s_u + phi[:, None] * ((u * u) @ self.mu)
        factor_trace = np.diagonal(inside, axis1=1, axis2=2) @ groups  # tr(U_j' Theta U_j)
        trace_b = (theta_diagonal[:, None] @ b)[:, 0] + 2 * q * factor_trace
        if order == 1:
            return with_gradients(logdet, quad, trace_b=trace_b, mu_u=mu_u, u_b_u=u_b_u)

        # tr(Theta B_i Theta B_j), from diagonal x diagonal, diagonal x factor, factor x factor
        weight = 1 / d**2 - 2 * leverage / d
        diagonal_part = b.transpose(0, 2, 1) @ (b * weight[:, :, None])
        if self.exact_hessian and self.U.shape[1]:
            diagonal_part += self._leverages(P, b)
        Z = (self.U @ (np.eye(len(self.owner)) - root @ onto)) / d[:, :, None]  # Theta U
        mixed = b.transpose(0, 2, 1) @ ((Z * Z) @ groups) * (2 * q[:, None, :])
        blocks = groups.T @ (inside * inside) @ groups
        factor_part = 4 * q[:, :, None] * q[:, None, :] * blocks

        s_u = self.D * u[:, :, None] + self.U @ (loading_u[:, :, None] * groups)
        b_u = 2 * q[:, None, :] * s_u + phi[:, None, None] * self.mu * u[:, :, None]
        theta_mu = self._solve(P, d, self.mu)
        c = self.mu + b_u
        return assemble(
            Contractions(
                logdet=logdet,
                quad=quad,
                trace_b=trace_b,
                trace_bb=diagonal_part + mixed + mixed.transpose(0, 2, 1) + factor_part,
                trace_s=theta_diagonal @ self.D + factor_trace,
                mu_u=mu_u,
                u_b_u=u_b_u,
                u_s_u=u_s_u,
                cross=c.transpose(0, 2, 1) @ self._solve(P, d, c),
                mean_information=self.mu.T @ theta_mu,
            )
        )

    def _values(self, q: Array, y: Array, phi: Array) -> Pieces:
        """``log|V|`` and ``Q`` alone, with one (gene, factor) product per sample."""
        mean, d = self.moments(q, phi)
        r = y - mean
        r_over_d = r / d
        quad, logdet = np.einsum("ng,ng->n", r, r_over_d), np.log(d).sum(axis=-1)
        if self.U.shape[1]:
            weights = q[:, self.owner]
            projected = (r_over_d @ self.U) * weights
            K = self.grams(d)
            K *= weights[:, :, None]
            K *= weights[:, None, :]
            L = cholesky(add_diagonal(K, np.ones_like(weights)))
            quad -= np.square(solve_lower(L, projected)).sum(axis=1)
            logdet = logdet + log_determinant(L)
        return values_only(logdet, quad)

    @staticmethod
    def _leverages(P: Array, b: Array) -> Array:
        """``tr(P' diag(b_i) P P' diag(b_j) P)``: ten times the cost of the rest, little weight."""
        n, _, n_types = b.shape
        inner = np.empty((n, n_types, P.shape[2], P.shape[2]))
        for i, j in np.ndindex(n, n_types):
            each = b[i, :, j, None]
            if (each >= 0).all():  # as it is inside the simplex
                scaled = P[i] * np.sqrt(each)
                np.dot(scaled.T, scaled, out=inner[i, j])
            else:
                np.dot(P[i].T, P[i] * each, out=inner[i, j])
        flat = inner.reshape(n, n_types, -1)
        product: Array = flat @ flat.transpose(0, 2, 1)
        return product

    @staticmethod
    def _solve(P: Array, d: Array, right: Array) -> Array:
        """``Theta x`` for columns ``right`` (gene, k) or (n, gene, k)."""
        solved: Array = right / d[:, :, None] - P @ (P.transpose(0, 2, 1) @ right)
        return solved


def weighted_grams(U: Array, weights: Array) -> Array:
    """``U' diag(w) U`` for every row of ``weights`` (n, gene), none of them negative."""
    grams = np.empty((len(weights), U.shape[1], U.shape[1]))
    if U.shape[1]:
        for i, each in enumerate(np.sqrt(weights)):
            scaled = U * each[:, None]
            np.dot(scaled.T, scaled, out=grams[i])  # product with itself: half the work
    return grams
