"""The two ways in which covariances are stored, and the densities they give."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra.compressed import compress
from bayesdecov.algebra.dense import Dense
from bayesdecov.algebra.density import Density
from bayesdecov.algebra.lowrank import LowRank
from bayesdecov.algebra.terms import Array

_NOISE_FLOOR = 0.01  # biology left after subtracting the counting noise, as a share of that noise


@dataclass(frozen=True)
class DenseCovariance:
    """A full matrix for each cell type, ``Sigma`` (cell_type, gene, gene)."""

    Sigma: Array

    def matrix(self, j: int) -> Array:
        """Covariance of cell type ``j`` (gene, gene)."""
        matrix: Array = self.Sigma[j]
        return matrix

    def variances(self) -> Array:
        """Variances (gene, cell_type)."""
        return np.einsum("jgg->gj", self.Sigma)

    def take(self, genes: NDArray[np.intp]) -> DenseCovariance:
        """Marginal covariance of some genes."""
        return DenseCovariance(self.Sigma[:, genes[:, None], genes[None, :]])

    def scaled(self, factors: Array) -> DenseCovariance:
        """Every gene times its factor (gene,)."""
        return DenseCovariance(np.ascontiguousarray(self.Sigma * factors[:, None] * factors))

    def without_type(self, j: int) -> DenseCovariance:
        """All cell types but number ``j``."""
        return DenseCovariance(np.delete(self.Sigma, j, axis=0))

    def extended(self, of_genes: Array, of_type: Array) -> DenseCovariance:
        """With independent genes of variances ``of_genes`` (gene, cell_type), then one more type.

        ``of_type`` (gene,) are its variances on all genes.
        """
        n, n_types, more = self.Sigma.shape[1], len(self.Sigma), len(of_genes)
        Sigma = np.zeros((n_types + 1, n + more, n + more))
        Sigma[:-1, :n, :n] = self.Sigma
        new = np.arange(n, n + more)
        Sigma[:-1, new, new] = of_genes.T
        Sigma[-1] = np.diag(of_type)
        return DenseCovariance(Sigma)

    def without_noise(self, noise: Array) -> DenseCovariance:
        r"""Subtract independent noise variances (gene, cell_type), keeping positive definiteness.

        In units of the noise the total covariance is biology + I; eigenvalues below one are
        sampling error, so :math:`\max(\lambda - 1, 0.01)` is kept.
        """
        result = np.empty_like(self.Sigma)
        for j, Sigma in enumerate(self.Sigma):
            root = np.sqrt(noise[:, j])
            values, vectors = np.linalg.eigh(Sigma / np.outer(root, root))
            kept = np.maximum(values - 1.0, _NOISE_FLOOR)
            result[j] = (vectors * kept) @ vectors.T * np.outer(root, root)
        return DenseCovariance(result)

    def combined(
        self, weights: Array, other: DenseCovariance, other_weights: Array
    ) -> DenseCovariance:
        """``w_j Sigma_j + v_j Sigma'_j`` for each cell type."""
        return DenseCovariance(
            weights[:, None, None] * self.Sigma + other_weights[:, None, None] * other.Sigma
        )

    def draw(self, q: Array, rng: np.random.Generator) -> Array:
        """Draws of a normal with covariance ``sum_j q_j^2 Sigma_j``, (draw, gene)."""
        total = np.zeros((len(q), self.Sigma.shape[1]))
        for j, Sigma in enumerate(self.Sigma):
            values, vectors = np.linalg.eigh(Sigma)
            root = vectors * np.sqrt(np.maximum(values, 0.0))
            total += (q[:, [j]] * rng.standard_normal(total.shape)) @ root.T
        return total

    def density(self, mu: Array, *, counting: bool) -> Density:
        """The convolution density with means ``mu`` (gene, cell_type)."""
        return Dense(mu, self.Sigma)


