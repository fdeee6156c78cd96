"""Interface of every covariance structure, and evaluation in chunks to bound memory."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from bayesdecov.algebra.terms import Array, Pieces, Term


class Density(Protocol):
    """A convolution density: `dense.Dense`, `lowrank.LowRank` or `compressed.Compressed`."""

    @property
    def n_genes(self) -> int:
        """Number of genes G."""

    @property
    def chunk(self) -> int:
        """How many samples are evaluated at once."""

    def approximate_hessian(self) -> Density:
        """The same density for optimisation: its Hessian may omit terms of little weight."""

    def project(self, y: Array) -> Array:
        """The data that the density needs from bulks ``y`` (sample, gene)."""

    def pieces(self, q: Array, y: Array, phi: Array, *, order: int = 2) -> Pieces:
        """``log|V|`` and ``Q`` for every sample, derivatives up to ``order``."""

    def scan(self, q: Array, y: Array, phi: float) -> Pieces:
        """``log|V|`` and ``Q`` at shared points, (sample, point)."""


def evaluate(density: Density, q: Array, y: Array, phi: Array, *, order: int = 2) -> Pieces:
    """`Density.pieces` for any number of samples."""
    n, chunk = len(q), density.chunk
    if n <= chunk:
        return density.pieces(q, y, phi, order=order)
    parts = [
        density.pieces(q[i : i + chunk], y[i : i + chunk], phi[i : i + chunk], order=order)
        for i in range(0, n, chunk)
    ]

    def joined(terms: list[Term]) -> Term:
        return Term(*(np.concatenate(field) for field in zip(*terms, strict=True)))

    return Pieces(
        logdet=joined([part.logdet for part in parts]),
        quad=joined([part.quad for part in parts]),
        information_mean=np.concatenate([part.information_mean for part in parts]),
        information_covariance=np.concatenate([part.information_covariance for part in parts]),
    )
