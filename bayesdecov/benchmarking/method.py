"""Methods of a benchmark: methods of `deconvolve` with options, or the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from bayesdecov import checks
from bayesdecov.baselines import BASELINES
from bayesdecov.deconvolution.options import METHODS, DeconvolutionRequest
from bayesdecov.deconvolution.run import run
from bayesdecov.errors import InputError
from bayesdecov.options import Sampling, grouped
from bayesdecov.reference.build import ESTIMATORS
from bayesdecov.reference.reference import Reference
from bayesdecov.results.proportions import Proportions

DEFAULT = ("map", "laplace", *BASELINES)
_OPTIONS: dict[str, Callable[[str], Any]] = {
    "covariance": str,
    "prior": str,
    "noise": str,
    "size_factor": str,
    "df": str,
    "platform": str,
    "draws": int,
    "tune": int,
    "chains": int,
    "target_accept": float,
    "nuts_sampler": str,
}

Own = Callable[[pd.DataFrame, Reference], Any]


@dataclass(frozen=True)
class Method:
    """A name for the tables, and a method of estimation.

    ``own`` takes (bulk, reference) and returns proportions (samples x cell types) or a result of
    `deconvolve`; otherwise ``method`` and ``options`` are those of `deconvolve`.
    """

    name: str
    method: str = ""
    covariance: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    own: Own | None = None

    def estimate(
        self, bulk: pd.DataFrame, reference: Reference, seed: int, bootstrap: int | None = None
    ) -> Proportions | pd.DataFrame:
        """Proportions of the bulks."""
        if self.own is not None:
            found = self.own(bulk.copy(), reference)
            if not isinstance(found, (Proportions, pd.DataFrame)):
                raise InputError(
                    self.name,
                    "must return a DataFrame (samples x cell types) or a result of deconvolve",
                    found=type(found).__name__,
                )
            return found
        options = dict(self.options)
        if self.method == "nuts":
            options.setdefault("cores", 1)
        if bootstrap and self.method in BASELINES:
            options["bootstrap"] = bootstrap
        options = grouped(options, sampling=Sampling)
        request = DeconvolutionRequest(method=self.method, seed=seed, progress=False, **options)
        return run(bulk, reference, request)


def methods_of(given: Iterable[str] | Mapping[str, str | Own] | None) -> list[Method]:
    """Methods from texts ``method[:option=value[,option=value]]``, or from a mapping by name."""
    if given is None:
        given = DEFAULT
    if isinstance(given, str):
        given = (given,)
    named = given.items() if isinstance(given, Mapping) else [(each, each) for each in given]
    found = []
    for name, what in named:
        if callable(what):
            found.append(Method(str(name), own=what))
        else:
            found.append(_parsed(str(name), what))
    if not found:
        raise InputError("methods", "must name at least one method")
    checks.check_unique(pd.Index([method.name for method in found]), "methods", "method")
    return found


def _parsed(name: str, text: Any) -> Method:
    if not isinstance(text, str):
        raise InputError("methods", "must be texts or functions", found=type(text).__name__)
    method, _, rest = text.partition(":")
    checks.check_choice(method, METHODS, "methods")
    options: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        key = key.strip()
        if not equals or key not in _OPTIONS:
            raise InputError(
                "methods",
                f"options must be written name=value, with the names {', '.join(_OPTIONS)}",
                found=repr(part),
            )
        try:
            options[key] = _OPTIONS[key](value.strip())
        except ValueError:
            raise InputError("methods", f"{key} must be a number", found=repr(value)) from None
    if "df" in options and options["df"] not in ("auto", "none"):
        try:
            options["df"] = float(options["df"])
        except ValueError:
            raise InputError(
                "methods", "df must be a number, 'auto' or 'none'", found=repr(options["df"])
            ) from None
    if options.get("df") == "none":
        options["df"] = None
    covariance = options.pop("covariance", None)
    if covariance is not None:
        checks.check_choice(covariance, ESTIMATORS, "methods: covariance")
    return Method(name, method, covariance, options)
