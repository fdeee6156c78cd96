r"""The mixed model with uncertain proportions, in three steps.

1. The true proportions are estimated from the measured ones and all genes
   (`bayesdecov.mixed_effects.refinement`).
2. The contaminated normal is fitted on the refined design, hidden factors whitened out
   (`bayesdecov.mixed_effects.mixture`).
3. The remaining errors of the proportions are propagated to all quantities that depend on them
   (`bayesdecov.mixed_effects.error_propagation`).

Regression calibration, for the other methods, only replaces the proportions by their expectation
given the measured ones, under their distribution in the cohort.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayesdecov.algebra.shared_design import LeastSquares, least_squares
from bayesdecov.algebra.subspace import Moments, moments
from bayesdecov.algebra.terms import Array
from bayesdecov.algebra.truncation import inverse_root
from bayesdecov.errors import InputError, Notes
from bayesdecov.mixed_effects.design import inflation
from bayesdecov.mixed_effects.error_propagation import leakage, propagate_errors, shared_leakage
from bayesdecov.mixed_effects.estimate import Estimate
from bayesdecov.mixed_effects.latent import Anchors, anchors, cohort_distribution
from bayesdecov.mixed_effects.mixture import fit_mixture
from bayesdecov.mixed_effects.prepare import Problem
from bayesdecov.mixed_effects.refinement import COLLAPSED, Refined, refined
from bayesdecov.results.proportions import Proportions

_MISSTATED = 2.0  # factor by which stated errors may be wrong without a warning


class Sharpened(NamedTuple):
    """Input and result of the refinement, from which the same model is built in PyMC."""

    anchors: Anchors
    sums: Moments  # of all samples, genes in units of their noise
    found: Refined


class Joint(NamedTuple):
    """Estimate, the problem on the refined design, the refined proportions and their origin."""

    estimate: Estimate
    problem: Problem
    refined: Proportions
    sharpened: Sharpened


def fit_joint(
    problem: Problem,
    covariance: Array,
    least: float,
    variance: str,
    notes: Notes,
    rng: np.random.Generator,
    *,
    shared: Array | None = None,
) -> Joint:
    """Refine the proportions, fit the genes and propagate the remaining errors.

    ``covariance`` (sample, cell_type, cell_type) is that of the measured proportions; their errors
    are taken as at least ``least`` times those stated. ``shared`` (replicate, sample, cell_type)
    are errors that all samples have in common: the genes cannot tell them, so that the proportions
    are refined without them and the effects get them afterwards.
    """
    n_genes, n_columns = len(problem.Y), len(problem.design.columns)
    if n_genes < 2 * n_columns + 2:
        raise InputError(
            "expression",
            "must have at least twice as many genes as design columns for method='joint'",
            found=f"{n_genes} genes and {n_columns} columns",
        )
    anchors = _anchors(problem, covariance)
    found = refined(problem, anchors, least, notes)
    X = anchors.X(found.phi)
    W = inverse_root(found.noise, floor=0.0)
    ls = least_squares(W @ X, problem.Y @ W, problem.ls.random)
    estimate = fit_mixture(ls, variance, problem.random, notes, rng)
    onto = ls.V @ (W @ X).T @ W
    leak: Array = sum(
        (leakage(onto[:, rows], anchors.lifts[rows], left) for rows, left in found.parts),
        np.zeros((X.shape[1],) * 4),
    )
    mixed = leak
    if shared is not None:
        whole, between = shared_leakage(onto, problem.design.lifts(problem.coded), shared)
        leak, mixed = leak + whole, leak + between
        notes.info(
            "errors of the proportions that all samples share are in the intervals of the effects; "
            "tests include what they mix between cell types, and not what only scales the effects "
            "of a cell type on all genes"
        )
    estimate = propagate_errors(estimate, ls, leak, of_tests=mixed)
    proportions = _proportions(problem.cells, anchors, found)
    said = proportions.diagnostics.mean()
    if found.rounds and not 1 / _MISSTATED < found.scale < _MISSTATED:
        notes.warn(
            f"the expression indicates that the errors of the proportions are {found.scale:.2g} "
            "times those stated; this scale was used"
        )
    if found.rounds:
        notes.info(
            f"proportions: standard deviation {said['sd_measured']:.2g} as stated, "
            f"{said['sd_refined']:.2g} after using all genes ({len(problem.Y)} genes "
            f"are equivalent to {found.power * len(problem.Y):.0f} independent ones); errors are "
            f"{found.scale:.2f} times those stated"
        )
    facts = estimate.facts | {
        "error_scale": found.scale,
        "effective_genes": found.power * len(problem.Y),
        "hidden_factors": found.factors,
        "rounds": found.rounds,
        "settled": found.settled,
        "sd_measured": float(said["sd_measured"]),
        "sd_refined": float(said["sd_refined"]),
    }
    unit = np.sqrt(estimate.sigma2)[:, None]
    sharpened = Sharpened(anchors, moments(problem.Y / unit, W), found)
    return Joint(estimate._replace(facts=facts), _on(problem, X, ls), proportions, sharpened)


def to_pymc(sharpened: Sharpened, columns: list[str], samples: list[str]) -> Any:
    """The joint model of the same data, in coordinates that are efficient to sample."""
    from bayesdecov.models import Shared, joint

    anchors, sums, found = sharpened
    n, d = anchors.value.shape
    root = np.zeros((n, d, n, d))
    for rows, covariance in found.parts:
        half = np.linalg.cholesky(covariance).reshape(len(rows), d, len(rows), d)
        root[np.ix_(rows, np.arange(d), rows, np.arange(d))] = half
    shared = Shared(
        sums.gram,
        sums.total,
        sums.genes,
        anchors.design,
        anchors.lifts,
        anchors.value,
        anchors.covariance,
        anchors.cohort,
        sums.whitener,
    )
    directions = [f"direction{j + 1}" for j in range(d)]
    return joint(
        shared, columns, samples, directions, centre=found.phi, root=root.reshape(n * d, n * d)
    )


def calibrated(problem: Problem, covariance: Array, notes: Notes) -> Problem:
    """The problem with proportions replaced by their expectation given the measured ones."""
    anchors = _anchors(problem, covariance)
    cohort = cohort_distribution(anchors)
    X = anchors.X(cohort.phi)
    if (inflation(X) > COLLAPSED * inflation(anchors.design)).any():
        raise InputError(
            "errors",
            "'calibrate' needs proportions that differ by more than their errors",
            found="a design that is nearly singular after calibration",
            fix="use errors='ignore', which underestimates effects, or proportions with smaller "
            "errors",
        )
    true = np.trace(cohort.spread)
    share = true / (true + np.trace(anchors.covariance.mean(axis=0)))
    notes.info(
        "proportions were replaced by their expectation given the measured ones; "
        f"{1 - share:.0%} of the variance between samples with equal covariates is error"
    )
    root = np.eye(len(X)) if problem.root is None else problem.root
    return _on(problem, X, least_squares(root @ X, problem.Y @ root, problem.ls.random))


def _anchors(problem: Problem, covariance: Array) -> Anchors:
    design = problem.design
    return anchors(
        problem.cells.to_numpy(),
        covariance,
        design.lifts(problem.coded),
        design.table.to_numpy(),
        problem.coded.to_numpy(),
    )


def _on(problem: Problem, X: Array, ls: LeastSquares) -> Problem:
    table = problem.design.table
    table = pd.DataFrame(X, table.index, table.columns)
    columns = problem.design.columns.assign(vif=inflation(X))
    design = replace(problem.design, table=table, columns=columns)
    return replace(problem, ls=ls, design=design)


def _proportions(cells: pd.DataFrame, anchors: Anchors, found: Refined) -> Proportions:
    """Refined proportions in the container that every estimator of proportions returns."""
    U, (n, d) = anchors.directions, anchors.value.shape
    local = np.empty((n, d, d))
    for rows, covariance in found.parts:
        blocks = covariance.reshape(len(rows), d, len(rows), d)
        local[rows] = blocks[np.arange(len(rows)), :, np.arange(len(rows))]
    moved = found.phi - anchors.value
    variance = np.einsum("idd->id", anchors.covariance)
    diagnostics = pd.DataFrame(
        {
            "shift": np.sqrt((moved**2 / variance).mean(axis=1)),
            "sd_measured": np.sqrt(variance.mean(axis=1)),
            "sd_refined": np.sqrt(np.einsum("idd->i", local) / d),
        },
        index=cells.index.rename("sample"),
    )
    values = cells.to_numpy() + moved @ U.T
    below = int((values < 0).any(axis=1).sum())
    notes = (f"negative values in {below} samples were set to zero in the table",) if below else ()
    return Proportions(
        proportions=pd.DataFrame(np.clip(values, 0.0, 1.0), cells.index, cells.columns),
        diagnostics=diagnostics,
        method="joint",
        quantity="proportions",
        settings={},
        facts={"error_scale": found.scale},
        notes=notes,
        covariance=U @ local @ U.T,
    )
