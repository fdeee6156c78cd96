r"""The likelihood of a design shared by all genes, as a function of the design.

With :math:`y_g = Xb_g + \varepsilon_g`, :math:`b_g \sim N(\beta, \Psi)` and noise
:math:`\sigma^2(W^\top W)^{-1}`, the likelihood of all ``m`` genes, maximised over
:math:`\beta, \Psi` and :math:`\sigma^2`, has a closed form. In whitened terms
:math:`\tilde X = WX`, :math:`\tilde Y = YW^\top`, with the Gram matrix :math:`G = \tilde Y^\top
\tilde Y` of the samples and its centred form :math:`G_c = G - m\bar y\bar y^\top`,

.. math:: f(X) = -\tfrac m2 \log|\tilde X^\top G_c\tilde X| + \tfrac m2 \log|\tilde X^\top\tilde X|
          - \tfrac{m(n-L)}2 \log \mathrm{RSS}(\tilde X) .

It depends on the space that the columns of ``X`` span only, and genes enter through ``G`` (n, n):
its value, gradient and Hessian cost the same for 500 and for 60,000 genes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayesdecov.algebra.terms import Array


class Moments(NamedTuple):
    """Sufficient statistics of the genes: Gram matrix (n, n) and sum (n,) of whitened genes.

    ``power`` accounts for correlated genes: their effective number over their actual number.
    """

    gram: Array
    total: Array
    genes: int
    whitener: Array  # W
    power: float = 1.0

    @property
    def centred(self) -> Array:
        """The Gram matrix of deviations from the mean over genes."""
        return self.gram - np.outer(self.total, self.total) / self.genes


class Subspace(NamedTuple):
    """Value and gradient (sample, column) at a design, and the parts of its Hessian."""

    value: float
    gradient: Array
    X: Array  # whitened
    V: Array  # (X'X)^-1
    onto: Array  # X^+
    left: Array  # residual projector
    left_gram: Array  # its product with the Gram matrix
    rss: float
    df: float
    spread: Array  # G_c X (X'G_cX)^-1
    precision: Array  # (X'G_cX)^-1

    @property
    def sigma2(self) -> float:
        """The residual variance."""
        return self.rss / self.df


def moments(Y: Array, whitener: Array, power: float = 1.0) -> Moments:
    """Statistics of genes ``Y`` (gene, sample)."""
    white = Y @ whitener.T
    return Moments(white.T @ white, white.sum(axis=0), len(Y), whitener, power)


def subspace(X: Array, seen: Moments) -> Subspace:
    """Value and gradient at the design ``X`` (sample, column) of full rank."""
    n, n_columns = X.shape
    m, G, Gc = seen.genes, seen.gram, seen.centred
    X = seen.whitener @ X
    V = np.linalg.inv(X.T @ X)
    onto = V @ X.T
    left = np.eye(n) - X @ onto
    left_gram = left @ G
    rss, df = float(np.trace(left_gram)), float(m * (n - n_columns))
    GX = Gc @ X
    precision = np.linalg.inv(X.T @ GX)
    spread = GX @ precision
    value = 0.5 * m * (np.linalg.slogdet(precision)[1] - np.linalg.slogdet(V)[1])
    value -= 0.5 * df * np.log(rss)
    gradient = m * (onto.T - spread) + (df / rss) * left_gram @ onto.T
    return Subspace(
        float(value),
        seen.whitener.T @ gradient,
        X,
        V,
        onto,
        left,
        left_gram,
        rss,
        df,
        spread,
        precision,
    )


def subspace_hessian(at: Subspace, seen: Moments, lifts: Array) -> Array:
    """Second derivatives in latent coordinates, (n d, n d), sample by sample.

    ``lifts`` (sample, column, d): a step ``u_i`` in sample ``i`` moves its row of ``X`` by
    ``lifts[i] @ u_i``.
    """
    n, n_columns, d = lifts.shape
    m, W = seen.genes, seen.whitener
    flat = lifts.transpose(1, 0, 2).reshape(n_columns, n * d)

    def even(S: Array, M: Array) -> Array:
        """``sum_ij S_ij dx_i' M dx_j``."""
        blocks = (flat.T @ M @ flat).reshape(n, d, n, d)
        return np.asarray(blocks * (W.T @ S @ W)[:, None, :, None])

    def crossed(P: Array, Q: Array) -> Array:
        """``sum_ij (dx_i . P_j)(dx_j . Q_i)``."""
        left = (flat.T @ (P @ W)).reshape(n, d, n)
        right = (flat.T @ (Q @ W)).reshape(n, d, n)
        return np.asarray(left[:, :, :, None] * right.transpose(2, 0, 1)[:, None])

    gram_b = at.onto @ seen.gram @ at.onto.T
    residual = at.left_gram @ at.left
    of_rss = even(at.left, gram_b) - even(residual, at.V)
    of_rss += 2 * crossed(at.onto, at.onto @ at.left_gram.T)
    slope = np.einsum("ia,iad->id", W.T @ at.left_gram @ at.onto.T, lifts).ravel()
    total = -(at.df / at.rss) * of_rss
    T = at.spread.T
    total -= m * (
        even(seen.centred - at.spread @ (at.X.T @ seen.centred), at.precision) - crossed(T, T)
    )
    total += m * (even(at.left, at.V) - crossed(at.onto, at.onto))
    H = total.reshape(n * d, n * d)
    H = 0.5 * (H + H.T)
    H += np.outer(slope, slope) * (2 * at.df / at.rss**2)
    return np.asarray(H)
