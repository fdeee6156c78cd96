"""Non-negative least squares on the genes that are not outliers."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls as scipy_nnls

from bayesdecov.algebra.terms import Array
from bayesdecov.baselines.answer import Answer, Baseline

_CUTS = np.arange(2.0, 11.0)  # times the median absolute residual
_ROUNDS = 50


def fardeep(mu: Array, y: Array, variance: Array) -> Answer:
    r"""Trim genes with large residuals and solve again, until the set of genes is stable.

    A gene is an outlier where its residual exceeds :math:`k` times the median absolute residual.
    :math:`k` is chosen for every sample by a criterion that counts each outlier as a parameter,
    :math:`n\log(\mathrm{RSS}/n) + (J + n_{out} + 1)(\log n + 1)`, from 2 to 10 (at 1 half of the
    genes would go). The published algorithm also bounds how many genes one step may remove or
    restore; here steps are repeated until nothing changes. Fact: ``outliers``.
    """
    found = [_adaptive(mu, row) for row in y]
    return Answer(
        np.array([coefficients for coefficients, _ in found]),
        facts={"outliers": np.array([float(count) for _, count in found])},
    )


def _adaptive(mu: Array, row: Array) -> tuple[Array, int]:
    n, n_types = mu.shape
    best, answer = np.inf, (np.zeros(n_types), 0)
    for cut in _CUTS:
        kept = np.ones(n, dtype=bool)
        for _ in range(_ROUNDS):
            coefficients = scipy_nnls(mu[kept], row[kept])[0]
            size = np.abs(row - mu @ coefficients)
            again = size <= cut * np.median(size)
            if again.sum() <= n_types or (again == kept).all():
                break
            kept = again
        count = int(kept.sum())
        rss = float(((row[kept] - mu[kept] @ coefficients) ** 2).sum())
        penalty = (n_types + n - count + 1) * (np.log(count) + 1)
        score = count * np.log(max(rss, 1e-300) / count) + penalty
        if score < best:
            best, answer = score, (coefficients, n - count)
    return answer


BASELINE = Baseline(
    name="fardeep",
    title="Adaptive least trimmed squares with non-negative coefficients (FARDEEP, Hao et al. "
    "2019)",
    doi="10.1371/journal.pcbi.1006976",
    scale="linear",
    returns="fractions of the known cell types",
    estimate=fardeep,
)
