r"""Posterior draws of proportions and the prior that is in them, whatever they come from.

What uses them as a likelihood (a cohort's law, the mixed model's true proportions) weighs them by
one over that prior.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from bayesdecov.algebra.priors import Dirichlet, Prior, SoftmaxNormal
from bayesdecov.algebra.simplex import to_cells, to_mrna
from bayesdecov.algebra.terms import Array
from bayesdecov.deconvolution.result import Deconvolution
from bayesdecov.errors import InputError
from bayesdecov.foreign.extended import moved
from bayesdecov.results import Proportions

if TYPE_CHECKING:
    from bayesdecov.runs import Run

LEAST = 1e-12  # a draw's smallest proportion
_GATING = Dirichlet(0.5)


class Drawn(NamedTuple):
    """Draws (sample, draw, cell_type) with their prior; NaN where a sample has no posterior.

    ``prior`` is of the shares of mRNA where ``per_cell`` (mRNA of a cell of each type) is given,
    and None where it cannot be divided out (Eq. 8 of DeCovarT). It is in the draws as they were
    ``before`` these were moved for an uncertainty that is not the sample's own (None: they were
    not).
    """

    p: Array
    samples: pd.Index
    cell_types: pd.Index
    prior: Prior | None
    per_cell: Array | None
    quantity: str
    before: Array | None = None

    def log_prior(self, p: Array) -> Array:
        """Log prior density of log-ratios, up to a constant, over the last axis of ``p``."""
        log_p = np.log(np.maximum(p if self.per_cell is None else to_mrna(p, self.per_cell), LEAST))
        if isinstance(self.prior, Dirichlet):  # as a density of log-ratios: the Jacobian is in
            return np.asarray((log_p * np.asarray(self.prior.alpha, dtype=float)).sum(axis=-1))
        assert isinstance(self.prior, SoftmaxNormal)
        centred = log_p - log_p.mean(axis=-1, keepdims=True)
        return np.asarray(-0.5 * np.square(centred).sum(axis=-1) / self.prior.scale**2)


def drawn(source: Any) -> Drawn:
    """Draws of a fit, a gating or a run's folder."""
    return _of_folder(Path(source)) if isinstance(source, (str, Path)) else _of_fit(source)


def no_prior(argument: str) -> InputError:
    """What those say who have to divide the prior out."""
    return InputError(argument, "must have a prior that can be divided out", found="'decovart'",
                      fix="deconvolve with prior='flat'")  # fmt: skip


def _no_posterior(argument: str, method: str) -> InputError:
    return InputError(argument, "must have a posterior", found=f"method={method!r}",
                      fix="deconvolve with method 'laplace' or 'nuts'")  # fmt: skip


def _of_fit(fit: Proportions) -> Drawn:
    prior: Prior | None = _GATING
    per_cell = None
    if isinstance(fit, Deconvolution):
        if fit.draws is None:
            raise _no_posterior("fit", fit.method)
        prior = None  # a bootstrap has none
        if fit.law is not None:
            prior, per_cell = None if fit.law.paper else fit.law.prior, fit.law.per_cell
    if fit.draws is None:
        raise _no_posterior("fit", fit.method)
    table = fit.proportions
    before = None
    if isinstance(fit, Deconvolution) and fit.moved is not None:
        before = _unmoved(fit.draws.proportions, fit.moved, per_cell)
    return Drawn(fit.draws.pooled, table.index, table.columns, prior, per_cell, fit.quantity,
                 before)  # fmt: skip


def _unmoved(draws: Array, away: Array, per_cell: Array | None) -> Array:
    """Draws (sample, chain, draw, cell_type), pooled, as they were before `foreign.moved`."""
    p = draws if per_cell is None else to_mrna(draws, per_cell)
    p = moved(p, -away)
    if per_cell is not None:
        p = to_cells(p, per_cell)
    return p.reshape(len(p), -1, p.shape[-1])


def _of_folder(folder: Path) -> Drawn:
    from bayesdecov.runs import run_of, usable

    run = run_of(folder)
    with usable(run):
        return _of_run(run)


def _of_run(run: Run) -> Drawn:
    from bayesdecov.runs import EFFECTS, GATING

    if run.command == EFFECTS:
        raise InputError("run", "must hold proportions", found=f"a run of {run.command!r}")
    posterior = run.groups["posterior"]
    draws = posterior["proportions"].transpose("sample", "chain", "draw", "cell_type").to_numpy()
    if draws.shape[1] * draws.shape[2] < 2:
        raise _no_posterior("run", run.method)
    samples, cell_types = (pd.Index([str(name) for name in posterior[dim].to_numpy()])
                           for dim in ("sample", "cell_type"))  # fmt: skip
    prior: Prior | None = _GATING
    per_cell = None
    if run.command != GATING:
        prior, per_cell = _prior_of(run, cell_types)
    pooled = draws.reshape(len(samples), -1, len(cell_types))
    quantity = str(run.settings.get("quantity", "proportions"))
    before = None
    if "moved" in run.groups.get("fit", {}):
        away = run.groups["fit"]["moved"].transpose("replicate", "sample").to_numpy()
        before = _unmoved(draws, away, per_cell)
    return Drawn(pooled, samples, cell_types, prior, per_cell, quantity, before)


def _prior_of(run: Run, cell_types: pd.Index) -> tuple[Any, Array | None]:
    """The prior of a deconvolution, from its record."""
    name = str(run.settings.get("prior"))
    known: dict[str, Prior | None] = {
        "flat": Dirichlet(1.0), "normal": SoftmaxNormal(), "decovart": None, "none": None,
    }  # fmt: skip
    if name not in known:
        raise InputError("run", "must have a prior with a name (flat, normal)",
                         found=name, fix="use the Python function with the fit itself"
                         )  # fmt: skip
    weights = run.settings.get("mrna_per_cell")
    per_cell = None
    if isinstance(weights, dict):
        per_cell = np.array([float(weights[name]) for name in cell_types])
    return known[name], per_cell
