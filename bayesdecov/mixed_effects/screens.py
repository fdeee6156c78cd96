r"""Which effects have a minority of differentially expressed genes: tests of normality.

Genes without differential expression have normal random effects, so an effect with non-normal
standardised values should be trimmed. ``shapiro`` is the test in the paper's text, ``mixture`` and
``anderson`` those of its R program (mixtures of one to three normals by BIC, and Anderson-Darling).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr
from scipy.stats import shapiro

from bayesdecov.algebra.terms import Array

SCREENS = ("mixture", "anderson", "shapiro")
_BINS = 256
_MANY = 4 * _BINS  # more genes than this are binned
_TOLERANCE = 1e-5  # relative change of the log-likelihood
_LONGEST = 500
_THIN = 1e-8  # smallest variance of a component, relative to the total variance
_FARTHEST_P = 3.7e-24  # p-value beyond the range of the approximation
_SHAPIRO_LIMIT = 5000  # largest sample for which the p-value is approximated well


class Screened(NamedTuple):
    """Flag of each effect, and the evidence: p-values or numbers of normal components."""

    flagged: NDArray[np.bool_]
    evidence: Array
    what: str


def screen(x: Array, test: str, *, level: float = 0.05, correct: bool = True) -> Screened:
    """Flag the columns of ``x`` (gene, effect) that are not normal.

    ``correct`` divides ``level`` by the number of effects (Bonferroni); BIC needs no level.
    """
    if test == "mixture":
        components = mixture_components(x)
        return Screened(components > 1, components.astype(float), "normal components by BIC")
    p = anderson_p(x) if test == "anderson" else shapiro_p(x)
    limit = level / x.shape[1] if correct else level
    name = "Anderson-Darling" if test == "anderson" else "Shapiro-Wilk"
    return Screened(p < limit, p, f"{name} p-value, flagged below {limit:.3g}")


def shapiro_p(x: Array) -> Array:
    """Shapiro-Wilk per column; above 5,000 genes from evenly spaced order statistics."""
    if len(x) > _SHAPIRO_LIMIT:
        rows = np.round(np.linspace(0, len(x) - 1, _SHAPIRO_LIMIT)).astype(int)
        x = np.sort(x, axis=0)[rows]
    return np.array([shapiro(column).pvalue for column in x.T])


def anderson_p(x: Array) -> Array:
    """Anderson-Darling per column, with estimated mean and variance.

    P-values by the four curves of Stephens (in D'Agostino and Stephens 1986, Table 4.9).
    """
    m = len(x)
    z = (np.sort(x, axis=0) - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    odd = (2 * np.arange(1, m + 1) - 1)[:, None]
    A = -m - (odd * (log_ndtr(z) + log_ndtr(-z[::-1]))).mean(axis=0)
    A *= 1 + 0.75 / m + 2.25 / m**2
    with np.errstate(over="ignore"):
        curves = [
            1 - np.exp(-13.436 + 101.14 * A - 223.73 * A**2),
            1 - np.exp(-8.318 + 42.796 * A - 59.938 * A**2),
            np.exp(0.9177 - 4.279 * A - 1.38 * A**2),
            np.exp(1.2937 - 5.709 * A + 0.0186 * A**2),
        ]
    p = np.select([A < 0.2, A < 0.34, A < 0.6, A < 10], curves, _FARTHEST_P)
    return np.asarray(np.where(np.isfinite(A), p, 0.0))


class _Points(NamedTuple):
    """Values with their counts and the variance within each bin, (point, effect)."""

    x: Array
    weight: Array
    within: Array


def mixture_components(x: Array, largest: int = 3) -> NDArray[np.int64]:
    """Number of normal components (unequal variances) with the best BIC, per column.

    EM starts from equal shares of the sorted values; large numbers of genes are binned for EM,
    keeping the mean and variance of each bin, and the BIC is computed from all genes.
    """
    m, k = x.shape
    points = _bin(x) if m > _MANY else _Points(x, np.ones_like(x), np.zeros_like(x))
    total = x.var(axis=0)
    best = -m * (np.log(2 * np.pi * total) + 1) - 2 * np.log(m)
    chosen = np.ones(k, dtype=np.int64)
    for components in range(2, largest + 1):
        normals = _fit(points, x, components)
        fine = (normals.variance > _THIN * total).all(axis=0)
        bic = np.full(k, -np.inf)
        density = _log_density(x[:, fine], normals.take(fine))
        bic[fine] = 2 * np.logaddexp.reduce(density, axis=0).sum(axis=0)
        bic -= (3 * components - 1) * np.log(m)
        chosen = np.where(bic > best, components, chosen)
        best = np.maximum(best, bic)
    return chosen


def _bin(x: Array) -> _Points:
    k = x.shape[1]
    low, high = x.min(axis=0), x.max(axis=0)
    width = np.where(high > low, high - low, 1.0) / _BINS
    cell = np.minimum(((x - low) / width).astype(np.intp), _BINS - 1) + np.arange(k) * _BINS
    cell = cell.ravel()
    count = np.bincount(cell, minlength=k * _BINS).astype(float)
    filled = np.maximum(count, 1.0)
    mean = np.bincount(cell, x.ravel(), minlength=k * _BINS) / filled
    square = np.bincount(cell, np.square(x.ravel() - mean[cell]), minlength=k * _BINS) / filled
    shape = (k, _BINS)
    return _Points(mean.reshape(shape).T, count.reshape(shape).T, square.reshape(shape).T)


class _Normals(NamedTuple):
    """Mixtures of normals, one per effect; fields are (component, effect)."""

    mean: Array
    variance: Array
    share: Array

    def take(self, columns: NDArray[Any]) -> _Normals:
        return _Normals(*(field[:, columns] for field in self))


def _fit(points: _Points, x: Array, components: int) -> _Normals:
    """EM for all columns, each with its own stop; arrays are (component, point, effect)."""
    k = x.shape[1]
    cuts = np.quantile(x, np.linspace(0, 1, components + 1)[1:-1], axis=0)  # (cut, effect)
    group = (points.x > cuts[:, None]).sum(axis=0)
    z = (group == np.arange(components)[:, None, None]).astype(float)
    fitted = _Normals(*np.ones((3, components, k)))
    active, last = np.arange(k), np.full(k, -np.inf)
    now = points
    for _ in range(_LONGEST):
        normals = _maximise(now, z)
        for field, value in zip(fitted, normals, strict=True):
            field[:, active] = value
        density = _log_density(now.x, normals)
        top = density.max(axis=0)
        z = np.exp(density - top)
        mass = z.sum(axis=0)
        z /= mass
        value = (now.weight * (top + np.log(mass))).sum(axis=0)
        going = np.abs(value - last[active]) >= _TOLERANCE * (1 + np.abs(value))
        last[active] = value
        if not going.all():
            active, z = active[going], z[:, :, going]
            now = _Points(*(part[:, going] for part in now))
        if not len(active):
            break
    return fitted


def _maximise(points: _Points, z: Array) -> _Normals:
    weight = points.weight * z
    mass = np.maximum(weight.sum(axis=1), 1e-300)
    mean = (weight * points.x).sum(axis=1) / mass
    spread = np.square(points.x - mean[:, None]) + points.within
    return _Normals(mean, (weight * spread).sum(axis=1) / mass, mass / mass.sum(axis=0))


def _log_density(x: Array, normals: _Normals) -> Array:
    """Log of share times normal density, (component, point, effect)."""
    largest = normals.variance.max(axis=0)
    variance = np.maximum(normals.variance, 1e-12 * largest)
    constant = np.log(np.maximum(normals.share, 1e-300)) - 0.5 * np.log(2 * np.pi * variance)
    return constant[:, None] - 0.5 * np.square(x - normals.mean[:, None]) / variance[:, None]
