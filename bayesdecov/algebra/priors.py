r"""Log-priors of the proportions, as functions of the free coordinates ``theta``.

Two families, both unchanged when the cell types are reordered:

* ``Dirichlet(alpha)``: :math:`\sum_j (\alpha_j - 1)\log p_j`, a density in *p*; expressed in theta
  (for Laplace and NUTS) the Jacobian adds one to every exponent.
* ``SoftmaxNormal(scale)``: centred log-ratios :math:`z_j = \log p_j - \overline{\log p}` are a
  zero-sum normal with standard deviation ``scale``; already a density in linear coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayesdecov.algebra.simplex import log_proportions
from bayesdecov.algebra.terms import Array, Term


@dataclass(frozen=True)
class Dirichlet:
    """Dirichlet prior with concentration ``alpha``.

    One number; or one per cell type, as a tuple in the order of the reference's cell types or,
    for `deconvolve`, as a mapping from cell type to number.
    """

    alpha: float | tuple[float, ...] | Mapping[str, float] = 1.0

    def log_prior(self, theta: Array, *, jacobian: bool, order: int = 2) -> Term:
        """Value and derivatives in theta; ``jacobian=True`` for the density of theta itself."""
        free = theta.shape[1]
        exponents = np.broadcast_to(np.asarray(self.alpha, float), (free + 1,)) - 1.0 + jacobian
        log_p = log_proportions(theta)
        p = np.exp(log_p)
        total = exponents.sum()
        gradient = exponents[:-1] - total * p[:, :-1]
        value = np.where(exponents == 0.0, 0.0, exponents * log_p).sum(1)
        if order == 1:
            return Term(value, gradient, np.empty(0))
        hessian = total * p[:, :-1, None] * p[:, None, :-1]
        index = np.arange(free)
        hessian[:, index, index] -= total * p[:, :-1]
        return Term(value, gradient, hessian)


@dataclass(frozen=True)
class SoftmaxNormal:
    """Zero-sum normal prior on the centred log-ratios, standard deviation ``scale``."""

    scale: float = 1.5

    def log_prior(self, theta: Array, *, jacobian: bool, order: int = 2) -> Term:
        """Value and derivatives in theta (linear coordinates, so ``jacobian`` changes nothing)."""
        n, free = theta.shape
        precision = (np.eye(free) - 1.0 / (free + 1)) / self.scale**2
        gradient = -theta @ precision
        value = 0.5 * np.einsum("nj,nj->n", theta, gradient)
        if order == 1:
            return Term(value, gradient, np.empty(0))
        return Term(value, gradient, np.broadcast_to(-precision, (n, free, free)).copy())


Prior = Dirichlet | SoftmaxNormal
FLAT = Dirichlet(1.0)
JEFFREYS = Dirichlet(0.5)  # of counts
