r"""Information on each sample's proportions: draws of log-ratios and their prior.

Draws of a posterior in isometric log-ratios, weighted by the inverse of their prior density,
represent the likelihood, which is then combined with the prior of a cohort.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.algebra.simplex import log_ratio_basis
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError, Notes
from bayesdecov.results.posterior_draws import LEAST, PosteriorDraws, no_prior
from bayesdecov.results.proportions import Proportions
from bayesdecov.results.run import posterior_draws_of

REST = "rest"
_ROUNDING = 1e-6  # draws that add up to less than 1 by more than this have a rest
_PRINTED = 0.02  # a table's sums may be this far from 1 by rounding
_LEAST_REST = 0.001  # smallest rest that counts as a part
_PERCENT = 1.5  # sums above this are percentages
_DRAWS, _FEWER = 1000, 250  # draws used per sample, and for many samples
_FLOATS = 100_000  # samples x draws


class Measured(NamedTuple):
    """Draws of the log-ratios ``z`` (sample, draw, d) and their log prior density (sample, draw).

    A single draw is a value treated as exact. ``shared`` (replicate, sample, d) are errors of the
    log-ratios that samples have in common, which are not in ``z``.
    """

    samples: pd.Index
    cell_types: pd.Index
    z: Array
    log_prior: Array
    quantity: str
    shared: Array | None = None

    def rows(self, chosen: Array) -> Measured:
        """A subset of the samples."""
        return self._replace(
            samples=self.samples[chosen],
            z=self.z[chosen],
            log_prior=self.log_prior[chosen],
            shared=None if self.shared is None else self.shared[:, chosen],
        )


def measured(source: Any, notes: Notes) -> Measured:
    """Draws of a fit, a gating or a run's folder; a table is treated as exact."""
    if isinstance(source, (str, Path)):
        return _of_draws(posterior_draws_of(source), "run", notes)
    if isinstance(source, Proportions):
        return _of_draws(source.posterior_draws(), "fit", notes)
    if isinstance(source, pd.DataFrame):
        return _of_table(source, notes)
    raise InputError(
        "fit",
        "must be a result of deconvolve or gate, a run's folder or a table (samples x cell types)",
        found=type(source).__name__,
    )


def _of_draws(source: PosteriorDraws, argument: str, notes: Notes) -> Measured:
    if source.prior is None:
        raise no_prior(argument)
    samples, cell_types = source.samples, source.cell_types
    p, shared = source.own, source.shared
    known = np.isfinite(p).all(axis=(1, 2))
    if not known.all():
        notes.warn(
            f"{int((~known).sum())} samples without a posterior were left out: "
            f"{checks.some(samples[~known])}"
        )
        p, samples = p[known], samples[known]
        shared = None if shared is None else shared[:, known]
    if not len(p):
        raise InputError("fit", "must have a posterior for some sample", found="none")
    most = int(np.clip(_FLOATS // len(p), _FEWER, _DRAWS))
    kept = np.unique(np.linspace(0, p.shape[1] - 1, most).astype(int))
    p = p[:, kept]
    n_types = p.shape[2]
    log_prior = source.log_prior(p)
    p, cell_types = _closed(p, cell_types, notes)
    V = log_ratio_basis(p.shape[2])
    z = np.log(np.maximum(p, LEAST)) @ V
    names = pd.Index([str(name) for name in cell_types])
    return Measured(
        pd.Index([str(name) for name in samples]),
        names,
        z,
        log_prior,
        source.quantity,
        None if shared is None else shared @ V[:n_types],
    )


def _of_table(table: pd.DataFrame, notes: Notes) -> Measured:
    frame = checks.check_numeric(table, "proportions")
    checks.check_unique(frame.index, "proportions", "sample")
    values = frame.to_numpy()
    if not (values > 0).all():
        row, column = np.argwhere(values <= 0)[0]
        raise InputError(
            "proportions",
            "must be positive in a table, which is treated as exact",
            found=f"{values[row, column]:g} for sample {frame.index[row]!r}, cell type "
            f"{frame.columns[column]!r}",
            fix="give a result of deconvolve or gate, which has uncertainty",
        )
    notes.warn("a table of proportions has no errors: the proportions are treated as exact")
    values, cell_types = _whole(frame, notes)
    z = (np.log(values) @ log_ratio_basis(len(cell_types)))[:, None]
    return Measured(frame.index, cell_types, z, np.zeros(z.shape[:2]), "proportions")


def _whole(frame: pd.DataFrame, notes: Notes) -> tuple[Array, pd.Index]:
    """Parts that add up to 1: scaled if they differ by rounding only, otherwise with a rest."""
    values = frame.to_numpy()
    total = values.sum(axis=1, keepdims=True)
    if total.max() <= 100 * (1 + _PRINTED) and np.median(total) > _PERCENT:
        notes.info("proportions look like percentages and were divided by 100")
        values, total = values / 100, total / 100
    if np.abs(total - 1).max() <= _PRINTED:
        return values / total, frame.columns
    if total.max() > 1 - _LEAST_REST:
        row = int(total.argmax() if total.max() > 1 + _PRINTED else np.abs(total - 1).argmin())
        raise InputError(
            "proportions",
            "must add up to 1 in all samples, or to clearly less than 1 in all",
            found=f"{total.min():.4g} to {total.max():.4g}, the latter in {frame.index[row]!r}",
            fix="divide counts by their total, or add the missing cell types as a column",
        )
    notes.info(f"proportions add up to less than 1: the remainder is the part {REST!r}")
    return np.hstack([values, 1 - total]), frame.columns.append(pd.Index([REST]))


def _closed(p: Array, cell_types: pd.Index, notes: Notes) -> tuple[Array, pd.Index]:
    """Parts that add up to 1: with a rest, or scaled if types overlap."""
    total = p.sum(axis=2, keepdims=True)
    if total.max() <= 1 + _ROUNDING:
        if total.min() >= 1 - _ROUNDING:
            return p, cell_types
        notes.info(f"proportions add up to less than 1: the remainder is the part {REST!r}")
        return (
            np.concatenate([p, np.maximum(1 - total, LEAST)], axis=2),
            cell_types.append(pd.Index([REST])),
        )
    notes.warn("proportions add up to more than 1 (types overlap) and were scaled to 1")
    return p / total, cell_types
