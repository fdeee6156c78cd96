r"""The exact posterior of every sample by NUTS.

Samples are independent given the reference, so each has its own chains, step sizes and
diagnostics. The chains move in coordinates in which the normal approximation at the mode is
standard normal, :math:`x = \hat x + R u`, and use the same NumPy density as the optimiser:
nothing is compiled, and any structure of the covariances keeps its speed.
"""

from __future__ import annotations

import time

import joblib
import numpy as np

from bayesdecov.algebra.terms import Array
from bayesdecov.deconvolution.fit import log_posterior
from bayesdecov.deconvolution.model import Data, Model
from bayesdecov.deconvolution.posterior import Posterior, laplace_approximation, summarise
from bayesdecov.nuts import Chains, Density, run_nuts
from bayesdecov.sampling import Schedule

_LEAPFROGS = 5  # per draw
_OVERHEAD = 1e-4  # seconds of a sampler's step beside the density


def expected_minutes(model: Model, data: Data, schedule: Schedule, workers: int) -> float:
    """Estimated sampling time, from the time of one gradient."""
    q = np.full((1, model.n_types), 1 / model.n_types)
    one = data.rows(0, 1)
    y, phi = model.projected(one.y, one.held), np.nan_to_num(one.phi, nan=1.0)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        model.density.pieces(q, y, phi, order=1)
        seconds.append(time.perf_counter() - started)
    steps = len(data.y) * schedule.chains * (schedule.draws + schedule.tune) * _LEAPFROGS
    return steps * (min(seconds) + _OVERHEAD) / 60 / max(1, min(workers, joblib.cpu_count()))


def sample_chains(
    model: Model, data: Data, schedule: Schedule, rngs: list[np.random.Generator]
) -> Posterior:
    """Chains of every sample, one independent random stream each."""
    normal = laplace_approximation(model, data)
    objective = log_posterior(
        model, normal.modes.projected, normal.modes.phi, jacobian=True, order=1
    )

    def density_of(i: int) -> Density:
        mode, root, row = normal.modes.x[i], normal.root[i], np.array([i])

        def density(u: Array) -> tuple[float, Array]:
            term = objective((mode + root @ u)[None], row)
            return float(term.value[0]), root.T @ term.gradient[0]

        return density

    chains: list[Chains] = []
    for i, rng in enumerate(rngs):
        starts = rng.standard_normal((schedule.chains, normal.modes.x.shape[1]))
        found = run_nuts(density_of(i), starts, schedule, rng)
        chains.append(found._replace(x=normal.modes.x[i] + found.x @ normal.root[i].T))
    stats = {name: np.stack([chain.stats[name] for chain in chains]) for name in chains[0].stats}
    x = np.stack([chain.x for chain in chains])
    return summarise(model, data, normal, x, stats, np.empty((len(x), 0)))
