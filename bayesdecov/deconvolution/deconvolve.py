"""The verb: bulk table and reference in, proportions with intervals out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

import bayesdecov
from bayesdecov import checks
from bayesdecov.algebra.priors import Prior
from bayesdecov.algebra.terms import Array
from bayesdecov.baselines import BASELINES
from bayesdecov.deconvolution.fit import Estimates, maximum_a_posteriori
from bayesdecov.deconvolution.laplace import Posterior, laplace
from bayesdecov.deconvolution.problem import Problem, prepare
from bayesdecov.errors import InputError, Notes
from bayesdecov.io.tables import expression_frame
from bayesdecov.progress import track
from bayesdecov.reference.reference import Reference
from bayesdecov.results import Deconvolution

METHODS = ("map", "laplace", *BASELINES)
_SHARD_FLOATS = 50_000  # samples x genes of one shard; never depends on n_jobs


def deconvolve(
    bulk: Any,
    reference: Any,
    method: str = "map",
    prior: str | Prior = "flat",
    noise: str = "auto",
    seed: Any = None,
    n_jobs: int = 1,
    *,
    size_factor: str = "auto",
    df: float | str | None = "auto",
    draws: int = 1000,
    mrna_per_cell: Any = None,
    assume_linear: bool = False,
    progress: bool = False,
) -> Deconvolution:
    r"""Estimate the cell-type proportions of bulk samples.

    The model is DeCovarT's (arXiv:2309.09557, Eq. 7) with technical noise,

    .. math:: y_i \sim N\big(s_i\mu p_i,\; s_i^2 \textstyle\sum_j p_{ij}^2
              (\Sigma_j + \Sigma_j / n_j) + \varphi_i\,\mathrm{diag}(s_i\mu p_i)\big).

    Parameters
    ----------
    bulk
        Expression, genes x samples, linear scale: a DataFrame, an AnnData (samples in obs) or the
        path of a table. Genes are matched by name.
    reference
        A `Reference`, the path of a saved one, or a signature table (genes x cell types).
    method
        "map": the maximum of likelihood times prior by Levenberg-Marquardt; with ``prior="flat"``
        the MLE. "laplace": a normal approximation of the posterior, with draws. Baselines: "nnls",
        "simplex".
    prior
        "flat": Dirichlet(1). "decovart": the paper's Eq. 8, the likelihood times
        :math:`|V|^{-1/2}`, needed to reproduce the paper; it pulls proportions together.
        "normal": softmax of a zero-sum normal. Or a `Dirichlet` / `SoftmaxNormal` of
        `bayesdecov.algebra.priors`.
    noise
        "none": all variability is biology, the paper's law. "counting": adds the counting noise of
        the bulk, :math:`\varphi_i` per unit of mean expression, and takes the replicates' own off
        their covariance; phi is 1e6 / library size for counts, and estimated where it is unknown.
        "auto": "counting" where phi is known, otherwise "none".
    seed
        None, an int or a Generator, for the draws. Results do not depend on ``n_jobs``.
    n_jobs
        Parallel workers through joblib.
    size_factor
        "fixed": :math:`s_i = 1`. "free": estimated per sample. "auto": fixed where bulk and
        reference are known to be on one scale (both per million over the same genes, or exact
        moments), otherwise free.
    df
        Degrees of freedom of the per-sample scale that turns the normal into a multivariate t;
        None for the normal. "auto": None for exact moments, 4 for estimated references.
    draws
        Posterior draws per sample (``method="laplace"``).
    mrna_per_cell
        Amount of mRNA per cell of each type (Series or dict, any unit): turns fractions of mRNA
        into fractions of cells.
    assume_linear
        Take the bulk as linear although it looks like logarithms.
    progress
        Show a progress bar.

    Returns
    -------
    Deconvolution
        ``.proportions``, ``.intervals(prob)``, ``.diagnostics``, ``.to_inference_data()``. The
        diagnostics hold, per sample: ``converged``, ``iterations``, ``rdm`` (relative distance to
        maximum), ``log_likelihood``, ``rmse`` and ``correlation`` between the bulk and its fit,
        ``misfit`` (Mahalanobis distance / number of genes; 1 is expected), ``modes`` (distinct
        maxima found), ``at_zero`` (cell types estimated as absent), ``size_factor``,
        ``counting_noise``.

    Raises
    ------
    InputError
        Says which argument, the rule, what was found and what to do.

    Examples
    --------
    >>> import bayesdecov as bd
    >>> cohort = bd.simulate.convolution(n_samples=4, n_genes=60, n_types=3, seed=1)
    >>> reference = bd.Reference.from_samples(cohort.purified, cohort.labels)
    >>> fit = bd.deconvolve(cohort.bulk, reference, method="laplace", seed=1)
    >>> fit.proportions.shape, list(fit.intervals().columns)
    ((4, 3), ['sample', 'cell_type', 'mean', 'sd', 'low', 'high'])
    """
    started = time.perf_counter()
    if method == "nuts":
        raise InputError(
            "method", "'nuts' is not available in this version",
            fix="use 'laplace' for posterior draws, or sample fit.to_pymc() with pymc.sample",
        )  # fmt: skip
    checks.choice(method, METHODS, "method")
    draws = checks.whole(draws, "draws", at_least=2)
    rng = checks.generator(seed)
    n_jobs = _n_jobs(n_jobs)
    notes = Notes()
    problem = prepare(
        expression_frame(bulk, "bulk"),
        _reference(reference, assume_linear),
        prior=prior,
        noise=noise,
        size_factor=size_factor,
        df=df,
        assume_linear=assume_linear,
        notes=notes,
    )
    per_cell = _mrna_per_cell(mrna_per_cell, problem.reference.cell_types)
    stream = int(rng.integers(2**62))
    shards = _run(problem, method, draws, stream, n_jobs, progress)
    output = _collect(shards)
    return _result(problem, output, method, prior, per_cell, {
        "method": method, "prior": str(prior), "noise": problem.noise,
        "size_factor": "free" if problem.free_size else "fixed",
        "df": "none" if problem.df is None else problem.df,
        "draws": draws if method == "laplace" else 0,
        "seed": repr(seed), "n_jobs": n_jobs, "assume_linear": assume_linear,
        "scale": problem.scale, "alignment": str(problem.alignment),
        "bayesdecov": bayesdecov.__version__,
        "seconds": round(time.perf_counter() - started, 3),
    })  # fmt: skip


class _Output(NamedTuple):
    """One shard: estimates, and draws where the method has them."""

    estimates: Estimates
    posterior: Posterior | None


def _run(
    problem: Problem, method: str, draws: int, stream: int, n_jobs: int, progress: bool
) -> list[_Output]:
    """All shards, in order."""
    n, size = len(problem.y), max(32, min(4096, _SHARD_FLOATS // problem.y.shape[1]))
    tasks = [(start, min(start + size, n)) for start in range(0, n, size)]
    jobs = (
        joblib.delayed(_fit_shard)(problem.rows(start, stop), method, draws, stream, start)
        for start, stop in tasks
    )
    if n_jobs == 1 or len(tasks) == 1:
        results = (function(*args, **kwargs) for function, args, kwargs in jobs)
    else:
        results = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
    sizes = [stop - start for start, stop in tasks]
    return list(track(results, sizes, "Deconvolving", show=progress, unit="samples"))


def _fit_shard(problem: Problem, method: str, draws: int, stream: int, first: int) -> _Output:
    """Fit some samples; one BLAS thread, so that sums do not depend on the number of workers."""
    with threadpool_limits(limits=1, user_api="blas"):
        if method == "laplace":
            rngs = [np.random.default_rng([stream, first + i]) for i in range(len(problem.y))]
            posterior = laplace(problem, draws, rngs)
            return _Output(posterior.estimates, posterior)
        if method == "map":
            return _Output(maximum_a_posteriori(problem), None)
        return _Output(_baseline(problem, method), None)


def _baseline(problem: Problem, method: str) -> Estimates:
    """A baseline's coefficients, normalised; no likelihood, no uncertainty."""
    coefficients = BASELINES[method].estimate(problem.mu, problem.y)
    total = coefficients.sum(axis=1)
    n, n_types = coefficients.shape
    failed = ~(total > 0)
    p = np.where(failed[:, None], np.nan, coefficients / np.where(failed, 1.0, total)[:, None])
    missing = np.full(n, np.nan)
    return Estimates(
        p=p,
        size=total * problem.unit,
        covariance=np.full((n, n_types, n_types), np.nan),
        log_likelihood=missing,
        quad=missing,
        iterations=np.zeros(n, dtype=np.int64),
        rdm=missing,
        converged=~failed,
        modes=np.ones(n, dtype=np.int64),
        phi=missing,
    )


