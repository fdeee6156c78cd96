"""The verb: bulk table and reference in, proportions with intervals out."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

import bayesdecov
from bayesdecov import checks
from bayesdecov.algebra.priors import Prior
from bayesdecov.baselines import BASELINES
from bayesdecov.deconvolution.outcome import outcome
from bayesdecov.deconvolution.problem import NOISES, Problem, prepare
from bayesdecov.deconvolution.pseudobulk import inflation
from bayesdecov.deconvolution.result import Deconvolution
from bayesdecov.deconvolution.sampling import expected_minutes
from bayesdecov.deconvolution.shards import collect, run_shards
from bayesdecov.diagnostics import PARETO_K
from bayesdecov.errors import InputError, Notes
from bayesdecov.io.tables import expression_frame
from bayesdecov.reference.reference import Reference
from bayesdecov.sampling import Sampling

METHODS = ("map", "laplace", "nuts", *BASELINES)
# enough in coordinates that are standard normal to begin with
_NUTS: dict[str, Any] = {"tune": 300, "target_accept": 0.85}
_REACHED = 0.93  # coverage after calibration below which something is wrong
_LONG = 15.0  # minutes of sampling that a user should know of


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
    tune: int | None = None,
    chains: int | None = None,
    cores: int | None = None,
    target_accept: float | None = None,
    nuts_sampler: str | None = None,
    max_pareto_k: float = PARETO_K,
    calibrate: bool = False,
    other: bool = False,
    bootstrap: int | None = None,
    mrna_per_cell: Any = None,
    assume_linear: bool = False,
    progress: bool | None = None,
) -> Deconvolution:
    r"""Estimate the cell-type proportions of bulk samples.

    The model is DeCovarT's (arXiv:2309.09557, Eq. 7) with technical noise,

    .. math:: y_i \sim N\big(s_i\mu p_i,\; s_i^2 \textstyle\sum_j p_{ij}^2
              (\Sigma_j + \Sigma_j / n_j) + \mathrm{diag}(\varphi_i s_i\mu p_i
              + \varphi_i^2 / 4)\big).

    Parameters
    ----------
    bulk
        Expression, genes x samples, linear scale: a DataFrame, an AnnData (samples in obs) or the
        path of a table. Genes are matched by name.
    reference
        A `Reference`, the path of a saved one, or a signature table (genes x cell types).
    method
        "map": the maximum of likelihood times prior by Levenberg-Marquardt; with ``prior="flat"``
        the MLE. "laplace": a normal approximation of the posterior at its mode, refined by
        importance sampling, with draws. "nuts": the exact posterior by Hamiltonian Monte Carlo,
        chains for every sample. Published methods to compare with: "nnls",
        "simplex", "ols", "rlm", "fardeep", "nusvr", "epic", "quantiseq" (see
        `bayesdecov.baselines`; what they say beside proportions, like ``other``, the share that no
        cell type explains, is in the diagnostics).
    prior
        "flat": Dirichlet(1). "decovart": the paper's Eq. 8, the likelihood times
        :math:`|V|^{-1/2}`, needed to reproduce the paper; it pulls proportions together.
        "normal": softmax of a zero-sum normal. Or a `Dirichlet` / `SoftmaxNormal` of
        `bayesdecov.algebra.priors`.
    noise
        "none": all variability is biology, the paper's law. "counting": adds the counting noise of
        the bulk, :math:`\varphi_i` per unit of mean expression, and takes the replicates' own off
        their covariance; phi is 1e6 / library size for counts, and estimated where it is unknown
        (it then also stands for background and differences between platforms). "auto": "none" for
        exact moments and for ``factor`` references where phi is unknown, otherwise "counting".
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
        Posterior draws per sample ("laplace"), or per sample and chain ("nuts").
    tune, chains, cores, target_accept, nuts_sampler
        ``method="nuts"``: warm-up steps of a chain (300), chains per sample (4), worker processes
        (default: ``n_jobs``, or if that is 1 all cores, at most 4), the acceptance that the step
        size is adapted to (.85), and "nutpie", "pymc" or "auto" (nutpie where it is installed).
        Both run on the same NumPy density: nothing is compiled for a sample.
    max_pareto_k
        ``method="laplace"``: the largest Pareto-k of the importance weights that is accepted.
        Samples above it have no intervals. ``float("inf")`` accepts all.
    calibrate
        Widen intervals until they hold what they say on pseudo-bulks: one donor at a time (where
        donors are not known, one replicate of every cell type) is taken out of the reference and
        mixed in proportions like the cohort's. The likelihood is raised to the power that this
        takes; the factor, and the coverage before and after, are in ``settings`` and ``notes``.
        Needs three donors with all cell types, or three replicates of each.
    other
        Add a cell type "other" for cells that the reference does not know. Their mean profile is
        learned from the cohort (on all genes that the reference was made from, if they are known:
        markers of known cells say little about others), its level from what is missing to one, and
        the uncertainty of both from resampled genes and samples. ``fit.probability_above(.05)``
        and ``p_other`` of the diagnostics say how sure it is that there are any. Needs bulk and
        reference on one scale. A few samples that all hold the same share of other cells are hard
        to tell from an error of the reference: intervals are wide then. Foreign cells that resemble
        a known cell type are only seen as far as they do not.
    bootstrap
        Baselines: estimate this often from genes drawn with replacement; the draws give intervals.
    mrna_per_cell
        Amount of mRNA per cell of each type (Series or dict, any unit): turns fractions of mRNA
        into fractions of cells.
    assume_linear
        Take the bulk as linear although it looks like logarithms.
    progress
        Show a progress bar on standard error. None: for work of several shards at a terminal.

    Returns
    -------
    Deconvolution
        ``.proportions``, ``.intervals(prob)``, ``.diagnostics``, ``.to_inference_data()``. The
        diagnostics hold, per sample: ``converged``, ``iterations``, ``rdm`` (relative distance to
        maximum), ``log_likelihood``, ``rmse`` and ``correlation`` between the bulk and its fit,
        ``misfit`` (Mahalanobis distance / number of genes; 1 is expected), ``predictive_p``
        (probability that replicated data lie farther away, under the posterior or at the
        estimate), ``modes`` (distinct maxima found), ``at_zero`` (cell types estimated as absent;
        posterior means are never zero), ``size_factor``, ``counting_noise``; "laplace":
        ``pareto_k``; "nuts": ``r_hat``, ``ess_bulk``, ``ess_tail``, ``mcse`` (worst of the cell
        types), ``divergences``, ``e_bfmi``, ``step_size``, ``tree_depth``; and a ``verdict`` in
        words, "good" if there is nothing to say.

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
    checks.choice(method, METHODS, "method")
    checks.choice(noise, NOISES, "noise")
    checks.whole(draws, "draws", at_least=2)
    if not (isinstance(max_pareto_k, (int, float)) and max_pareto_k > 0):
        raise InputError("max_pareto_k", "must be a positive number", found=repr(max_pareto_k))
    sampling = {"tune": tune, "chains": chains, "cores": cores, "target_accept": target_accept,
                "nuts_sampler": nuts_sampler}  # fmt: skip
    if method != "nuts":
        for name, value in sampling.items():
            if value is not None:
                raise InputError(name, f"is not an option of method={method!r}",
                                 fix="leave it out, or use method='nuts'")  # fmt: skip
    how = Sampling.of(_NUTS | {"draws": draws} | {
        name: value for name, value in sampling.items() if value is not None})  # fmt: skip
    rng = checks.generator(seed)
    if bootstrap is not None:
        bootstrap = checks.whole(bootstrap, "bootstrap", at_least=2)
        if method not in BASELINES:
            raise InputError("bootstrap", f"is not an option of method={method!r}",
                             fix=f"it is for {', '.join(BASELINES)}")  # fmt: skip
    if calibrate and method in BASELINES:
        raise InputError("calibrate", f"is not an option of method={method!r}",
                         fix="use method='map', 'laplace' or 'nuts'")  # fmt: skip
    if other and (calibrate or method in BASELINES):
        raise InputError(
            "other", "cannot be combined with "
            + ("calibrate" if calibrate else f"method={method!r}"),
            fix="leave one of them out: pseudo-bulks hold known cells only" if calibrate else
            "use method='map', 'laplace' or 'nuts'; 'epic' and 'quantiseq' have an other of their "
            "own in the diagnostics",
        )  # fmt: skip
    n_jobs = checks.workers(n_jobs)
    notes = Notes()
    problem = prepare(
        expression_frame(bulk, "bulk"),
        as_reference(reference, assume_linear),
        prior=prior,
        noise="none" if method in BASELINES else noise,
        size_factor=size_factor,
        df=df,
        assume_linear=assume_linear,
        other=rng.spawn(1)[0] if other else None,
        notes=notes,
    )
    if method in BASELINES and "other" in BASELINES[method].returns and problem.free_size:
        notes.warn(
            f"{method!r} takes bulk and reference on one scale, which is not known here: the bulk "
            "was scaled by least squares, so other content is hardly seen"
        )
    per_cell = None
    if mrna_per_cell is not None:
        per_cell = checks.by_cell_type(mrna_per_cell, problem.reference.cell_types, "mrna_per_cell")
    calibration: dict[str, Any] = {}
    if calibrate:
        problem, calibration = _calibrated(problem, rng)
    stream = int(rng.integers(2**62))
    workers = n_jobs
    if method == "nuts":
        workers = _workers(how, n_jobs)
        minutes = expected_minutes(problem, how, workers if workers > 0 else joblib.cpu_count())
        if minutes > _LONG:
            notes.warn(
                f"sampling will take about {minutes:.0f} minutes ({len(problem.y)} samples, "
                f"{problem.y.shape[1]} genes): a 'factor' reference, fewer genes or "
                "method='laplace' are faster"
            )
    output = collect(run_shards(problem, method, how, stream, workers, progress, bootstrap or 0))
    modelled = method not in BASELINES
    settings = {
        "method": method,
        "prior": str(prior) if modelled else "none",
        "noise": problem.noise if modelled else "none",
        "size_factor": "free" if problem.free_size else "fixed",
        "df": problem.df if modelled and problem.df is not None else "none",
        "draws": draws if method in ("laplace", "nuts") else 0,
        "seed": seed if seed is None else int(seed) if not hasattr(seed, "random") else "generator",
        "random_stream": stream,
        "n_jobs": n_jobs,
        "assume_linear": assume_linear,
        "other": other,
        "mrna_per_cell": "none" if per_cell is None else per_cell.to_dict(),
        "scale": problem.scale,
        "alignment": str(problem.alignment),
        "bayesdecov": bayesdecov.__version__,
        "seconds": round(time.perf_counter() - started, 3),
    }
    settings |= calibration
    if method == "nuts":
        settings |= {"tune": how.tune, "chains": how.chains, "target_accept": how.target_accept,
                     "nuts_sampler": how.nuts_sampler, "cores": workers}  # fmt: skip
    if bootstrap is not None:
        settings["bootstrap"] = bootstrap
        notes.info("intervals are from genes drawn with replacement")
    if method == "laplace":
        settings["max_pareto_k"] = float(max_pareto_k)
    weights = None if per_cell is None else per_cell.to_numpy()
    return outcome(problem, output, method, prior, weights, settings, max_pareto_k)


