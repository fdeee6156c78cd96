r"""Proportions of a cohort, refined in rounds of gene noise, hidden factors and proportions.

Each round estimates residual variances and hidden factors (`bayesdecov.mixed_effects.hidden`) with
the design of the previous round, and then the most probable proportions given them
(`bayesdecov.mixed_effects.latent`), until the proportions converge.

If the refined design would be nearly singular, or if the expression requires errors several times
those stated, genes vary in ways that neither proportions nor hidden factors describe. The last
valid round is then kept, or the proportions' expectation given the measured ones, with a warning.

Large cohorts are refined in blocks of samples; each block estimates the linear map common to its
samples from its own measured values.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra.moderation import moderated, variance_prior
from bayesdecov.algebra.shared_design import least_squares
from bayesdecov.algebra.subspace import Moments, moments
from bayesdecov.algebra.terms import Array
from bayesdecov.algebra.truncation import inverse_root
from bayesdecov.errors import InputError, Notes
from bayesdecov.mixed_effects.design import inflation
from bayesdecov.mixed_effects.hidden import Hidden, effective_genes, hidden_factors
from bayesdecov.mixed_effects.latent import (
    Anchors,
    Latent,
    cohort_distribution,
    log_density,
    refine,
    uncertainty,
)
from bayesdecov.mixed_effects.prepare import Problem

COLLAPSED = 25.0  # growth of a variance inflation too large to be due to errors of proportions
_ROUNDS = 8
_SETTLED = 0.02  # change of a proportion in standard deviations of its error
_CONTRADICTED = 3.0  # scale of the errors above which the expression is not used
_LATENT = 2000  # largest number of values refined together
_SAMPLES = 4  # smallest ratio of samples to design columns in a block


class Part(NamedTuple):
    """Samples that were refined together, and the covariance of their values."""

    rows: NDArray[np.intp]
    covariance: Array  # (sample d, sample d)


class Refined(NamedTuple):
    """Refined values (sample, d), their remaining errors, and the noise of samples."""

    phi: Array
    parts: list[Part]
    noise: Array  # covariance of the samples' noise
    factors: int
    power: float  # effective over real number of genes
    scale: float  # errors over those stated
    rounds: int  # 0: values are expectations given the measured ones
    settled: bool


class _Block(NamedTuple):
    rows: NDArray[np.intp]
    anchors: Anchors
    latent: Latent
    sums: Moments | None = None


class _End(NamedTuple):
    """The last valid round (0: none), and whether the design of the next one collapsed."""

    blocks: list[_Block]
    rounds: int
    change: float
    collapsed: bool
    had_factors: bool


def refined(problem: Problem, anchors: Anchors, least: float, notes: Notes) -> Refined:
    """Repeat rounds until the proportions converge; ``least`` is the smallest scale of errors.

    In residuals at the measured values, errors can look like hidden factors and hidden factors like
    errors: rounds start both with and without factors, and the more probable result is kept.
    """
    root = problem.root
    base = np.eye(len(anchors.value)) if root is None else np.linalg.inv(root @ root)
    blocks = _blocks(anchors)  # at the expectation given the measured values
    end = _best_end(problem, anchors, base, blocks, least)
    scale = _scale(end.blocks)
    if end.rounds and scale > _CONTRADICTED:
        notes.warn(
            f"the expression would require errors {scale:.2g} times those stated (check that cell "
            "types add up on its scale): proportions were replaced by their expectation "
            "given the measured ones"
        )
        end = end._replace(blocks=blocks, rounds=0, change=np.inf)
    elif end.collapsed:
        notes.warn(
            "expression is not consistent with any proportions near the measured ones "
            "(the design would become nearly singular): "
            + (
                "the last valid round was kept"
                if end.rounds
                else "they were replaced by their expectation given the measured ones"
            )
        )
    if end.rounds and not all(block.latent.converged for block in end.blocks):
        notes.warn("the most probable proportions were not reached within the allowed steps")
    phi = _whole_cohort(end.blocks, anchors)
    if (inflation(anchors.X(phi)) > COLLAPSED * inflation(anchors.design)).any():
        raise InputError(
            "proportions",
            "must differ between samples by more than their errors",
            found="no remaining differences after accounting for errors",
            fix="use errors='ignore' with another method, which underestimates effects",
        )
    found, _ = _noise(problem, anchors.X(phi), base)
    if found.factors:
        notes.info(
            f"{found.factors} hidden factors in the residuals (batches, tissue states) "
            "were modelled as correlated noise"
        )
    parts = [Part(block.rows, _left(block)) for block in end.blocks]
    return Refined(
        phi,
        parts,
        found.covariance,
        found.factors,
        _power(end.blocks),
        _scale(end.blocks),
        end.rounds,
        end.change < _SETTLED,
    )


def _best_end(
    problem: Problem, anchors: Anchors, base: Array, blocks: list[_Block], least: float
) -> _End:
    """The most probable result of rounds from several starts."""
    ends = [_rounds(problem, anchors, base, blocks, anchors.value, least, hidden=True)]
    if ends[0].had_factors or not ends[0].rounds:
        calibrated = _whole_cohort(blocks, anchors)
        ends += [
            _rounds(problem, anchors, base, blocks, anchors.value, least, hidden=False, wide=True),
            _rounds(problem, anchors, base, blocks, calibrated, least, hidden=False),
        ]
    sound = [end for end in ends if end.rounds]
    if len(sound) > 1:
        _, scaled = _noise(problem, anchors.design, base)
        scores = [_score(problem, anchors, end, scaled, base) for end in sound]
        sound = [sound[int(np.argmax(scores))]]
    return sound[0] if sound else ends[0]._replace(blocks=blocks)


def _rounds(
    problem: Problem,
    anchors: Anchors,
    base: Array,
    blocks: list[_Block],
    start: Array,
    least: float,
    *,
    hidden: bool,
    wide: bool = False,
) -> _End:
    """Noise, factors (from the second round on, unless ``hidden``) and proportions in turn.

    ``wide`` starts with a cohort distribution as wide as the measured values, errors included.
    """
    error = np.sqrt(np.einsum("idd->id", anchors.covariance))
    blocks = [
        block._replace(latent=block.latent._replace(phi=start[block.rows])) for block in blocks
    ]
    if wide:
        blocks = [
            block._replace(
                latent=block.latent._replace(
                    spread=np.cov(block.anchors.value, rowvar=False).reshape(
                        block.latent.spread.shape
                    )
                )
            )
            for block in blocks
        ]
    phi, rounds, change = start, 0, np.inf
    had_factors = collapsed = False
    while rounds < _ROUNDS and change >= _SETTLED:
        X = anchors.X(phi)
        found, scaled = _noise(problem, X, base)
        had_factors |= found.factors > 0
        noise = found.covariance if rounds or hidden else base
        power = effective_genes(X, scaled, inverse_root(noise, floor=0.0)) / len(scaled)
        new = [_refine(block, scaled, noise, min(power, 1.0), least) for block in blocks]
        there = _whole_cohort(new, anchors)
        collapsed = bool(
            (inflation(anchors.X(there)) > COLLAPSED * inflation(anchors.design)).any()
        )
        if collapsed:
            break
        change = float((np.abs(there - phi) / error).max())
        blocks, phi, rounds = new, there, rounds + 1
    return _End(blocks, rounds, change, collapsed, had_factors)


def _score(problem: Problem, anchors: Anchors, end: _End, scaled: Array, base: Array) -> float:
    """Log-density of genes and measured values at ``end``, with a BIC penalty per factor."""
    phi, n = _whole_cohort(end.blocks, anchors), len(anchors.value)
    noise = _noise(problem, anchors.X(phi), base)[0]
    total = -0.5 * noise.factors * n * np.log(len(scaled))
    for block in end.blocks:
        W = inverse_root(noise.covariance[np.ix_(block.rows, block.rows)], floor=0.0)
        sums = moments(scaled[:, block.rows], W)
        total += log_density(block.anchors, sums, block.latent)
        total += len(scaled) * np.linalg.slogdet(W)[1]
    return float(total)


def _power(blocks: list[_Block]) -> float:
    return float(np.median([1.0 if each.sums is None else each.sums.power for each in blocks]))


def _scale(blocks: list[_Block]) -> float:
    return float(np.sqrt(np.median([block.latent.scale2 for block in blocks])))


def _blocks(anchors: Anchors) -> list[_Block]:
    """Random blocks of samples, independent of the order in the table."""
    n, n_columns, d = anchors.lifts.shape
    groups = max(1, min(int(np.ceil(n * d / _LATENT)), n // (_SAMPLES * n_columns)))
    order = np.random.default_rng(0).permutation(n)
    parts = [np.sort(order[g::groups]) for g in range(groups)]
    ranks = [np.linalg.matrix_rank(anchors.design[rows]) for rows in parts]
    if min(ranks) < n_columns:
        parts = [np.arange(n)]
    return [
        _Block(rows, anchors.rows(rows), cohort_distribution(anchors.rows(rows))) for rows in parts
    ]


def _refine(block: _Block, scaled: Array, noise: Array, power: float, least: float) -> _Block:
    W = inverse_root(noise[np.ix_(block.rows, block.rows)], floor=0.0)
    sums = moments(scaled[:, block.rows], W, power)
    return block._replace(latent=refine(block.anchors, sums, block.latent, least=least), sums=sums)


def _whole_cohort(blocks: list[_Block], anchors: Anchors) -> Array:
    phi = np.empty_like(anchors.value)
    for block in blocks:
        phi[block.rows] = block.latent.phi
    return phi


def _left(block: _Block) -> Array:
    """Covariance of the remaining errors of a block's values."""
    if block.sums is not None:
        return uncertainty(block.anchors, block.sums, block.latent)
    n, d = block.anchors.value.shape
    each = np.linalg.inv(
        np.linalg.inv(block.anchors.covariance) + np.linalg.inv(block.latent.spread)
    )
    full = np.zeros((n, d, n, d))
    full[np.arange(n), :, np.arange(n)] = each
    return full.reshape(n * d, n * d)


def _noise(problem: Problem, X: Array, base: Array) -> tuple[Hidden, Array]:
    """Covariance of the samples' noise, and genes in units of their residual deviation."""
    Y, root = problem.Y, problem.root
    white = (X, Y) if root is None else (root @ X, Y @ root)
    ls = least_squares(*white)
    s2 = ls.rss / ls.df
    unit = np.sqrt(moderated(s2, ls.df, variance_prior(s2, ls.df)))[:, None]
    hidden = hidden_factors(white[0], white[1] / unit, ls.b / unit)
    if root is not None:
        back = np.linalg.inv(root)
        hidden = hidden._replace(covariance=back @ hidden.covariance @ back.T)
    return hidden, Y / unit
