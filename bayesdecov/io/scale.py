"""The scale of a table: counts, per million, another linear unit, or logarithms.

DeCovarT sums profiles, so it needs the linear scale. The rules are simple and stated in the
result; a wrong guess can be overridden (``assume_linear=True``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from bayesdecov.errors import InputError, Notes

_ENOUGH_GENES = 20  # the scale of smaller tables cannot be recognised


class Scale(NamedTuple):
    """``kind`` is "counts", "per million", "linear" or "log"; ``reason`` says why."""

    kind: str
    reason: str


def detect_scale(table: pd.DataFrame) -> Scale:
    """Guess the scale of a non-negative genes x samples table.

    * per million: every column sums to a million within 1 % (also after rounding);
    * counts: all whole numbers, in a table of at least 20 genes;
    * log: at least 20 genes, nothing above 30, fractions present, and a flat top: the largest value
      is less than 10 times the 90 % quantile of the positive ones (on the linear scale the few
      highest genes exceed that by far more);
    * linear: everything else.
    """
    values = table.to_numpy()
    largest = float(values.max())
    whole = bool(np.all(values == np.round(values)))
    enough = table.shape[0] >= _ENOUGH_GENES
    totals = values.sum(axis=0)
    if np.all(np.abs(totals / 1e6 - 1) < 0.01):
        return Scale("per million", "columns add up to one million")
    if whole and enough:
        return Scale("counts", f"whole numbers up to {largest:.0f}")
    positive = values[values > 0]
    if enough and not whole and largest <= 30 and len(positive):
        ratio = largest / float(np.quantile(positive, 0.9))
        if ratio < 10:
            return Scale(
                "log", f"no value above {largest:.1f}, {ratio:.1f} times the 90 % quantile"
            )
    return Scale("linear", f"values up to {largest:.4g}")


def require_linear(scale: Scale, argument: str, notes: Notes, *, assume_linear: bool) -> Scale:
    """Refuse logarithms unless the user overrides this, which is recorded."""
    if scale.kind != "log":
        return scale
    if assume_linear:
        notes.warn(f"{argument}: looks like logarithms ({scale.reason}) but was treated as linear")
        return Scale("linear", "assumed")
    raise InputError(
        argument,
        "expression must be on the linear scale (counts, CPM or TPM)",
        found=f"values that look like logarithms: {scale.reason}",
        fix="undo the logarithm (for log2(x + 1): 2**table - 1), or override this check with "
        "assume_linear=True (--assume-linear)",
    )


def per_million(
    counts: pd.DataFrame, genes: pd.Index | None = None
) -> tuple[pd.DataFrame, pd.Series]:
    """Counts per million of the total over ``genes`` (default: all), and that total per column."""
    totals = (counts if genes is None else counts.loc[genes]).sum(axis=0)
    return counts * (1e6 / totals), totals


def counting_unit(table: pd.DataFrame) -> pd.Series:
    """The value of one count in each column of a table that was normalised from counts.

    The candidate is the smallest gap between two different values; it is accepted if all values
    below a thousand counts are whole multiples of it (to 1 % of a count, at least 20 different
    ones). Otherwise the result is NaN, also for a power of ten, which is attributed to rounding.
    """
    units = {}
    for name, column in table.items():
        different = np.unique(np.append(column.to_numpy(), 0.0))
        gaps = np.diff(different)
        gaps = gaps[gaps > 1e-9 * different[-1]]  # rounding also causes gaps
        units[name] = np.nan
        if len(gaps) < 20:
            continue
        multiples = different / gaps.min()
        multiples = multiples[multiples < 1e3]
        digits = np.log10(gaps.min())
        rounded = abs(digits - round(digits)) < 1e-3  # 0.001 is a number of digits, not a count
        whole = np.abs(multiples - np.round(multiples)).max() < 1e-2
        if len(multiples) > 20 and whole and not rounded:
            units[name] = float(gaps.min())
    return pd.Series(units, dtype=float)
