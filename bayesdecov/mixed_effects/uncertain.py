r"""Measured proportions and the covariance of their errors, from any supported source.

A posterior is converted to a likelihood: mean and covariance of its draws, weighted by the inverse
of the prior density under which they were drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayesdecov import checks
from bayesdecov.algebra.simplex import moves_of_shifts
from bayesdecov.algebra.terms import Array
from bayesdecov.errors import InputError, Notes
from bayesdecov.io.tables import expression_frame
from bayesdecov.mixed_effects.prepare import sample_table
from bayesdecov.results.posterior_draws import LEAST, PosteriorDraws
from bayesdecov.results.proportions import Proportions
from bayesdecov.results.run import EFFECTS, Run, posterior_draws_of, run_of

_FEWEST = 50  # effective draws below which the prior is not removed
_WHOLE = 1e-9
_LARGEST = 1.0  # largest standard error of a fraction


class Uncertain(NamedTuple):
    """Samples x cell types, whether errors are stated, and their covariances if requested.

    ``covariance`` is (sample, cell_type, cell_type). ``least`` is the smallest allowed ratio of
    true to stated errors. It is 1 for a posterior, which may come from the same expression and
    would then appear to agree with it. ``shared`` (replicate, sample, cell_type) are errors that
    all samples have in common, which ``covariance`` does not include.
    """

    table: pd.DataFrame
    stated: bool
    covariance: Array | None = None
    least: float = 1.0
    shared: Array | None = None

    def moves(self, cells: pd.DataFrame) -> Array | None:
        """Shared errors in the order of ``cells``."""
        if self.shared is None:
            return None
        rows = self.table.index.get_indexer(cells.index)
        return self.shared[:, rows][:, :, self.table.columns.get_indexer(cells.columns)]

    def aligned(self, cells: pd.DataFrame) -> Array:
        """Covariances in the order of ``cells``; for proportions with sum 1, errors add up to 0."""
        assert self.covariance is not None
        rows = self.table.index.get_indexer(cells.index)
        columns = self.table.columns.get_indexer(cells.columns)
        found = self.covariance[rows][:, columns][:, :, columns]
        if np.abs(cells.to_numpy().sum(axis=1) - 1).max() < _WHOLE:
            found = np.stack([_closed(each) for each in found])
        if not found.any():
            raise InputError(
                "proportions",
                "must have nonzero errors for method='joint'",
                found="only standard errors of 0",
                fix="use method='mixture'",
            )
        return np.asarray(found)


def uncertain(proportions: Any, standard_errors: Any, notes: Notes, *, needed: bool) -> Uncertain:
    """Read proportions, and the covariance of their errors if ``needed``.

    Parameters
    ----------
    proportions
        A result of `deconvolve` or `gate`, a run's folder, an ArviZ container with ``proportions``
        in its posterior, a table, or a pair of a table and its standard errors.
    standard_errors
        A table of the same form as the proportions, or one number for all.
    """
    if isinstance(proportions, tuple) and len(proportions) == 2 and standard_errors is None:
        proportions, standard_errors = proportions
    folder = isinstance(proportions, (str, Path)) and Path(proportions).is_dir()
    if isinstance(proportions, Proportions) or folder or _is_container(proportions):
        if standard_errors is not None:
            raise InputError(
                "standard_errors",
                "must only be given for a table of proportions: a posterior has its own",
                fix="leave it out",
            )
        return _of_posterior(proportions, notes, needed)
    if isinstance(getattr(proportions, "proportions", None), pd.DataFrame):
        proportions = proportions.proportions
    table = sample_table(expression_frame(proportions, "proportions"), "proportions")
    if standard_errors is None:
        return Uncertain(table, False)
    errors = _errors(standard_errors, table)
    covariance = np.square(errors)[:, :, None] * np.eye(errors.shape[1])
    return Uncertain(table, True, covariance, least=0.0)


def _is_container(value: Any) -> bool:
    """Whether this is ArviZ's InferenceData or DataTree."""
    groups = getattr(value, "groups", ())
    return "posterior" in getattr(value, "children", groups() if callable(groups) else ())


def _errors(given: Any, table: pd.DataFrame) -> Array:
    """Standard errors of all proportions of a table."""
    rule = "must be a number, or a table with the samples and cell types of the proportions"
    if isinstance(given, (int, float, np.number)) and not isinstance(given, bool):
        if not np.isfinite(given):
            raise InputError("standard_errors", "must be a number", found=repr(given))
        return _fractions(np.full(table.shape, float(given)))
    frame = expression_frame(given, "standard_errors")
    if not isinstance(frame, pd.DataFrame):
        raise InputError("standard_errors", rule, found=type(given).__name__)
    frame = checks.check_numeric(sample_table(frame, "standard_errors"), "standard_errors")
    lost = [*table.index.difference(frame.index), *table.columns.difference(frame.columns)]
    if lost:
        raise InputError("standard_errors", rule, found=f"none for {checks.some(lost)}")
    values = frame.loc[table.index, table.columns].to_numpy()
    return _fractions(values)


def _fractions(values: Array) -> Array:
    if (values < 0).any():
        raise InputError("standard_errors", "must not be negative", found=f"{values.min():g}")
    if values.max() > _LARGEST:
        raise InputError(
            "standard_errors",
            "must be those of fractions between 0 and 1",
            found=f"values up to {values.max():g}",
            fix="divide percentages by 100",
        )
    return np.asarray(values)


