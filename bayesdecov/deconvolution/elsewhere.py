"""A reference from elsewhere: a cohort's data as the model of its platform takes them.

The platform is learned from the cohort (`bayesdecov.platform`), from at most `MOST` samples spread
evenly over it, so that parts of a cohort can be fitted with what the whole has told. A reference
of the same laboratory is treated alike: what is learned then is that the platforms hardly differ.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayesdecov.algebra.simplex import theta_of
from bayesdecov.algebra.terms import Array
from bayesdecov.deconvolution.model import Data, Model, covariance_elsewhere
from bayesdecov.platform.cut import FEWEST, Platform, learn_platform
from bayesdecov.platform.draws import draw_factors, draw_yields
from bayesdecov.platform.positive import Profiles
from bayesdecov.platform.rounds import Expression
from bayesdecov.platform.samples import hold
from bayesdecov.reference.reference import Reference

MOST = 400  # samples that a platform is learned from
SHARED = 400  # draws of errors that all samples share
_SEED = 0  # shared draws are the same in every part of a cohort


class Stage(NamedTuple):
    """What a cohort has told: its platform, in words too; None for the model of one platform."""

    platform: Platform | None
    said: str


ONE_PLATFORM = Stage(None, "")


def spread_over(n: int, most: int = MOST) -> np.ndarray:
    """Positions of at most ``most`` samples, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


def learn_stage(sized: Data, reference: Reference, noise: str) -> Stage:
    """Learn the platform of a cohort from bulks that were divided by their size."""
    sized = sized.rows_at(spread_over(len(sized.y)))
    shifted = len(sized.y) >= FEWEST
    covariance = covariance_elsewhere(reference, noise, shifted=shifted)
    # sums must not depend on how a reference lies in memory: a saved one gives the same
    variances = None if covariance is None else np.ascontiguousarray(covariance.variances())
    mu = np.ascontiguousarray(reference.mean.to_numpy())
    platform, _ = learn_platform(
        Expression(sized.y, variances, known_phi(sized.phi)), Profiles.with_background(mu)
    )
    return Stage(platform, _words(platform))


def known_phi(phi: Array) -> Array | None:
    """Counting noise where it is known of all samples."""
    return phi if np.isfinite(phi).all() and (phi > 0).all() else None


def _words(platform: Platform) -> str:
    c = np.sqrt(platform.law.c2)
    if platform.level is None:
        return (
            f"the scatter of genes around a mixture, {c:.0%} of their expression, was learned from "
            f"the bulk; factors between platforms need at least {FEWEST} samples"
        )
    shared = platform.shifts.kept @ platform.shifts.log**2
    share = shared / (shared + c**2 * len(platform.shifts.log))
    return (
        f"genes of bulk and reference differ by factors of exp(+-{platform.tau:.2f}) that all "
        f"samples share ({share:.0%} of the misfit); beyond that, genes scatter by {c:.0%} of "
        "their expression"
    )


def held(model: Model, data: Data, reference: Reference, *, shared: bool = True) -> Data:
    """The data, divided by their size, with what the model of a platform needs of every sample.

    ``shared=False`` leaves out the draws of shared errors.
    """
    platform = model.platform
    assert platform is not None
    phi = known_phi(data.phi)
    rng = np.random.default_rng(_SEED)
    factors: Array = np.zeros((1, data.y.shape[1]))
    if shared and platform.level is not None:
        factors = draw_factors(platform, SHARED, rng)
    covariance = model.covariance if int(reference.replicates.max()) > 1 else None
    found = hold(platform, covariance, data.y, phi, factors)
    moved = found.moved if len(factors) > 1 else None
    if shared and model.level_sd > 0:
        yields = draw_yields(model.n_types, SHARED, model.level_sd, rng)
        moved = found.moved + yields[:, None]
    size = np.logaddexp.reduce(found.log_q, axis=1, keepdims=True)
    start: Array = theta_of(np.exp(found.log_q - size))
    if model.free_size:
        start = np.column_stack([start, size])
    return data._replace(
        phi=np.full(len(data.y), platform.law.phi) if phi is None else phi,
        shared_shift=moved,
        held=found.packed,
        start=start,
        background=found.background,
        scale=found.scale,
    )
