"""Options of a deconvolution, checked before any work is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesdecov import checks
from bayesdecov.algebra.priors import Prior
from bayesdecov.baselines import BASELINES
from bayesdecov.deconvolution.problem import NOISES
from bayesdecov.diagnostics import PARETO_K
from bayesdecov.errors import InputError
from bayesdecov.sampling import Sampling

METHODS = ("map", "laplace", "nuts", *BASELINES)
# enough in coordinates that are standard normal to begin with
_NUTS: dict[str, Any] = {"tune": 300, "target_accept": 0.85}
_SAMPLING = ("tune", "chains", "cores", "target_accept", "nuts_sampler")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `deconvolve` documents, by the same names."""

    method: str = "map"
    prior: str | Prior = "flat"
    noise: str = "auto"
    seed: Any = None
    n_jobs: int = 1
    size_factor: str = "auto"
    df: float | str | None = "auto"
    draws: int = 1000
    tune: int | None = None
    chains: int | None = None
    cores: int | None = None
    target_accept: float | None = None
    nuts_sampler: str | None = None
    max_pareto_k: float = PARETO_K
    calibrate: bool = False
    other: bool = False
    bootstrap: int | None = None
    mrna_per_cell: Any = None
    assume_linear: bool = False
    progress: bool | None = None

    def __post_init__(self) -> None:
        """Raise `InputError` where an option is wrong or does not go with the method."""
        method = self.method
        checks.choice(method, METHODS, "method")
        checks.choice(self.noise, NOISES, "noise")
        checks.whole(self.draws, "draws", at_least=2)
        k = self.max_pareto_k
        if not (isinstance(k, (int, float)) and k > 0):
            raise InputError("max_pareto_k", "must be a positive number", found=repr(k))
        if method != "nuts":
            for name in _SAMPLING:
                if getattr(self, name) is not None:
                    raise InputError(name, f"is not an option of method={method!r}",
                                     fix="leave it out, or use method='nuts'")  # fmt: skip
        checks.workers(self.n_jobs)
        if self.bootstrap is not None:
            checks.whole(self.bootstrap, "bootstrap", at_least=2)
            if method not in BASELINES:
                raise InputError("bootstrap", f"is not an option of method={method!r}",
                                 fix=f"it is for {', '.join(BASELINES)}")  # fmt: skip
        if self.calibrate and method in BASELINES:
            raise InputError("calibrate", f"is not an option of method={method!r}",
                             fix="use method='map', 'laplace' or 'nuts'")  # fmt: skip
        if self.other and (self.calibrate or method in BASELINES):
            raise InputError(
                "other", "cannot be combined with "
                + ("calibrate" if self.calibrate else f"method={method!r}"),
                fix="leave one of them out: pseudo-bulks hold known cells only"
                if self.calibrate else "use method='map', 'laplace' or 'nuts'; 'epic' and "
                "'quantiseq' have an other of their own in the diagnostics",
            )  # fmt: skip
        _ = self.sampling

    @property
    def sampling(self) -> Sampling:
        """How NUTS samples; the number of draws of every method."""
        given = {name: getattr(self, name) for name in _SAMPLING}
        chosen = {name: value for name, value in given.items() if value is not None}
        return Sampling.of(_NUTS | {"draws": self.draws} | chosen)

    @property
    def modelled(self) -> bool:
        """Whether the method has a likelihood."""
        return self.method not in BASELINES

    def shown_seed(self) -> Any:
        """The seed as ``run.json`` shows it."""
        if self.seed is None or isinstance(self.seed, np.random.Generator):
            return self.seed if self.seed is None else "generator"
        return int(self.seed)
