r"""Dependent samples: a known covariance, or repeated measurements of subjects.

Within a subject all samples are equally correlated, :math:`C = (1-\rho)I + \rho BB^\top` with ``B``
the samples-by-subjects indicator. One :math:`\rho` for all genes is estimated by REML from the
residuals of least squares: in the eigenvectors of :math:`Q^\top BB^\top Q`, with ``Q`` spanning
the orthogonal complement of the design, the residuals are independent with variances
:math:`\sigma_g^2(1-\rho+\rho a_i)`, and the likelihood is one-dimensional. (FastMix uses a moment
estimator of the same correlation, Zhang et al., PBtest.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from bayesdecov import checks
from bayesdecov.algebra.terms import Array
from bayesdecov.algebra.truncation import inverse_root
from bayesdecov.errors import InputError, Notes
from bayesdecov.formulas.grammar import parse

_ENOUGH_GENES = 5000
_WORST_CONDITION = 1e10  # of a given covariance; above it, rounding dominates whitening


def exchangeable(rho: float, groups: NDArray[np.intp]) -> Array:
    """The correlation matrix of samples from subjects ``groups``."""
    same = (groups[:, None] == groups[None, :]).astype(float)
    return rho * same + (1 - rho) * np.eye(len(groups))


def estimate_correlation(X: Array, Y: Array, groups: NDArray[np.intp]) -> float:
    """REML estimate of the correlation within subjects; ``Y`` is (gene, sample).

    Every gene has its own residual variance, so that noisy genes do not dominate. At most about
    twice ``_ENOUGH_GENES`` evenly spaced genes are used, enough for a single parameter.
    """
    Y = Y[:: max(1, len(Y) // _ENOUGH_GENES)]
    Q = np.linalg.qr(X, mode="complete")[0][:, X.shape[1] :]
    a, U = np.linalg.eigh(Q.T @ exchangeable(1.0, groups) @ Q)
    square = np.square(Y @ (Q @ U))
    square = square[square.sum(axis=1) > 0]
    largest = int(np.bincount(np.unique(groups, return_inverse=True)[1]).max())

    def criterion(rho: float) -> float:
        variance = 1 - rho + rho * np.maximum(a, 0.0)
        own = np.log((square / variance).mean(axis=1)).mean()
        return float(np.log(variance).mean() + own)

    lowest = -1.0 / (largest - 1) if largest > 1 else 0.0
    found = minimize_scalar(
        criterion, bounds=(lowest + 1e-6, 1 - 1e-6), method="bounded", options={"xatol": 1e-8}
    )
    return float(found.x)


def split_subjects(
    subject: Any, table: pd.DataFrame, formula: str | None
) -> tuple[pd.Series, pd.DataFrame]:
    """The subject of each sample, and the covariates without the subject column."""
    if isinstance(subject, str):
        if subject not in table.columns:
            raise InputError(
                "subject",
                f"must be a column of the covariates ({checks.some(table.columns)})",
                found=repr(subject),
            )
        if formula and _names(formula, subject, list(table.columns)):
            raise InputError(
                "formula",
                "must not contain the subject, which is not a covariate",
                found=f"{subject!r} in {formula!r}",
            )
        groups, table = table[subject], table.drop(columns=subject)
        if table.shape[1] == 0:
            raise InputError("covariates", "must have a column besides the subject")
    elif isinstance(subject, pd.Series):
        groups = subject.set_axis([str(name).strip() for name in subject.index])
        missing = table.index.difference(groups.index)
        if len(missing):
            raise InputError(
                "subject", "must include every sample", found=f"none for {checks.some(missing)}"
            )
    else:
        raise InputError(
            "subject",
            "must be a column of the covariates or a Series",
            found=type(subject).__name__,
        )
    if groups.isna().any():
        raise InputError(
            "subject",
            "must not be missing",
            found=f"none for {checks.some(groups.index[groups.isna()])}",
        )
    return groups, table


def _names(formula: str, subject: str, columns: list[str]) -> bool:
    """Whether a formula names the subject; "." stands for the other covariates."""
    try:
        parse(formula, [name for name in columns if name != subject])
    except InputError:
        return subject in parse(formula, columns).columns
    return False


def whitening(
    X: Array, Y: Array, samples: pd.Index, weights: Any, groups: pd.Series | None, notes: Notes
) -> tuple[Array | None, float | None]:
    """The inverse root of the samples' covariance, and the correlation within subjects."""
    if groups is not None:
        if weights is not None:
            raise InputError(
                "weights",
                "cannot be combined with subject",
                fix="include the correlation within subjects in weights",
            )
        codes, subjects = pd.factorize(groups.loc[samples])
        if len(subjects) in (1, len(samples)):
            why = (
                "all samples are from one subject"
                if len(subjects) == 1
                else ("every subject has a single sample")
            )
            notes.warn(f"subject: {why}, so there is no correlation within subjects to account for")
            return None, None
        rho = estimate_correlation(X, Y, codes)
        notes.info(f"correlation within {len(subjects)} subjects: {rho:.3f}")
        return inverse_root(exchangeable(rho, codes), floor=0.0), rho
    if weights is None:
        return None, None
    if isinstance(weights, pd.DataFrame):
        named = weights.set_axis([str(name) for name in weights.index])
        named = named.set_axis([str(name) for name in weights.columns], axis=1)
        missing = samples.difference(named.index.intersection(named.columns))
        if len(missing):
            raise InputError(
                "weights",
                "must contain every sample in rows and columns",
                found=f"no {checks.some(missing)}",
            )
        C = checks.check_numeric(named.loc[samples, samples], "weights").to_numpy()
    else:
        try:
            C = np.asarray(weights, dtype=float)
        except (TypeError, ValueError):
            raise InputError(
                "weights",
                "must be a covariance matrix, samples x samples",
                found=type(weights).__name__,
            ) from None
        if C.shape != (len(samples), len(samples)):
            raise InputError(
                "weights",
                "must be a covariance matrix, samples x samples",
                found=f"shape {C.shape} for {len(samples)} samples (those in all three tables)",
            )
    if not np.isfinite(C).all():
        raise InputError("weights", "must not have missing or infinite values")
    checks.check_positive_definite(C, "weights", "samples")
    condition = float(np.linalg.cond(C))
    if condition > _WORST_CONDITION:
        raise InputError(
            "weights",
            "must be well conditioned",
            found=f"condition number {condition:.1e}",
            fix="leave out samples that provide almost no information",
        )
    notes.info("expression and design were whitened with the given covariance of the samples")
    return inverse_root(C, floor=0.0), None