def _collect(shards: list[_Output]) -> _Output:
    """One output from all shards."""
    estimates = Estimates(
        *(np.concatenate(field) for field in zip(*(s.estimates for s in shards), strict=True))
    )
    posteriors = [shard.posterior for shard in shards if shard.posterior is not None]
    if not posteriors:
        return _Output(estimates, None)
    fields = [np.concatenate(field) for field in list(zip(*posteriors, strict=True))[1:]]
    return _Output(estimates, Posterior(estimates, *fields))


def _result(
    problem: Problem,
    output: _Output,
    method: str,
    prior: str | Prior,
    per_cell: Array | None,
    settings: dict[str, Any],
) -> Deconvolution:
    """Labels, diagnostics and warnings around the arrays."""
    estimates, posterior = output
    samples, cell_types = problem.samples, problem.reference.cell_types
    notes = problem.notes
    diagnostics = _diagnostics(problem, estimates, method)
    failed = samples[~estimates.converged]
    if len(failed):
        notes.warn(f"{len(failed)} of {len(samples)} samples did not converge: "
                   f"{checks.some(failed)}")  # fmt: skip
    if (estimates.modes > 1).any():
        many = samples[estimates.modes > 1]
        notes.info(
            f"{len(many)} samples have several maxima; the highest is reported: {checks.some(many)}"
        )
    if posterior is not None and posterior.expected_information.any():
        flagged = samples[posterior.expected_information]
        notes.warn(f"Laplace used the expected information for {checks.some(flagged)}")
    p, covariance = estimates.p, estimates.covariance
    draws = None if posterior is None else posterior.draws
    quantity = {"counts": "mRNA fractions", "per million": "mRNA fractions"}.get(
        problem.reference.scale, "fractions of the reference's units"
    )
    if per_cell is not None:
        quantity = "cell fractions"
        covariance = _cell_covariance(p, covariance, per_cell)
        p = _to_cells(p, per_cell)
        if draws is not None:
            draws = _to_cells(draws, per_cell)
            p = draws.mean(axis=1)
    extra: dict[str, Any] = {"free_size": problem.free_size, "df": problem.df,
                             "prior": problem.prior if prior != "decovart" else "decovart",
                             "unit": problem.unit}  # fmt: skip
    if posterior is not None:
        extra |= {"mode": posterior.mode, "mode_covariance": posterior.mode_covariance}
    return Deconvolution(
        proportions=pd.DataFrame(p, samples.rename("sample"), cell_types.rename(None)),
        diagnostics=diagnostics,
        method=method,
        prior=str(prior) if method in ("map", "laplace") else "none",
        noise=problem.noise if method in ("map", "laplace") else "none",
        quantity=quantity,
        settings=settings,
        notes=tuple(notes.lines),
        reference=problem.reference,
        bulk=pd.DataFrame(problem.y.T, problem.reference.genes, samples),
        covariance=covariance if method in ("map", "laplace") else None,
        draws=draws,
        size_draws=None if posterior is None else posterior.size_draws,
        extra=extra,
    )


