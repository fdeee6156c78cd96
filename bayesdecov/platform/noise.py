r"""The scatter of genes around a mixture, learned from the cohort.

.. math:: y_{gi} \sim t_\nu\big(f_{gi},\; \lambda_g V_{gi}\big), \qquad
   V_{gi} = c^2 f_{gi}^2 + \varphi_i f_{gi} + b^2 + \textstyle\sum_j q_{ij}^2 \sigma_{gj}^2 .

``c`` is the scatter that grows with expression (donors, platforms), ``phi`` counting, ``b`` a
floor, :math:`\sigma^2` what the reference's replicates show. :math:`\lambda_g` is a gene's own
noise, moderated as in limma (`algebra.moderation`). Heavy tails are weights ``u`` of an iteratively
reweighted fit; they belong to the multiplicative share of the variance only: counting noise is
skewed, and a t that takes a single count for an outlier pulls rare genes to zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.stats import t as student

from bayesdecov.algebra.counting import RESOLUTION, counting_variance
from bayesdecov.algebra.moderation import SMALLEST, moderated, variance_prior
from bayesdecov.algebra.terms import Array

DEGREES = (2.5, 4.0, 7.0, 15.0, 60.0)
_STEPS = 6  # of L-BFGS in a round
_ENOUGH = 3  # samples from which a gene's own noise can be seen
_SCALE_STEPS = 20
_LEAST_SCATTER = 1e-6  # c2 of bulks without any error
MULTIPLICATIVE = 0.5  # share of the variance above which a residual tells of the tails


class Law(NamedTuple):
    """``c2``, ``phi`` (where it has to be learned) and ``b2`` in units of the data; ``nu``."""

    c2: float
    phi: float
    b2: float
    nu: float


class Noise(NamedTuple):
    """The law, the genes' own factors and the weights of residuals (sample, gene)."""

    law: Law
    gene: Array
    weights: Array


class Residuals(NamedTuple):
    """What the noise is learned from: all (sample, gene).

    ``mean`` is the fit, ``residual`` the data less it, ``uncertain`` the posterior variance of the
    fit, ``structure`` what the reference says of the variance; ``phi`` (sample,) is the counting
    noise where it is known, else None.
    """

    mean: Array
    residual: Array
    uncertain: Array
    structure: Array | float
    phi: Array | None


def first_law(mean: float) -> Law:
    """Where to start, for data of this mean."""
    return Law(0.09, 1e-2 * mean, 1e-4 * mean**2, DEGREES[0])


def variance(law: Law, mean: Array, structure: Array | float, phi: Array | None) -> Array:
    """``V`` (sample, gene), without the genes' own factors."""
    unit = np.full(len(mean), law.phi) if phi is None else phi
    return np.asarray(law.c2 * mean**2 + counting_variance(unit, mean) + law.b2 + structure)


def share_with_tails(law: Law, fitted: Residuals, V: Array, *, counts: bool) -> Array:
    """The multiplicative part of ``V``; all of it where nothing was counted (means of samples)."""
    if not counts:
        return np.ones_like(V)
    return np.asarray((law.c2 * fitted.mean**2 + fitted.structure) / V)


def renew(noise: Noise, fitted: Residuals, *, genes: bool = True, counts: bool = True) -> Noise:
    """The noise given a fit: the law, then the genes' own factors, then tails and weights.

    ``genes=False`` gives all genes one variance; ``counts=False`` (means of samples, with a
    ``phi`` of zero) gives all residuals tails.
    """
    law = _law(noise, fitted)
    V = variance(law, fitted.mean, fitted.structure, fitted.phi)
    square = fitted.residual**2
    gene = noise.gene
    if genes and len(square) >= _ENOUGH:
        gene = _own(noise.weights * (square + fitted.uncertain) / V)
    scaled = square / (gene * V)
    share = share_with_tails(law, fitted, V, counts=counts)
    nu, scale = heaviness(scaled[share > MULTIPLICATIVE])
    law = law._replace(nu=nu, c2=max(law.c2 * scale, _LEAST_SCATTER))
    return Noise(law, gene, tails(nu, scaled / scale, share))


def tails(nu: float, scaled: Array, share: Array) -> Array:
    """Weights of residuals from their scaled squares and the multiplicative share of variance."""
    return np.asarray(1 + share * ((nu + 1) / (nu + scaled) - 1))


def weights_of(law: Law, gene: Array, fitted: Residuals, *, counts: bool) -> Array:
    """Weights of residuals where the law and the genes' own noise are known."""
    V = variance(law, fitted.mean, fitted.structure, fitted.phi)
    share = share_with_tails(law, fitted, V, counts=counts)
    return tails(law.nu, fitted.residual**2 / (gene * V), share)


def _law(noise: Noise, fitted: Residuals) -> Law:
    """A few steps towards the highest restricted likelihood of c, phi and b."""
    law, mean, gene = noise.law, fitted.mean, noise.gene
    learned = fitted.phi is None
    square = noise.weights * (fitted.residual**2 + fitted.uncertain)
    scale = float(mean.mean())
    bounds = [(1e-4, 25.0), (1e-9 * scale**2, scale**2)]
    start = [law.c2, law.b2]
    if learned:
        bounds.append((1e-7 * scale, 10 * scale))
        start.append(law.phi)

    def minus(x: Array) -> tuple[float, Array]:
        c2, b2, *rest = np.exp(x)
        now = Law(c2, rest[0] if learned else law.phi, b2, law.nu)
        V = gene * variance(now, mean, fitted.structure, fitted.phi)
        slope = 0.5 * gene * (1 - square / V) / V
        gradient = [c2 * np.vdot(slope, mean**2), b2 * slope.sum()]
        if learned:
            gradient.append(rest[0] * (slope * (mean + 2 * RESOLUTION * rest[0])).sum())
        return 0.5 * float((np.log(V) + square / V).sum()), np.array(gradient)

    limits = np.log(bounds)
    found = minimize(
        minus, np.clip(np.log(start), *limits.T), jac=True, method="L-BFGS-B", bounds=limits,
        options={"maxiter": _STEPS},
    ).x  # fmt: skip
    c2, b2, *rest = np.exp(found)
    return Law(float(c2), float(rest[0]) if learned else law.phi, float(b2), law.nu)


def _own(ratios: Array) -> Array:
    """Each gene's variance over what the law expects, moderated; geometric mean 1."""
    variances, df = ratios.mean(axis=0), len(ratios)
    variances = np.maximum(variances, SMALLEST * np.median(variances))
    own = moderated(variances, df, variance_prior(variances, df))
    return np.asarray(own / np.exp(np.log(own).mean()))


def heaviness(square: Array) -> tuple[float, float]:
    """Degrees of freedom and scale (squared) of the t that fits scaled residuals, given squared.

    Both at once: where the scale is that of a normal, outliers have made it so large that no tail
    is seen any more.
    """
    best = (-np.inf, DEGREES[-1], 1.0)
    for nu in DEGREES if len(square) else ():
        scale = float(np.median(square)) + 1e-12
        for _ in range(_SCALE_STEPS):
            scale = float((square * (nu + 1) / (nu + square / scale)).mean())
        each = student.logpdf(np.sqrt(square / scale), nu) - 0.5 * np.log(scale)
        best = max(best, (float(each.sum()), nu, scale))
    return best[1:]
