r"""The factor form: likelihoods whose cost does not depend on the number of genes.

If every covariance shares one diagonal up to a scalar, ``Sigma_j = a_j D + U_j U_j'``, whiten by
``D^{-1/2}`` and factorise ``[mu, U_1..U_J] = Q C`` (k columns). With ``z = Q' D^{-1/2} y``,
``e2 = |D^{-1/2} y|^2 - |z|^2`` and ``s(q) = sum_j a_j q_j^2``,

.. math:: \log|V| = \log|s I_k + \sum_j q_j^2 C_j C_j^\top| + (G-k)\log s + \log|D|, \qquad
          Q = Q_k(z) + e_2 / s .

This is exact. After one pass over the data each evaluation costs O(J k^3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayesdecov.algebra.dense import Dense
from bayesdecov.algebra.terms import Array, Pieces, Term, add_diagonal, values_only


@dataclass(frozen=True)
class Compressed:
    """Result of `compress`: a `Dense` model in k dimensions and the part outside them."""

    core: Dense
    basis: Array  # Q' D^{-1/2}, (k, gene)
    inverse_root: Array  # D^{-1/2}, (gene,)
    multiplier: Array  # a_j, (cell_type,)
    n_genes: int

    def approximate_hessian(self) -> Compressed:
        """Nothing is left out."""
        return self

    @property
    def chunk(self) -> int:
        """How many samples are evaluated at once."""
        return self.core.chunk

    @property
    def logdet_diagonal(self) -> float:
        """``log|D|``."""
        return float(-2 * np.log(self.inverse_root).sum())

    def project(self, y: Array) -> Array:
        """Sufficient statistics ``(sample, k + 1)`` of bulks ``(sample, gene)``: z and e2."""
        z = y @ self.basis.T
        white = y * self.inverse_root
        left_over = np.einsum("ng,ng->n", white, white) - np.einsum("nk,nk->n", z, z)
        return np.column_stack([z, np.maximum(left_over, 0.0)])

    def scan(self, q: Array, y: Array, phi: float) -> Pieces:
        """Values at the shared points ``q`` for all projected bulks: (sample, point)."""
        inside = self.core.scan(q, y[:, :-1], phi)
        s = (q * q) @ self.multiplier
        logdet = inside.logdet.value + (self.n_genes - self.core.n_genes) * np.log(s)
        return values_only(logdet + self.logdet_diagonal, inside.quad.value + y[:, -1:] / s)

    def pieces(self, q: Array, y: Array, phi: Array, *, order: int = 2) -> Pieces:
        """``log|V|`` and ``Q`` from projected data ``y`` = `project` (bulk); ``phi`` must be 0."""
        inside = self.core.pieces(q, y[:, :-1], phi, order=order)
        outside = self.n_genes - self.core.n_genes
        s = (q * q) @ self.multiplier
        e2 = y[:, -1]
        logdet = inside.logdet.value + outside * np.log(s) + self.logdet_diagonal
        quad = inside.quad.value + e2 / s
        if order == 0:
            return inside._replace(
                logdet=inside.logdet._replace(value=logdet), quad=inside.quad._replace(value=quad)
            )
        slope = 2 * q * self.multiplier  # ds/dq
        log_gradient = inside.logdet.gradient + outside * slope / s[:, None]
        quad_gradient = inside.quad.gradient - slope * (e2 / s**2)[:, None]
        if order == 1:
            none = inside.information_mean
            return Pieces(
                Term(logdet, log_gradient, none), Term(quad, quad_gradient, none), none, none
            )
        outer = slope[:, :, None] * slope[:, None, :]
        s_, s__, e_ = s[:, None], s[:, None, None], e2[:, None]
        log_hessian = add_diagonal(-outer / s__**2, 2 * self.multiplier / s_)
        quad_hessian = add_diagonal(
            2 * outer * (e2 / s**3)[:, None, None], -2 * self.multiplier * e_ / s_**2
        )
        return Pieces(
            logdet=Term(
                logdet,
                log_gradient,
                inside.logdet.hessian + outside * log_hessian,
            ),
            quad=Term(
                quad,
                quad_gradient,
                inside.quad.hessian + quad_hessian,
            ),
            information_mean=inside.information_mean,
            information_covariance=inside.information_covariance + 0.5 * outside * outer / s__**2,
        )


def compress(mu: Array, D: Array, U: Array, owner: np.ndarray, multiplier: Array) -> Compressed:
    """Factor form of means ``mu`` (gene, cell_type), shared diagonal ``D`` (gene,), loadings ``U``.

    ``multiplier`` (cell_type,) holds the scalars ``a_j``. Raises ``ValueError`` where k would
    not be smaller than the number of genes, because then nothing is gained.
    """
    n_genes, n_types = mu.shape
    if n_types + U.shape[1] >= n_genes:
        raise ValueError("the factor form needs fewer columns than genes")
    root = 1 / np.sqrt(D)
    Q, C = np.linalg.qr(np.column_stack([mu, U]) * root[:, None])
    k = C.shape[0]
    Sigma = np.empty((n_types, k, k))
    for j in range(n_types):
        C_j = C[:, n_types:][:, owner == j]
        Sigma[j] = C_j @ C_j.T + multiplier[j] * np.eye(k)
    return Compressed(Dense(C[:, :n_types], Sigma), Q.T * root, root, multiplier, n_genes)
