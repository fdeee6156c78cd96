"""The choices of the moment estimator, and named sets of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from bayesdecov import checks
from bayesdecov.errors import InputError
from bayesdecov.mixed_effects.screens import SCREENS

COVARIANCES = ("trimmed", "sample", "mcd", "ogk")
STATISTICS = ("whitened", "marginal", "prior", "score")


@dataclass(frozen=True)
class Options:
    """How `fastmix` estimates and tests; every field is one keyword of `fastmix`.

    Attributes
    ----------
    trim
        Share of genes left out of the covariance of effects with differentially expressed genes.
    screen
        How such effects are found: "mixture", "anderson", "shapiro", "none", or their names.
    screen_level, screen_correct
        Level of the tests, and whether it is divided by the number of effects.
    screen_single
        Also screen where there is a single random effect (FastMix 0.2.5 does not).
    covariance
        "trimmed" (FastMix), "sample" (no trimming), "mcd" or "ogk" (classical robust estimates).
    correction
        "block": the trimmed block between matrix square roots (Eq. 13). "diagonal": its variances
        only, as the R program does; correlations are left and the result can be indefinite.
    drop_outliers
        Estimate without genes that are three times farther out than the farthest of as many normal
        ones would be; they get effects like all others.
    diagonal
        Independent random effects: a diagonal Psi.
    bias
        Which fixed effects get the robust-mean correction: "flagged", "all" or "none".
    trim_fixed
        Estimate fixed effects from the genes that were kept only.
    statistic
        What is compared with the normal: "whitened" (EBLUPs times the inverse root of their
        covariance), "marginal" (over their own standard deviation), "prior" (over the standard
        deviation of the random effect, Eq. 14), "score" (the best test for one shifted effect).
    sided
        2, or 1 for ``1 - Phi(|z|)`` as in Eq. 14.
    df
        "satterthwaite", or "residual": ``min(m, n) - L - 1``.
    """

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
    # what the R program does, defects included where they change numbers
    "fastmix-0.2.5": Options(
        screen_correct=False,
        screen_single=False,
        correction="diagonal",
        df="residual",
        drop_outliers=False,
    ),
    # what the paper's text says
    "paper": Options(
        screen="shapiro", screen_correct=False, statistic="prior", sided=1, drop_outliers=False
    ),
}


def resolve(preset: str | None, given: dict[str, Any]) -> Options:
    """The preset with the options that were given (not None) put over it, all checked."""
    base = PRESETS[checks.choice(preset, tuple(PRESETS), "preset")] if preset else Options()
    chosen = replace(base, **{name: value for name, value in given.items() if value is not None})
    trim = chosen.trim
    if isinstance(trim, bool) or not isinstance(trim, (int, float)) or not 0 <= trim < 1:
        raise InputError("trim", "must lie in [0, 1)", found=repr(trim),
                         fix="0.5 leaves out half of the genes")  # fmt: skip
    checks.probability(chosen.screen_level, "screen_level")
    checks.choice(chosen.covariance, COVARIANCES, "covariance")
    checks.choice(chosen.correction, ("block", "diagonal"), "correction")
    checks.choice(chosen.bias, ("flagged", "all", "none"), "bias")
    checks.choice(chosen.statistic, STATISTICS, "statistic")
    checks.choice(chosen.df, ("satterthwaite", "residual"), "df")
    if chosen.sided not in (1, 2):
        raise InputError("sided", "must be 1 or 2", found=repr(chosen.sided))
    if isinstance(chosen.screen, str):
        checks.choice(chosen.screen, (*SCREENS, "none"), "screen")
    elif not isinstance(chosen.screen, Iterable):
        raise InputError("screen", "must be a test or the names of random effects",
                         found=repr(chosen.screen))  # fmt: skip
    else:
        chosen = replace(chosen, screen=tuple(str(name) for name in chosen.screen))
    return chosen
