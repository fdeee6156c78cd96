"""Linear nu-support-vector regression."""

from __future__ import annotations

import numpy as np
from sklearn.svm import NuSVR

from bayesdecov.algebra.terms import Array
from bayesdecov.baselines.answer import Answer, Baseline

NUS = (0.25, 0.5, 0.75)


def nusvr(mu: Array, y: Array, variance: Array) -> Answer:
    """Regress every standardised sample on the standardised signature, for three nu.

    The nu whose fit with its non-negative, normalised coefficients has the smallest root mean
    squared error is chosen. Facts: ``nu``, and ``fit_correlation``, the statistic of `p_values`.
    """
    X = (mu - mu.mean()) / mu.std()
    best = [_best(X, row) for row in y]
    return Answer(
        np.array([coefficients for coefficients, _, _ in best]),
        facts={
            "nu": np.array([nu for _, nu, _ in best]),
            "fit_correlation": np.array([r for _, _, r in best]),
        },
    )


def _best(X: Array, row: Array) -> tuple[Array, float, float]:
    """Coefficients, nu and correlation of the best of the three fits."""
    y = (row - row.mean()) / row.std()
    found = []
    for nu in NUS:
        model = NuSVR(kernel="linear", nu=nu, C=1.0).fit(X, y)
        coefficients = np.maximum(model.coef_.ravel(), 0.0)
        total = coefficients.sum()
        fitted = X @ (coefficients / total if total > 0 else coefficients)
        error = float(np.sqrt(np.mean((y - fitted) ** 2)))
        r = float(np.corrcoef(y, fitted)[0, 1]) if fitted.std() > 0 else 0.0
        found.append((error, nu, coefficients, r))
    _, nu, coefficients, r = min(found, key=lambda one: one[0])
    return coefficients, nu, r


def p_values(mu: Array, y: Array, rng: np.random.Generator, permutations: int = 100) -> Array:
    """Share of random mixtures that the signature fits as well as each sample, (sample,).

    A random mixture draws its genes' values from all values of the samples, with replacement.
    """
    X = (mu - mu.mean()) / mu.std()
    null = [_best(X, rng.choice(y.ravel(), mu.shape[0]))[2] for _ in range(permutations)]
    own = nusvr(mu, y, np.zeros_like(mu)).facts["fit_correlation"]
    return np.array([(1 + np.sum(np.array(null) >= r)) / (1 + permutations) for r in own])


BASELINE = Baseline(
    name="nusvr",
    title="nu-support-vector regression, best of three nu (CIBERSORT, Newman et al. 2015)",
    doi="10.1038/nmeth.3337",
    scale="linear",
    returns="fractions of the known cell types",
    estimate=nusvr,
)
