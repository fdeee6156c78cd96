r"""Posterior draws of proportions from any source, and the prior they include.

Analyses that use them as a likelihood (a cohort's distribution, the mixed model's true proportions)
weight them by one over that prior.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from bayesdecov.algebra.priors import Dirichlet, Prior, SoftmaxNormal
from bayesdecov.algebra.simplex import shift_log_ratios, to_cells, to_mrna
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError

LEAST = 1e-12  # a draw's smallest proportion


class PosteriorDraws(NamedTuple):
    """Draws (sample, draw, cell_type) with their prior; NaN where a sample has no posterior.

    ``prior`` is that of the fractions of mRNA where ``per_cell`` (mRNA per cell of each type) is
    given, and None where it is unknown or cannot be divided out (DeCovarT Eq. 8). ``unshifted`` are
    the draws that have this prior, where those of ``p`` were shifted for an uncertainty shared by
    samples, and ``shared`` (replicate, sample, cell_type) the shifts of log-proportions (None: they
    were not).
    """

    p: Array
    samples: pd.Index
    cell_types: pd.Index
    prior: Prior | None
    per_cell: Array | None
    quantity: str
    unshifted: Array | None = None
    shared: Array | None = None

    @property
    def own(self) -> Array:
        """Draws without what samples share of their uncertainty."""
        return self.p if self.unshifted is None else self.unshifted

    def log_prior(self, p: Array) -> Array:
        """Log prior density of log-ratios, up to a constant, over the last axis of ``p``."""
        log_p = np.log(np.maximum(p if self.per_cell is None else to_mrna(p, self.per_cell), LEAST))
        if isinstance(self.prior, Dirichlet):  # as a density of log-ratios: includes the Jacobian
            return np.asarray((log_p * np.asarray(self.prior.alpha, dtype=float)).sum(axis=-1))
        assert isinstance(self.prior, SoftmaxNormal)
        centred = log_p - log_p.mean(axis=-1, keepdims=True)
        return np.asarray(-0.5 * np.square(centred).sum(axis=-1) / self.prior.scale**2)


def before_shift(draws: Array, shift: Array | None, per_cell: Array | None) -> Array | None:
    """Pooled draws (sample, chain, draw, cell_type) as they were before `shift_log_ratios`."""
    if shift is None:
        return None
    p = draws if per_cell is None else to_mrna(draws, per_cell)
    p = shift_log_ratios(p, -shift)
    if per_cell is not None:
        p = to_cells(p, per_cell)
    return np.asarray(p.reshape(len(p), -1, p.shape[-1]))


def no_prior(argument: str) -> InputError:
    """The error of analyses that have to divide the prior out."""
    return InputError(
        argument,
        "must have a prior that can be divided out",
        found="'decovart'",
        fix="deconvolve with prior='flat'",
    )


def no_posterior(argument: str, method: str) -> InputError:
    """The error of analyses that need draws."""
    return InputError(
        argument,
        "must have a posterior",
        found=f"method={method!r}",
        fix="deconvolve with method 'laplace' or 'nuts'",
    )
