"""NUTS on a log-density written in NumPy: PyMC's or nutpie's sampler, without compilation.

The density is a function of a vector that returns value and gradient. PyMC treats it as a
black-box likelihood (an `Op` with its gradient) in a model of one flat vector, which is built once
per dimension and process; nutpie calls the function directly. Both adapt step size and a diagonal
mass matrix during warm-up.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from bayesdecov.algebra.terms import Array
from bayesdecov.sampling import Schedule

_HALVINGS = 30
Density = Callable[[Array], tuple[float, Array]]


class Chains(NamedTuple):
    """Draws (chain, draw, parameter) and the sampler's statistics of each, (chain, draw)."""

    x: Array
    stats: dict[str, np.ndarray]


def run_nuts(
    density: Density, starts: Array, schedule: Schedule, rng: np.random.Generator
) -> Chains:
    """One chain from each row of ``starts``, one after the other."""
    sample = _nutpie if schedule.nuts_sampler == "nutpie" else _pymc
    safe = _guarded(density)
    inside = starts.copy()
    for start in inside:  # towards the centre until the density is not zero
        for _ in range(_HALVINGS):
            if np.isfinite(safe(start)[0]):
                break
            start *= 0.5
    return sample(safe, inside, schedule, rng)


def _guarded(density: Density) -> Density:
    """Where the density cannot be evaluated it is zero, which a sampler reports as a divergence."""

    def safe(x: Array) -> tuple[float, Array]:
        value, gradient = density(x)
        if np.isfinite(value) and np.isfinite(gradient).all():
            return value, gradient
        return -np.inf, np.zeros_like(x)

    return safe


def _nutpie(
    density: Density, starts: Array, schedule: Schedule, rng: np.random.Generator
) -> Chains:
    import nutpie
    from nutpie.compiled_pyfunc import from_pyfunc

    from bayesdecov._arviz import dataset

    size = starts.shape[1]
    waiting = iter(starts)
    model = from_pyfunc(
        size,
        lambda: density,
        lambda *seeds: lambda x: {"x": x},
        [np.dtype("float64")],
        [(size,)],
        ["x"],
        make_initial_point_fn=lambda seed: next(waiting, starts[0]).copy(),
    )
    found = nutpie.sample(
        model,
        draws=schedule.draws,
        tune=schedule.tune,
        chains=len(starts),
        cores=1,
        seed=int(rng.integers(2**31)),
        save_warmup=False,
        progress_bar=False,
        target_accept=schedule.target_accept,
    )
    return Chains(
        np.asarray(dataset(found["posterior"])["x"]), named(dataset(found["sample_stats"]))
    )


# names of the statistics in ArviZ's schema, and in the two samplers
_NAMES = {
    "lp": ("logp", "model_logp"),
    "energy": ("energy",),
    "diverging": ("diverging",),
    "tree_depth": ("depth",),
    "n_steps": ("tree_size",),
    "step_size": ("step_size",),
    "acceptance_rate": ("mean_tree_accept",),
}


def named(stats: Any) -> dict[str, np.ndarray]:
    """Available statistics (chain, draw), under the names of ArviZ's schema."""
    found = {}
    for name, others in _NAMES.items():
        for key in (name, *others):
            if key in stats:
                found[name] = np.asarray(stats[key])
                break
    return found


def _pymc(density: Density, starts: Array, schedule: Schedule, rng: np.random.Generator) -> Chains:
    size = starts.shape[1]
    step, black_box = _step(size, schedule.target_accept)
    black_box.density = density
    x = np.empty((len(starts), schedule.draws, size))
    kept: dict[str, list[Any]] = {name: [] for name in _NAMES}
    for chain, start in enumerate(starts):
        step.reset_tuning()
        stream = np.random.default_rng(int(rng.integers(2**63)))
        if hasattr(step, "setup_chain"):  # PyMC 6
            step.setup_chain(stream, schedule.tune, schedule.draws)
        else:
            step.set_rng(stream)
        point = {"x": np.array(start)}
        for draw in range(-schedule.tune, schedule.draws):
            if draw == 0:
                step.stop_tuning()
            point, (stats,) = step.step(point)
            if draw >= 0:
                x[chain, draw] = point["x"]
                for name, value in named(stats).items():
                    kept[name].append(value)
    shape = (len(starts), schedule.draws)
    return Chains(x, {name: np.array(values).reshape(shape) for name, values in kept.items()})


@functools.lru_cache(maxsize=4)
def _step(size: int, target_accept: float) -> tuple[Any, Any]:
    """PyMC's sampler for a vector of this size, and the `Op` whose density can be replaced."""
    import pymc as pm
    import pytensor.tensor as pt
    from pytensor.compile.mode import Mode
    from pytensor.graph.basic import Apply
    from pytensor.graph.op import Op

    class BlackBox(Op):
        density: Density

        def make_node(self, *inputs: Any) -> Any:
            return Apply(self, list(inputs), [pt.dscalar(), pt.dvector()])

        def perform(self, node: Any, inputs: Any, outputs: Any) -> None:
            value, gradient = self.density(inputs[0])
            outputs[0][0] = np.asarray(value)
            outputs[1][0] = gradient

        def grad(self, inputs: Any, gradients: Any) -> Any:
            return [gradients[0] * self.make_node(*inputs).outputs[1]]

        def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> Any:
            return [cotangents[0] * outputs[1]]

    black_box = BlackBox()
    black_box.density = lambda x: (-0.5 * float(x @ x), -x)
    with pm.Model() as model:
        x = pm.Flat("x", shape=size, initval=np.zeros(size))
        pm.Potential("density", black_box.make_node(x).outputs[0])
        # plain Python: the graph is a call of the density, so there is nothing to compile
        plain = {"mode": Mode(linker="py", optimizer="fast_compile")}
        step = pm.NUTS(
            model=model,
            target_accept=target_accept,
            compile_kwargs=plain,
            initial_point={"x": np.zeros(size)},
        )
        return step, black_box