def _diagnostics(problem: Problem, estimates: Estimates, method: str) -> pd.DataFrame:
    """One row per sample (columns: see `deconvolve`)."""
    size = estimates.size / problem.unit
    fitted = (size[:, None] * estimates.p) @ problem.mu.T
    residuals = problem.y - fitted
    centred_y = problem.y - problem.y.mean(axis=1, keepdims=True)
    centred_f = fitted - fitted.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred_y, axis=1) * np.linalg.norm(centred_f, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = (centred_y * centred_f).sum(axis=1) / norms
    columns: dict[str, Any] = {"converged": estimates.converged}
    if method in ("map", "laplace"):
        columns |= {
            "iterations": estimates.iterations,
            "rdm": estimates.rdm,
            "log_likelihood": estimates.log_likelihood,
        }
    columns |= {
        "rmse": np.sqrt((residuals**2).mean(axis=1)) * problem.unit,
        "correlation": correlation,
    }
    if method in ("map", "laplace"):
        columns |= {
            "misfit": estimates.quad / problem.y.shape[1],
            "modes": estimates.modes,
            "counting_noise": estimates.phi,
        }
    columns |= {"at_zero": (estimates.p == 0).sum(axis=1), "size_factor": estimates.size}
    return pd.DataFrame(columns, index=problem.samples.rename("sample"))


def _to_cells(p: Array, per_cell: Array) -> Array:
    """Cell fractions from mRNA fractions (last axis)."""
    cells = p / per_cell
    result: Array = cells / cells.sum(axis=-1, keepdims=True)
    return result


def _cell_covariance(p: Array, covariance: Array, per_cell: Array) -> Array:
    """Delta method for `_to_cells`."""
    total = (p / per_cell).sum(axis=1)[:, None, None]
    cells = _to_cells(p, per_cell)
    J = (np.eye(p.shape[1]) - cells[:, :, None]) / per_cell[None, None, :] / total
    result: Array = J @ covariance @ J.transpose(0, 2, 1)
    return result


def _reference(reference: Any, assume_linear: bool) -> Reference:
    """A Reference from what users hand over."""
    if isinstance(reference, Reference):
        return reference
    if isinstance(reference, (str, Path)) and str(reference).endswith(".nc"):
        return Reference.load(reference)
    if isinstance(reference, (pd.DataFrame, str, Path)) or hasattr(reference, "obs_names"):
        return Reference.from_signature(reference, assume_linear=assume_linear)
    raise InputError(
        "reference",
        "must be a Reference, a saved reference.nc or a signature table (genes x cell types)",
        found=type(reference).__name__,
    )


def _mrna_per_cell(values: Any, cell_types: pd.Index) -> Array | None:
    if values is None:
        return None
    if not isinstance(values, (Mapping, pd.Series)):
        raise InputError("mrna_per_cell", "must map each cell type to a positive number",
                         found=type(values).__name__)  # fmt: skip
    series = pd.Series(values)
    absent = [name for name in cell_types if name not in series.index]
    if absent:
        raise InputError("mrna_per_cell", "needs a number for every cell type",
                         found=f"none for {checks.some(absent)}")  # fmt: skip
    return np.array([checks.positive(series[name], f"mrna_per_cell[{name!r}]")
                     for name in cell_types])  # fmt: skip


def _n_jobs(n_jobs: Any) -> int:
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, (int, np.integer)) or n_jobs == 0:
        raise InputError("n_jobs", "must be a whole number, -1 for all cores", found=repr(n_jobs))
    return int(n_jobs)
