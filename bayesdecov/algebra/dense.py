r"""Convolution density with a full covariance matrix per cell type.

.. math:: V(q) = \sum_j q_j^2 \Sigma_j + \mathrm{diag}(\varphi\,\mu q + \varphi^2 / 4)

One Cholesky factor of ``V`` per sample suffices; cost O(J G^3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesdecov.algebra.counting import counting_variance
from bayesdecov.algebra.linalg import (
    cholesky,
    inverse,
    invert_lower,
    log_determinant,
    solve_lower,
)
from bayesdecov.algebra.terms import (
    Array,
    Contractions,
    Pieces,
    assemble,
    values_only,
    with_gradients,
)

_CHUNK_FLOATS = 4_000_000  # the largest work array: 32 MB


@dataclass(frozen=True)
class Dense:
    """Means ``mu`` (gene, cell_type) and covariances ``Sigma`` (cell_type, gene, gene)."""

    mu: Array
    Sigma: Array

    @property
    def n_genes(self) -> int:
        """Number of genes G."""
        return int(self.mu.shape[0])

    def approximate_hessian(self) -> Dense:
        """Nothing is left out."""
        return self

    @property
    def chunk(self) -> int:
        """How many samples are evaluated at once."""
        return max(1, _CHUNK_FLOATS // max(1, self.Sigma.size))

    def covariance(self, q: Array, phi: Array) -> Array:
        """``V(q)``, one ``(gene, gene)`` matrix per sample."""
        n_types, n_genes = self.Sigma.shape[:2]
        flat = (q * q) @ self.Sigma.reshape(n_types, -1)
        V = flat.reshape(len(q), n_genes, n_genes)
        index = np.arange(n_genes)
        V[:, index, index] += counting_variance(phi, q @ self.mu.T)
        return V

    def project(self, y: Array) -> Array:
        """Bulks are used as they are."""
        return y

    def scan(self, q: Array, y: Array, phi: float) -> Pieces:
        """Values at the shared points ``q`` (point, cell_type) for all bulks: (sample, point).

        One factorisation per point serves every sample, which makes a scan of the simplex cheap.
        """
        L = cholesky(self.covariance(q, np.full(len(q), phi)))
        residuals = y[None] - (q @ self.mu.T)[:, None, :]
        white = residuals @ invert_lower(L).transpose(0, 2, 1)
        quad = np.einsum("kng,kng->nk", white, white)
        return values_only(np.broadcast_to(log_determinant(L), quad.shape), quad)

    def pieces(self, q: Array, y: Array, phi: Array, *, order: int = 2) -> Pieces:
        """``log|V|`` and ``Q`` for every sample (`terms.Pieces`), derivatives up to ``order``."""
        L = cholesky(self.covariance(q, phi))
        logdet = log_determinant(L)
        if order == 1:
            return self._gradients(q, y - q @ self.mu.T, phi, inverse(L), logdet)
        if order == 0:
            white = solve_lower(L, y - q @ self.mu.T)
            return values_only(logdet, np.einsum("ng,ng->n", white, white))
        L_inverse = invert_lower(L)
        white = _matvec(L_inverse, y - q @ self.mu.T)
        quad = np.einsum("ng,ng->n", white, white)
        Theta = L_inverse.transpose(0, 2, 1) @ L_inverse
        u = _matvec(L_inverse.transpose(0, 2, 1), white)
        T = Theta[:, None] @ self.Sigma[None]  # Theta S_j, (n, J, G, G)
        trace_s = np.einsum("njgg->nj", T)
        s_u = np.einsum("ng,jgh->njh", u, self.Sigma, optimize=True)
        u_s_u = np.einsum("njg,ng->nj", s_u, u)
        counting = phi[:, None, None] * self.mu.T  # diagonal of the linear part, (n, J, G)
        T *= 2 * q[:, :, None, None]
        T += Theta[:, None] * counting[:, :, None, :]
        b_u = 2 * q[:, :, None] * s_u + counting * u[:, None, :]
        n, n_types = q.shape
        swapped = T.transpose(0, 1, 3, 2).reshape(n, n_types, -1)
        white_mu = L_inverse @ self.mu
        white_c = white_mu + L_inverse @ b_u.transpose(0, 2, 1)
        return assemble(
            Contractions(
                logdet=logdet,
                quad=quad,
                trace_b=np.einsum("njgg->nj", T),
                trace_bb=T.reshape(n, n_types, -1) @ swapped.transpose(0, 2, 1),
                trace_s=trace_s,
                mu_u=u @ self.mu,
                u_b_u=np.einsum("njg,ng->nj", b_u, u),
                u_s_u=u_s_u,
                cross=white_c.transpose(0, 2, 1) @ white_c,
                mean_information=white_mu.transpose(0, 2, 1) @ white_mu,
            )
        )

    def _gradients(self, q: Array, r: Array, phi: Array, Theta: Array, logdet: Array) -> Pieces:
        n_types, n_genes = self.Sigma.shape[:2]
        u = _matvec(Theta, r)
        s_u = (self.Sigma.reshape(-1, n_genes) @ u.T).reshape(n_types, n_genes, -1)
        u_s_u = np.einsum("jgn,ng->nj", s_u, u)
        trace_s = Theta.reshape(len(q), -1) @ self.Sigma.reshape(n_types, -1).T
        counting = phi[:, None]
        diagonal = np.diagonal(Theta, axis1=1, axis2=2)
        return with_gradients(
            logdet,
            np.einsum("ng,ng->n", r, u),
            trace_b=2 * q * trace_s + counting * (diagonal @ self.mu),
            mu_u=u @ self.mu,
            u_b_u=2 * q * u_s_u + counting * ((u * u) @ self.mu),
        )


def _matvec(matrices: Array, vectors: Array) -> Array:
    """``A_i v_i`` for every sample."""
    product: Array = (matrices @ vectors[:, :, None])[:, :, 0]
    return product
