r"""Intervals with nominal coverage under an estimated reference, calibrated on its replicates.

A posterior is only as well calibrated as its covariances. Covariances from a handful of donors are
too small in the directions that matter, and the model ignores that cell types of one donor resemble
each other. The replicates themselves show by how much. A donor (or, where donors are not known, one
replicate of every cell type) is taken out, the reference is estimated from the others, bulks are
mixed from the profiles taken out, in proportions like the cohort's, and their proportions are
estimated. Where 95 % intervals contain fewer than 95 % of them, the likelihood is raised to the
power :math:`1/\kappa^2` (which widens a normal posterior :math:`\kappa`-fold) that gives nominal
coverage.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from bayesdecov import checks
from bayesdecov.algebra.terms import Array
from bayesdecov.deconvolution.fit import log_posterior, maximum_a_posteriori, unpack
from bayesdecov.deconvolution.importance import adapt, truncated
from bayesdecov.deconvolution.model import Data, Model, model_of
from bayesdecov.deconvolution.posterior import laplace_approximation
from bayesdecov.deconvolution.prepare import Prepared
from bayesdecov.errors import BayesdecovWarning, InputError, Notes
from bayesdecov.reference.estimate import ESTIMATORS, estimate_covariance
from bayesdecov.reference.reference import Reference

_BULKS = 64  # pseudo-bulks in all, at least
_FOLDS = 8  # references without a replicate, at most
_FEWEST = 3  # replicates of a cell type, or donors
_PROPOSALS = [200, 200, 400]
_BROAD = 1.5  # inflation that the proposals are made for
_CONCENTRATION = 30.0  # of the Dirichlet around a bulk's own estimate
_PROB = 0.95
_CLOSE = 0.005  # of the factor
_LARGEST = 10.0


class Inflation(NamedTuple):
    """The factor, coverage of 95 % intervals before and after, and the bulks it is based on."""

    factor: float
    before: float
    after: float
    bulks: int
    donors: bool  # whether whole donors were left out


class _Fold(NamedTuple):
    """Pseudo-bulks of the replicates left out of a reference, and their proportions."""

    model: Model
    data: Data
    truth: Array
    donors: bool


def inflation(prepared: Prepared, rng: np.random.Generator) -> Inflation:
    """Factor by which intervals have to be widened, at least 1."""
    folds = list(_folds(prepared, rng))
    weighed = [_weighed(fold, rng) for fold in folds]
    wanted = ndtri(0.5 + _PROB / 2)

    def held(factor: float) -> float:
        scores = np.concatenate([each.scores(factor) for each in weighed])
        return float((np.abs(scores) < wanted).mean())

    before = held(1.0)
    low, high = 1.0, 1.0
    while held(high) < _PROB and high < _LARGEST:
        low, high = high, min(1.25 * high, _LARGEST)
    while high - low > _CLOSE:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if held(middle) < _PROB else (low, middle)
    donors = prepared.reference.donors is not None and any(fold.donors for fold in folds)
    bulks = sum(len(each.truth) for each in weighed)
    return Inflation(high, before, held(high), bulks, donors)


class _Weighed(NamedTuple):
    """Proposals of every pseudo-bulk, to be reweighted for any power of the likelihood."""

    truth: Array  # (bulk, cell_type)
    p: Array  # (bulk, proposal, cell_type)
    log_likelihood: Array  # (bulk, proposal)
    log_rest: Array  # log of prior over proposal density

    def scores(self, factor: float) -> Array:
        """Normal scores of the true proportions in their posteriors, (bulk, cell type) pooled."""
        log_weights = self.log_likelihood / factor**2 + self.log_rest
        below = np.einsum("bp,bpk->bk", truncated(log_weights), self.p < self.truth[:, None])
        return np.asarray(ndtri(np.clip(below, 1e-6, 1 - 1e-6)).ravel())


def _weighed(fold: _Fold, rng: np.random.Generator) -> _Weighed:
    model = replace(fold.model, power=_BROAD**-2)  # proposals for wider posteriors too
    normal = laplace_approximation(model, fold.data)
    modes = normal.modes
    n, k = len(fold.truth), model.n_types - 1
    target = log_posterior(model, modes.projected, modes.phi, jacobian=True, order=0)
    rngs = rng.spawn(n)
    found = adapt(target, modes.x, normal.root, np.arange(n), _PROPOSALS, rngs)
    flat = found.x.reshape(-1, found.x.shape[2])
    log_prior = model.prior.log_prior(flat[:, :k], jacobian=True, order=1).value
    log_prior = log_prior.reshape(n, -1)
    p = unpack(model, flat)[0].reshape(n, -1, model.n_types)
    return _Weighed(
        fold.truth, p, (found.value - log_prior) / model.power, log_prior - found.log_mixture
    )


def _folds(prepared: Prepared, rng: np.random.Generator) -> Iterator[_Fold]:
    reference = prepared.reference
    profiles, labels = reference.profiles, reference.labels
    method = str(reference.settings.get("covariance"))
    if profiles is None or labels is None or method not in ESTIMATORS:
        raise InputError(
            "calibrate",
            "needs a reference made from replicates of purified samples",
            found=method or "none",
            fix="make it with Reference.from_samples",
        )
    names = list(reference.cell_types)
    codes = np.array([names.index(name) for name in labels.loc[profiles.columns]])
    of_donors = _donors_out(reference.donors, codes, rng)
    if of_donors is None and reference.donors is not None:
        prepared.notes.warn(
            f"fewer than {_FEWEST} donors have all cell types: single replicates are left out, so "
            "the similarity of a donor's cell types is not calibrated"
        )
    outs = _replicates_out(codes, names, rng) if of_donors is None else of_donors
    centre = maximum_a_posteriori(prepared.model, prepared.data).p
    centre = np.where(np.isfinite(centre), centre, 1 / len(names))
    for out, gone in outs:
        alpha = (
            0.5 + _CONCENTRATION * centre[rng.integers(len(centre), size=-(-_BULKS // len(outs)))]
        )
        truth = np.stack([rng.dirichlet(row) for row in alpha])
        kept = np.setdiff1d(np.arange(len(codes)), gone)
        model, data = _without(prepared, method, codes, out, kept, truth, rng)
        yield _Fold(model, data, truth, of_donors is not None)


_Outs = list[tuple[NDArray[np.intp], NDArray[np.intp]]]
"""For every fold: the replicate of each cell type in the bulks, and all replicates left out."""


def _replicates_out(codes: NDArray[np.intp], names: list[str], rng: np.random.Generator) -> _Outs:
    """One replicate of each cell type at a time."""
    orders = [rng.permutation(np.flatnonzero(codes == j)) for j in range(len(names))]
    few = [name for name, rows in zip(names, orders, strict=True) if len(rows) < _FEWEST]
    if few:
        raise InputError(
            "calibrate",
            f"needs at least {_FEWEST} replicates of every cell type",
            found=f"fewer of {checks.some(few)}",
            fix="leave it out",
        )
    folds = min(max(map(len, orders)), _FOLDS)
    outs = [np.array([order[fold % len(order)] for order in orders]) for fold in range(folds)]
    return [(out, out) for out in outs]


def _donors_out(
    donors: pd.Series | None, codes: NDArray[np.intp], rng: np.random.Generator
) -> _Outs | None:
    """One donor at a time, of those with all cell types; None where fewer than three have them."""
    if donors is None:
        return None
    wanted, found = len(np.unique(codes)), []
    for donor in rng.permutation(donors.unique()):
        gone = np.flatnonzero(donors.to_numpy() == donor)
        first = {int(codes[row]): int(row) for row in gone[::-1]}
        if len(first) == wanted:
            found.append((np.array([first[j] for j in range(wanted)]), gone))
    return found[:_FOLDS] if len(found) >= _FEWEST else None


def _without(
    prepared: Prepared,
    method: str,
    codes: NDArray[np.intp],
    out: NDArray[np.intp],
    kept: NDArray[np.intp],
    truth: Array,
    rng: np.random.Generator,
) -> tuple[Model, Data]:
    """Pseudo-bulks from the replicates ``out``, and a model from those kept."""
    reference, known, bulks = prepared.reference, prepared.model, prepared.data
    values = reference.profiles.to_numpy()  # type: ignore[union-attr]
    heard = (values[:, kept] > 0).any(axis=1)  # genes of a donor who is left out are unknown then
    reference, values = reference.take(reference.genes[heard]), values[heard]
    names = list(reference.cell_types)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BayesdecovWarning)
        estimate = estimate_covariance(values[:, kept], codes[kept], names, method, Notes())
    means = np.stack(
        [values[:, kept][:, codes[kept] == j].mean(axis=1) for j in range(len(names))], axis=1
    )
    smaller: Reference = replace(
        reference,
        mean=reference.mean.copy().assign(**dict(zip(names, means.T, strict=True))),
        covariance=estimate.covariance,
        replicates=pd.Series(np.bincount(codes[kept], minlength=len(names)), names),
    )
    y = truth @ values[:, out].T
    phi = np.resize(bulks.phi * bulks.unit, len(y))  # in the bulk's unit
    if np.isfinite(phi).all() and (phi > 0).all():
        scale = (
            bulks.y[:, heard] * bulks.unit[:, None]
        ).mean() / y.mean()  # the bulk's unit may differ
        y = rng.poisson(np.maximum(y * scale / phi[:, None], 0)) * phi[:, None] / scale
        phi = phi / scale
    model = model_of(
        smaller,
        prepared.noise,
        prior=known.prior,
        logdet_weight=known.logdet_weight,
        free_size=known.free_size,
        df=known.df,
    )
    return model, model.data(y, phi)
