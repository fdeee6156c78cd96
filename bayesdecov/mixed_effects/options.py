"""Options of each method, and the choices that result from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.mixed_effects.screens import SCREENS
from bayesdecov.options import EstimatorOptions, Sampling, given
from bayesdecov.sampling import Schedule

METHODS = ("moments", "map", "mixture", "nuts", "joint")
ERRORS = ("ignore", "calibrate")
COVARIANCES = ("trimmed", "sample", "mcd", "ogk")
STATISTICS = ("whitened", "marginal", "prior", "score")
USUAL = Schedule()
_MOMENTS_ONLY = (
    "trim",
    "screen",
    "screen_level",
    "screen_correct",
    "screen_single",
    "covariance",
    "drop_outliers",
    "correction",
    "bias",
    "trim_fixed",
    "df",
)
_NUTS_ONLY = ("contaminated", "nu")
_TRIMMED_ONLY = (
    "screen",
    "screen_level",
    "screen_correct",
    "screen_single",
    "correction",
    "bias",
    "trim_fixed",
)


@dataclass(frozen=True)
class Choices:
    """Settings of the moment estimator and the tests; see `bayesdecov.EstimatorOptions`."""

    trim: float = 0.5
    screen: str | tuple[str, ...] = "mixture"
    screen_level: float = 0.05
    screen_correct: bool = True
    screen_single: bool = True
    covariance: str = "trimmed"
    correction: str = "block"
    drop_outliers: bool = True
    diagonal: bool = False
    bias: str = "flagged"
    trim_fixed: bool = True
    statistic: str = "whitened"
    sided: int = 2
    df: str = "satterthwaite"


PRESETS = {
    # the R program, including defects that affect its numbers
    "fastmix-0.2.5": Choices(
        screen_correct=False,
        screen_single=False,
        correction="diagonal",
        df="residual",
        drop_outliers=False,
    ),
    # as in the paper's text
    "paper": Choices(
        screen="shapiro", screen_correct=False, statistic="prior", sided=1, drop_outliers=False
    ),
}


def resolve(preset: str | None, estimator: EstimatorOptions) -> Choices:
    """The preset, overridden by the given options, all checked."""
    base = PRESETS[checks.check_choice(preset, tuple(PRESETS), "preset")] if preset else Choices()
    known = asdict(base)
    asked = {name: value for name, value in given(estimator).items() if name in known}
    chosen = replace(base, **asked)
    trim = chosen.trim
    if isinstance(trim, bool) or not isinstance(trim, (int, float)) or not 0 <= trim < 1:
        raise InputError(
            "trim", "must lie in [0, 1)", found=repr(trim), fix="0.5 leaves out half of the genes"
        )
    checks.check_probability(chosen.screen_level, "screen_level")
    checks.check_choice(chosen.covariance, COVARIANCES, "covariance")
    checks.check_choice(chosen.correction, ("block", "diagonal"), "correction")
    checks.check_choice(chosen.bias, ("flagged", "all", "none"), "bias")
    checks.check_choice(chosen.statistic, STATISTICS, "statistic")
    checks.check_choice(chosen.df, ("satterthwaite", "residual"), "df")
    if chosen.sided not in (1, 2):
        raise InputError("sided", "must be 1 or 2", found=repr(chosen.sided))
    if isinstance(chosen.screen, str):
        checks.check_choice(chosen.screen, (*SCREENS, "none"), "screen")
    elif not isinstance(chosen.screen, Iterable):
        raise InputError(
            "screen", "must be a test or the names of random effects", found=repr(chosen.screen)
        )
    else:
        chosen = replace(chosen, screen=tuple(str(name) for name in chosen.screen))
    return chosen


def check_suited(
    method: str, preset: str | None, estimator: EstimatorOptions, sampling: Sampling
) -> None:
    """Refuse options that the method would ignore."""
    used = [name for name in given(estimator) if name != "variance"]
    of_nuts = [*given(sampling), *(name for name in used if name in _NUTS_ONLY)]
    used += given(sampling)
    if method == "moments":
        foreign = ["reml"] if "reml" in used else of_nuts
    elif method == "map":
        foreign = [name for name in used if name in _MOMENTS_ONLY] + of_nuts
    elif method == "nuts":
        foreign = [name for name in used if name in (*_MOMENTS_ONLY, "diagonal", "reml")]
        _check_robust(estimator.contaminated, estimator.nu)
    else:
        foreign = used
    if estimator.covariance in ("sample", "mcd", "ogk"):
        wasted = [name for name in used if name in _TRIMMED_ONLY]
        if estimator.covariance != "mcd" and "trim" in used:
            wasted.append("trim")
        if wasted:
            raise InputError(
                wasted[0],
                f"is not used with covariance={estimator.covariance!r}",
                fix="leave one of them out",
            )
    if preset is not None and method != "moments":
        foreign.append("preset")
    if foreign:
        home = "nuts" if foreign[0] in of_nuts else ("map" if foreign[0] == "reml" else "moments")
        raise InputError(
            foreign[0],
            f"is not an option of method={method!r}",
            fix=f"leave it out, or use method={home!r}",
        )
    if estimator.variance is not None:
        checks.check_choice(estimator.variance, ("common", "gene"), "variance")
        if estimator.variance == "gene" and method not in ("mixture", "joint"):
            raise InputError(
                "variance", "'gene' needs method='mixture' or 'joint'", found=f"method={method!r}"
            )


def _check_robust(contaminated: Any, nu: Any) -> None:
    """Check ``contaminated`` and ``nu``, which exclude each other."""
    if contaminated not in (None, True, False):
        raise InputError("contaminated", "must be True or False", found=repr(contaminated))
    fixed = isinstance(nu, (int, float)) and not isinstance(nu, bool) and nu > 2
    if not (nu is None or nu == "estimate" or fixed):
        raise InputError("nu", "must be a number above 2, or 'estimate'", found=repr(nu))
    if contaminated and nu is not None:
        raise InputError(
            "nu",
            "is not used with contaminated=True, which is already robust",
            fix="leave one of them out",
        )