def as_reference(reference: Any, assume_linear: bool) -> Reference:
    """A Reference from what users hand over."""
    if isinstance(reference, Reference):
        return reference
    if isinstance(reference, (str, Path)) and str(reference).lower().endswith(".nc"):
        return Reference.load(reference)
    if isinstance(reference, (pd.DataFrame, str, Path)) or hasattr(reference, "obs_names"):
        return Reference.from_signature(reference, assume_linear=assume_linear)
    raise InputError(
        "reference",
        "must be a Reference, a saved reference.nc or a signature table (genes x cell types)",
        found=type(reference).__name__,
    )


def _calibrated(problem: Problem, rng: np.random.Generator) -> tuple[Problem, dict[str, Any]]:
    """The problem with a likelihood whose intervals hold what they say, and the record of it."""
    found = inflation(problem, rng)
    if found.factor == 1:
        said = f"intervals were left as they are: those of 95 % held {found.before:.1%}"
    else:
        said = (f"intervals were widened {found.factor:.2f}-fold: those of 95 % held "
                f"{found.before:.1%} before and {found.after:.1%} after")  # fmt: skip
    out = "donors" if found.donors else "replicates (donors are not known)"
    say = problem.notes.info if found.after > _REACHED else problem.notes.warn
    say(f"calibration: {said} of the proportions of {found.bulks} pseudo-bulks of {out} that the "
        "reference did not know")  # fmt: skip
    record = {"inflation": found.factor, "coverage_before": found.before,
              "coverage_after": found.after, "pseudo_bulks": found.bulks,
              "left_out": "donors" if found.donors else "replicates"}  # fmt: skip
    return replace(problem, power=found.factor**-2), record


def _workers(how: Sampling, n_jobs: int) -> int:
    if how.cores is not None:
        return how.cores
    return n_jobs if n_jobs != 1 else min(4, joblib.cpu_count())