@dataclass(frozen=True)
class FactorCovariance:
    """``Sigma_j = diag(D_j) + U_j U_j'``: diagonals (gene, cell_type), loadings and their owners.

    ``multiplier`` (cell_type,) is given where all diagonals are multiples of a common one,
    ``D_j = multiplier_j D``: then the likelihood does not depend on the number of genes.
    """

    D: Array
    U: Array
    owner: NDArray[np.intp]
    multiplier: Array | None = None

    def matrix(self, j: int) -> Array:
        """Covariance of cell type ``j`` (gene, gene)."""
        loadings = self.U[:, self.owner == j]
        matrix: Array = np.diag(self.D[:, j]) + loadings @ loadings.T
        return matrix

    def variances(self) -> Array:
        """Variances (gene, cell_type)."""
        groups = np.equal.outer(self.owner, np.arange(self.D.shape[1])).astype(float)
        return self.D + (self.U**2) @ groups

    def take(self, genes: NDArray[np.intp]) -> FactorCovariance:
        """Marginal covariance of some genes."""
        return replace(self, D=self.D[genes], U=self.U[genes])

    def scaled(self, factors: Array) -> FactorCovariance:
        """Every gene times its factor (gene,)."""
        of_gene = factors[:, None]
        D, U = self.D * of_gene**2, self.U * of_gene
        return replace(self, D=np.ascontiguousarray(D), U=np.ascontiguousarray(U), multiplier=None)

    def without_type(self, j: int) -> FactorCovariance:
        """All cell types but number ``j``."""
        kept = self.owner != j
        owner = self.owner[kept]
        multiplier = None if self.multiplier is None else np.delete(self.multiplier, j)
        return FactorCovariance(
            np.delete(self.D, j, axis=1), self.U[:, kept], owner - (owner > j), multiplier
        )

    def extended(self, of_genes: Array, of_type: Array) -> FactorCovariance:
        """With independent genes of variances ``of_genes`` (gene, cell_type), then one more type.

        ``of_type`` (gene,) are its variances on all genes.
        """
        loadings = np.zeros((len(of_genes), self.U.shape[1]))
        return FactorCovariance(
            D=np.column_stack([np.vstack([self.D, of_genes]), of_type]),
            U=np.vstack([self.U, loadings]),
            owner=self.owner,
        )

    def without_noise(self, noise: Array) -> FactorCovariance:
        """Subtract independent noise variances (gene, cell_type) from the diagonal."""
        return replace(self, D=np.maximum(self.D - noise, _NOISE_FLOOR * noise), multiplier=None)

    def combined(
        self, weights: Array, other: FactorCovariance, other_weights: Array
    ) -> FactorCovariance:
        """``w_j Sigma_j + v_j Sigma'_j`` where both share the loadings ``U``."""
        multiplier = None
        if self.multiplier is not None and other.multiplier is not None:
            multiplier = weights * self.multiplier + other_weights * other.multiplier
        return FactorCovariance(
            D=weights * self.D + other_weights * other.D,
            U=self.U * np.sqrt(weights + other_weights)[self.owner],
            owner=self.owner,
            multiplier=multiplier,
        )

    def draw(self, q: Array, rng: np.random.Generator) -> Array:
        """Draws of a normal with covariance ``sum_j q_j^2 Sigma_j``, (draw, gene)."""
        loaded = (q[:, self.owner] * rng.standard_normal((len(q), self.U.shape[1]))) @ self.U.T
        spread = np.sqrt((q * q) @ self.D.T)
        return np.asarray(loaded + spread * rng.standard_normal(spread.shape))

    def density(self, mu: Array, *, counting: bool) -> Density:
        """The convolution density; the compressed form wherever it is exact and smaller."""
        fits = mu.shape[1] + self.U.shape[1] < mu.shape[0]
        if self.multiplier is not None and fits and not counting:
            shared = self.D[:, 0] / self.multiplier[0]
            return compress(mu, shared, self.U, self.owner, self.multiplier)
        if self.U.shape[1] >= mu.shape[0] // 2 > 0:  # as many factors as genes: no longer cheaper
            return Dense(mu, np.stack([self.matrix(j) for j in range(mu.shape[1])]))
        return LowRank(mu, self.D, self.U, self.owner)


Covariance = DenseCovariance | FactorCovariance