def _of_posterior(source: Any, notes: Notes, needed: bool) -> Uncertain:
    if isinstance(source, Proportions) and (source.draws is None or not needed):
        table = sample_table(source.proportions, "proportions")
        stated = source.draws is not None or source.covariance is not None
        if not needed or source.covariance is None:
            return Uncertain(table, stated)
        own = _positive(source.covariance - source.shared_covariance())
        return Uncertain(table, stated, own, shared=source.shared_moves())
    if isinstance(source, (str, Path)):
        run = _run(Path(source))
        if not (run.sampled and needed):
            table = sample_table(run.tables["proportions"], "proportions")
            return Uncertain(table, states(run), None if run.sampled else _wald(run, table))
    found = _draws_of(source)
    p, shared = found.own, found.shared
    known = np.isfinite(p).all(axis=(1, 2))
    if not known.all():
        notes.warn(
            f"{int((~known).sum())} samples without a posterior were left out: "
            f"{checks.some(found.samples[~known])}"
        )
        p = p[known]
        shared = None if shared is None else shared[:, known]
    if not len(p):
        raise InputError("proportions", "must have a posterior for some sample", found="none")
    weights = _weights(found, p, notes)
    mean = np.einsum("sd,sdk->sk", weights, p)
    off = p - mean[:, None]
    covariance = np.einsum("sd,sdk,sdl->skl", weights, off, off, optimize=True)
    table = pd.DataFrame(mean, found.samples[known], found.cell_types)
    if shared is not None:
        shared = moves_of_shifts(np.maximum(mean, LEAST), shared)
    return Uncertain(sample_table(table, "proportions"), True, covariance, shared=shared)


def _positive(covariance: Array) -> Array:
    """The nearest covariances to differences of two (of cells, they are first-order ones)."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.maximum(values, 0.0)[:, None]) @ vectors.transpose(0, 2, 1))


def states(source: Any) -> bool:
    """Whether the folder of a run has uncertainty: draws, or sds in its intervals."""
    run = source if hasattr(source, "tables") else _run(Path(source))
    return run.sampled or bool(run.tables["intervals"]["sd"].notna().all())


def _wald(run: Run, table: pd.DataFrame) -> Array | None:
    """Covariances from the intervals of a run without draws."""
    if not states(run):
        return None
    intervals = run.tables["intervals"]
    shared = intervals.get("shared", 0.0)
    own = intervals.assign(own=np.maximum(intervals["sd"] ** 2 - shared**2, 0.0))
    variance = own.pivot(index="sample", columns="cell_type", values="own")
    variance = sample_table(variance, "proportions").loc[table.index, table.columns]
    return np.asarray(variance.to_numpy()[:, :, None] * np.eye(variance.shape[1]))


def _run(folder: Path) -> Run:
    run = run_of(folder)
    if run.command == EFFECTS:
        raise InputError(
            "proportions",
            "must be the folder of a run of deconvolve or gate",
            found=f"a run of {run.command!r}",
        )
    return run


def _draws_of(source: Any) -> PosteriorDraws:
    if isinstance(source, (str, Path)):
        return posterior_draws_of(source)
    return source.posterior_draws() if isinstance(source, Proportions) else _of_container(source)


def _of_container(source: Any) -> PosteriorDraws:
    """Draws from an ArviZ container of any model."""
    from bayesdecov._arviz import dataset

    posterior = dataset(source["posterior"])
    dims = ("sample", "chain", "draw", "cell_type")
    if "proportions" not in posterior or set(posterior["proportions"].dims) != set(dims):
        raise InputError(
            "proportions",
            "in an ArviZ container must be the variable 'proportions' of its "
            "posterior, with dims chain, draw, sample and cell_type",
            found=f"variables {checks.some(posterior.data_vars)}",
        )
    values = posterior["proportions"].transpose(*dims).to_numpy()
    samples, cell_types = (
        pd.Index([str(name) for name in posterior[dim].to_numpy()])
        for dim in ("sample", "cell_type")
    )
    pooled = values.reshape(len(samples), -1, len(cell_types))
    return PosteriorDraws(pooled, samples, cell_types, None, None, "proportions")


def _weights(found: PosteriorDraws, p: Array, notes: Notes) -> Array:
    """Weights of the draws that remove the prior, (sample, draw)."""
    n, count, _ = p.shape
    even = np.full((n, count), 1.0 / count)
    if found.prior is None:
        notes.info("the prior of the proportions' posterior is unknown and was not removed")
        return even
    # density of proportions, not of log-ratios
    log_prior = found.log_prior(p) - np.log(np.maximum(p, LEAST)).sum(axis=2)
    weights = np.exp(log_prior.min(axis=1, keepdims=True) - log_prior)
    weights /= weights.sum(axis=1, keepdims=True)
    thin = 1 / np.square(weights).sum(axis=1) < _FEWEST
    if thin.any():
        notes.info(
            f"the prior was not removed in {int(thin.sum())} samples, because too few effective "
            "draws would remain"
        )
    return np.where(thin[:, None], even, weights)


def _closed(covariance: Array) -> Array:
    """Covariance of errors that add up to 0, with the given variances or larger ones.

    Independent normal errors with variances ``w``, conditioned on a sum of 0, have variances
    ``w - w^2 / sum(w)``. These cannot contain one error larger than all others together; the
    others are then increased.
    """
    wanted, k = np.diag(covariance), len(covariance)
    if np.abs(covariance.sum(axis=1)).max() <= 1e-6 * max(wanted.max(), 1e-300):
        return covariance
    if np.abs(covariance - np.diag(wanted)).max() > 0:
        P = np.eye(k) - 1.0 / k
        return np.asarray(P @ covariance @ P)
    w = np.maximum(wanted, 1e-4 * wanted.max())
    for _ in range(500):
        w = np.maximum(wanted, 1e-4 * wanted.max()) / np.maximum(1.0 - w / w.sum(), 0.05)
    found = np.diag(w) - np.outer(w, w) / w.sum()
    return np.asarray(found * max(1.0, float((wanted / np.diag(found)).max())))
