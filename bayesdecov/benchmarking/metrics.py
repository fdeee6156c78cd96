r"""Errors of estimates and quality of intervals, for each cell type and overall.

``r`` and Lin's concordance ``ccc``, ``rmse``, ``mae``, ``bias`` (estimate - truth), and of the
intervals ``coverage``, ``width`` and the interval score of Gneiting and Raftery (2007, Eq. 43),

.. math:: (u - l) + \tfrac{2}{\alpha}(l - t)_+ + \tfrac{2}{\alpha}(t - u)_+,

which is smallest for narrow intervals that contain the truth. Coverage is computed for truths
inside (0, 1): equal-tailed intervals of a continuous posterior never contain 0 or 1.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayesdecov.algebra.terms import Array

ALL = "all"


def metrics(
    truth: pd.DataFrame, estimate: pd.DataFrame, low: Array, high: Array, *, prob: float = 0.95
) -> pd.DataFrame:
    """One row per cell type and one for all; a sample without an estimate counts as a guess.

    Its errors are those of equal proportions, so that a method gains nothing by leaving out
    difficult samples; correlations are over the other samples.

    Parameters
    ----------
    truth, estimate
        Samples x cell types.
    low, high
        Interval ends, the same shape; NaN where there is none.
    prob
        Nominal probability of the intervals.

    Returns
    -------
    pandas.DataFrame
        Indexed by cell type, "all" first. There ``r`` pools samples and cell types, ``r_types`` is
        the mean of r over cell types (0 if estimates do not vary but the truth does), and
        ``bias`` the mean of their absolute biases.
        ``intervals`` is the share of estimates with an interval.
    """
    t, x = truth.to_numpy(), estimate.to_numpy()
    known = np.isfinite(x)
    inside = np.isfinite(low) & np.isfinite(high) & known
    guess = 1 / x.shape[1]
    rows = {ALL: _row(t, x, low, high, known, inside, prob, guess)}
    for j, name in enumerate(truth.columns):
        rows[str(name)] = _row(
            t[:, j], x[:, j], low[:, j], high[:, j], known[:, j], inside[:, j], prob, guess
        )
    table = pd.DataFrame(rows).T.rename_axis("cell_type")
    of_types = table.iloc[1:]
    table["r_types"] = np.nan
    varies = np.ptp(t, axis=0) > 0
    if known.any():
        table.loc[ALL, "r_types"] = of_types["r"].fillna(0.0)[varies].mean()
    table.loc[ALL, "bias"] = of_types["bias"].abs().mean()
    return table


def _row(
    t: Array,
    x: Array,
    low: Array,
    high: Array,
    known: Array,
    inside: Array,
    prob: float,
    guess: float,
) -> dict[str, float]:
    found = {
        "samples": float(known.any(axis=1).sum() if known.ndim == 2 else known.sum()),
        "intervals": float(inside.mean()),
    }
    names = ("r", "ccc", "rmse", "mae", "bias", "negative", "coverage", "width", "interval_score")
    found |= dict.fromkeys(names, np.nan)
    if known.any():
        error = np.where(known, x, guess) - t
        found |= {
            "r": _correlation(t[known], x[known]),
            "ccc": _concordance(t[known], x[known]),
            "rmse": float(np.sqrt(np.mean(error**2))),
            "mae": float(np.mean(np.abs(error))),
            "bias": float(np.mean(error)),
            "negative": float(np.mean(x[known] < 0)),
        }
    if inside.any():
        a, b, at = low[inside], high[inside], t[inside]
        miss = np.maximum(a - at, 0) + np.maximum(at - b, 0)
        between = (at > 0) & (at < 1)
        found |= {
            "coverage": float(np.mean(miss[between] == 0)) if between.any() else np.nan,
            "width": float(np.mean(b - a)),
            "interval_score": float(np.mean(b - a + 2 / (1 - prob) * miss)),
        }
    return found


def _correlation(t: Array, x: Array) -> float:
    """Pearson's r; NaN if one of the two does not vary."""
    if len(t) < 2 or np.ptp(t) == 0 or np.ptp(x) == 0:
        return float("nan")
    return float(np.corrcoef(t, x)[0, 1])


def _concordance(t: Array, x: Array) -> float:
    """Lin's concordance correlation coefficient."""
    size = t.var() + x.var() + (t.mean() - x.mean()) ** 2
    return float(2 * np.mean((t - t.mean()) * (x - x.mean())) / size) if size > 0 else float("nan")
