"""The options of `deconvolve`, checked before any work is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bayesdecov import checks
from bayesdecov.algebra.priors import Dirichlet, Prior, SoftmaxNormal
from bayesdecov.baselines import BASELINES
from bayesdecov.errors import InputError
from bayesdecov.options import Elsewhere, Sampling, of_class
from bayesdecov.sampling import NUTS_ONLY, Schedule, scheduled
from bayesdecov.verdicts import PARETO_K

NOISES = ("auto", "none", "counting")
SIZE_FACTORS = ("auto", "fixed", "free")
PRIORS = ("auto", "flat", "jeffreys", "decovart", "normal")
PLATFORMS = ("auto", "same", "elsewhere")
METHODS = ("map", "laplace", "nuts", *BASELINES)
LEVEL_SD = 0.2  # of the logarithm of a cell type's yield
# enough in coordinates that are approximately standard normal
USUAL = Schedule(draws=1000, tune=300, target_accept=0.85)


def name_of_platform(platform: str | Elsewhere) -> str:
    """One of `PLATFORMS`."""
    return "elsewhere" if isinstance(platform, Elsewhere) else platform


def level_sd_of(platform: str | Elsewhere) -> float:
    """The standard deviation of log-yields that is asked for."""
    chosen = platform.level_sd if isinstance(platform, Elsewhere) else None
    return LEVEL_SD if chosen is None else float(chosen)


def check_model(
    prior: Any, noise: Any, size_factor: Any, df: Any, platform: str | Elsewhere
) -> None:
    """Raise `InputError` where an option of the model is wrong, whatever the data are."""
    checks.check_choice(noise, NOISES, "noise")
    checks.check_choice(size_factor, SIZE_FACTORS, "size_factor")
    if not isinstance(prior, (Dirichlet, SoftmaxNormal)):
        checks.check_choice(prior, PRIORS, "prior")
    if df not in (None, "auto"):
        checks.check_positive(df, "df")
    if isinstance(platform, Elsewhere):
        sd = platform.level_sd
        if sd is not None and not (isinstance(sd, (int, float)) and np.isfinite(sd) and sd >= 0):
            raise InputError("level_sd", "must be a log-sd, 0 or a positive number", found=repr(sd))
    platform = name_of_platform(platform)
    checks.check_choice(platform, PLATFORMS, "platform")
    if platform == "elsewhere":
        for name, value, refused in (
            ("prior", prior, prior == "decovart"),
            ("noise", noise, noise == "none"),
            ("df", df, df != "auto"),
        ):
            if refused:
                raise InputError(
                    name,
                    "cannot have this value with platform='elsewhere', where noise is learned "
                    "from the cohort",
                    found=repr(value),
                    fix="leave it out, or use platform='same'",
                )


@dataclass(frozen=True, kw_only=True)
class DeconvolutionRequest:
    """The options that `deconvolve` documents, under the same names."""

    method: str = "map"
    prior: str | Prior = "auto"
    noise: str = "auto"
    seed: Any = None
    n_jobs: int = 1
    size_factor: str = "auto"
    df: float | str | None = "auto"
    platform: str | Elsewhere = "auto"
    sampling: Sampling = field(default_factory=Sampling)
    calibrate: bool = False
    other: bool = False
    mrna_per_cell: Any = None
    assume_linear: bool = False
    progress: bool | None = None

    def __post_init__(self) -> None:
        """Raise `InputError` where an option is wrong or does not go with the method."""
        method = self.method
        checks.check_choice(method, METHODS, "method")
        check_model(self.prior, self.noise, self.size_factor, self.df, self.platform)
        sampling = of_class(self.sampling, Sampling, "sampling")
        if sampling.draws is not None:
            checks.check_whole(sampling.draws, "draws", at_least=2)
        k = self.max_pareto_k
        if not (isinstance(k, (int, float)) and k > 0):
            raise InputError("max_pareto_k", "must be a positive number", found=repr(k))
        if method != "nuts":
            for name in NUTS_ONLY:
                if getattr(sampling, name) is not None:
                    raise InputError(
                        name,
                        f"is not an option of method={method!r}",
                        fix="leave it out, or use method='nuts'",
                    )
        checks.check_workers(self.n_jobs)
        if sampling.bootstrap is not None:
            checks.check_whole(sampling.bootstrap, "bootstrap", at_least=2)
            if method not in BASELINES:
                raise InputError(
                    "bootstrap",
                    f"is not an option of method={method!r}",
                    fix=f"it is for {', '.join(BASELINES)}",
                )
        if name_of_platform(self.platform) == "elsewhere":
            for name, refused in (
                ("method", method in BASELINES), ("calibrate", self.calibrate),
                ("other", self.other),
            ):  # fmt: skip
                if refused:
                    raise InputError(
                        "platform",
                        f"'elsewhere' cannot be combined with {name}={getattr(self, name)!r}",
                        fix="leave one of them out",
                    )
        if self.calibrate and method in BASELINES:
            raise InputError(
                "calibrate",
                f"is not an option of method={method!r}",
                fix="use method='map', 'laplace' or 'nuts'",
            )
        if self.other and (self.calibrate or method in BASELINES):
            raise InputError(
                "other",
                "cannot be combined with "
                + ("calibrate" if self.calibrate else f"method={method!r}"),
                fix="leave one of them out: pseudo-bulks contain known cells only"
                if self.calibrate
                else "use method='map', 'laplace' or 'nuts'; 'epic' and "
                "'quantiseq' report their own 'other' in the diagnostics",
            )
        _ = self.schedule

    @property
    def schedule(self) -> Schedule:
        """How NUTS samples; the number of draws of every method."""
        return scheduled(self.sampling, USUAL)

    @property
    def max_pareto_k(self) -> float:
        """The largest Pareto-k that is accepted."""
        chosen = self.sampling.max_pareto_k
        return PARETO_K if chosen is None else chosen

    @property
    def bootstrap(self) -> int:
        """How often a baseline is repeated; 0 for never."""
        return self.sampling.bootstrap or 0

    @property
    def modelled(self) -> bool:
        """Whether the method has a likelihood."""
        return self.method not in BASELINES

    @property
    def platform_asked(self) -> str | Elsewhere:
        """The platform to prepare for: options that know one platform only keep it."""
        if self.platform == "auto" and (self.calibrate or not self.modelled):
            return "same"
        return self.platform

    def shown_seed(self) -> Any:
        """The seed as ``run.json`` shows it."""
        if self.seed is None or isinstance(self.seed, np.random.Generator):
            return self.seed if self.seed is None else "generator"
        return int(self.seed)
