r"""The robust moment estimator of FastMix, for all genes at once.

1. :math:`\sigma^2` from the median RSS (Wilson-Hilferty median of :math:`\chi^2`).
2. :math:`\Psi_0 = \mathrm{cov}(c) - \sigma^2 V_z` (FastMix Eq. 12), a first robust mean
   and first EBLUPs.
3. Effects with non-normal standardised values are flagged as containing differentially expressed
   genes (`screens`).
4. The fraction ``trim`` of genes that are most extreme in those directions is left out, and the
   covariance of the others is corrected for it (FastMix Eq. 13, `truncation.consistency`).
5. Fixed effects from these genes with the robust-mean correction, and the final EBLUPs.

Source: medRxiv 2021.09.14.21263182; `options` marks what its R program (0.2.5) adds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesdecov.algebra.shared_design import LeastSquares, embed, subset
from bayesdecov.algebra.terms import Array
from bayesdecov.algebra.truncation import (
    RobustMean,
    at_least,
    consistency,
    far_out,
    inverse_root,
    robust_mean,
    root,
    trimmed_variance_df,
)
from bayesdecov.checks import some
from bayesdecov.errors import InputError, Notes
from bayesdecov.mixed_effects.eblup import Prediction, p_values, predict, statistics
from bayesdecov.mixed_effects.estimate import Estimate
from bayesdecov.mixed_effects.options import Choices
from bayesdecov.mixed_effects.screens import screen

_ROBUST_TRIM = 0.5  # of the robust mean, independent of the trimming of the covariance
_FAR_FROM_SETTLED = 0.1  # last step of the robust mean, in standard deviations
_FLOOR = 0.01  # of the residual variance: smallest eigenvalue of Psi that is used


def residual_variance(ls: LeastSquares) -> float:
    """Median RSS over the median of chi-squared (Wilson and Hilferty 1931)."""
    df = ls.df
    return float(np.median(ls.rss) / (df * (1 - 2 / (9 * df)) ** 3))


class _Fixed(NamedTuple):
    """Fixed effects and their covariance."""

    beta: Array
    cov: Array


class _Fit(NamedTuple):
    """All estimates except the predictions of the genes."""

    fixed: _Fixed
    Psi: Array
    sigma2: float
    inflation: Array
    record: dict[str, Any]
    trimmed: NDArray[np.bool_] | None = None


def fit_moments(
    ls: LeastSquares, choices: Choices, names: list[str], notes: Notes, rng: np.random.Generator
) -> Estimate:
    """Estimate by moments; ``names`` are the random effects, for options and notes."""
    used, left_out = ls, 0
    if choices.drop_outliers:
        outliers = far_out(ls.c)
        left_out = int(outliers.sum())
        if left_out:
            notes.info(
                f"{left_out} genes are too extreme to be used in the estimates "
                "(drop_outliers=False uses them); their effects are still predicted"
            )
            used = subset(ls, ~outliers)
    if choices.covariance in ("mcd", "ogk"):
        fit = _classical(used, choices, rng)
    else:
        fit = _moments(used, choices, names, notes)
    if not all(np.isfinite(part).all() for part in (fit.fixed.beta, fit.fixed.cov, fit.Psi)):
        raise InputError(
            "expression",
            "must allow a finite estimate with method='moments'",
            fix="remove genes with extreme values, or use method='mixture'",
        )
    fit.record["outliers"] = left_out
    return _finish(ls, used, fit, choices)


def _moments(ls: LeastSquares, choices: Choices, names: list[str], notes: Notes) -> _Fit:
    sigma2 = residual_variance(ls)
    T0 = np.atleast_2d(np.cov(ls.c, rowvar=False))
    Psi0 = T0 - sigma2 * ls.Vz
    everything = np.ones(len(ls.c), dtype=bool)
    zero, plain = np.zeros(len(names)), np.ones(len(ls.mean))
    floored = _floored(Psi0, sigma2, choices.diagonal)
    if choices.covariance == "sample":
        fixed = _fixed(ls, everything, zero, floored, sigma2)
        return _Fit(fixed, floored, sigma2, plain, {"flagged": []})
    start = robust_mean(ls.c, T0, trim=_ROBUST_TRIM)
    first_shift = zero if choices.bias == "none" else start.centre
    fixed = _fixed(ls, everything, first_shift, floored, sigma2)
    first = predict(ls, fixed.beta, fixed.cov, floored, np.array([sigma2]))
    flagged, record = _flag(first, floored, np.diag(Psi0) > 0, choices, names, notes)
    if not choices.screen_single and len(names) == 1:
        notes.info("a single random effect is not screened, as in FastMix 0.2.5")
        return _Fit(fixed, floored, sigma2, plain, record)
    if not flagged.any():
        if choices.screen != "none":
            notes.info(
                "no random effect was flagged as containing differentially expressed genes: "
                "nothing was trimmed"
            )
        fixed = _fixed(ls, everything, zero, floored, sigma2)
        return _Fit(fixed, floored, sigma2, plain, record)

    kept, T = _trimmed(ls.c, T0, flagged, choices)
    Psi = _floored(T - sigma2 * ls.Vz, sigma2, choices.diagonal)
    centre = robust_mean(ls.c, T, trim=_ROBUST_TRIM)
    _converged(centre, notes)
    corrected = {"flagged": flagged, "all": np.ones_like(flagged), "none": np.zeros_like(flagged)}[
        choices.bias
    ]
    fixed = _fixed(
        ls,
        kept if choices.trim_fixed else everything,
        np.where(corrected, centre.centre, 0.0),
        Psi,
        sigma2,
    )
    inflation = plain.copy()
    inflation[ls.random[corrected]] = np.sqrt(centre.inflation)
    record |= {"kept_genes": int(kept.sum()), "robust_mean_inflation": centre.inflation}
    return _Fit(fixed, Psi, sigma2, inflation, record, flagged)


def _floored(Psi: Array, sigma2: float, diagonal: bool) -> Array:
    """Psi with eigenvalues of at least a hundredth of the residual variance."""
    if diagonal:
        return np.diag(np.maximum(np.diag(Psi), _FLOOR * sigma2))
    return at_least(Psi, _FLOOR * sigma2)


def _fixed(
    ls: LeastSquares, kept: NDArray[np.bool_], shift: Array, Psi: Array, sigma2: float
) -> _Fixed:
    """The mean of the kept genes, with a shift of the random columns."""
    beta = ls.mean.copy() if kept.all() else ls.b[kept].mean(axis=0)
    beta[ls.random] += shift
    return _Fixed(beta, (embed(Psi, ls) + sigma2 * ls.V) / kept.sum())


def _flag(
    first: Prediction,
    Psi: Array,
    varies: NDArray[np.bool_],
    choices: Choices,
    names: list[str],
    notes: Notes,
) -> tuple[NDArray[np.bool_], dict[str, Any]]:
    """Flags of the effects that contain differentially expressed genes."""
    record: dict[str, Any] = {}
    if choices.screen == "none":
        wanted = np.zeros(len(names), dtype=bool)
    elif isinstance(choices.screen, str):
        x = statistics(first, Psi, "marginal")
        found = screen(
            x, choices.screen, level=choices.screen_level, correct=choices.screen_correct
        )
        wanted = found.flagged
        record["screen_evidence"] = dict(zip(names, found.evidence.tolist(), strict=True))
        record["screen_rule"] = found.what
    else:
        unknown = [name for name in choices.screen if name not in names]
        if unknown:
            raise InputError(
                "screen", f"must name random effects, among {some(names, 20)}", found=some(unknown)
            )
        wanted = np.isin(names, choices.screen)
    still = [name for name, lost in zip(names, wanted & ~varies, strict=True) if lost]
    if still:
        notes.info(f"not trimmed, because they do not vary between genes: {some(still)}")
    flagged = wanted & varies
    record["flagged"] = [name for name, yes in zip(names, flagged, strict=True) if yes]
    return flagged, record


def _trimmed(
    c: Array, T0: Array, flagged: NDArray[np.bool_], choices: Choices
) -> tuple[NDArray[np.bool_], Array]:
    """The genes kept, and the covariance of ``c`` implied by them."""
    t = c @ inverse_root(T0)
    distance = np.square(t[:, flagged]).sum(axis=1)
    count = int(np.floor(len(c) * (1 - choices.trim)))
    if count < 2 * len(T0) + 2:
        raise InputError(
            "trim",
            "must leave at least twice as many genes as random effects",
            found=f"{choices.trim:g}, which leaves {count} of {len(c)} genes",
        )
    kept = np.zeros(len(c), dtype=bool)
    kept[np.argsort(distance, kind="stable")[:count]] = True
    factor = consistency(int(flagged.sum()), choices.trim) if choices.trim > 0 else 1.0
    block = factor * np.atleast_2d(np.cov(t[np.ix_(kept, flagged)], rowvar=False))
    if choices.correction == "diagonal":
        T = T0.copy()
        where = np.flatnonzero(flagged)
        T[where, where] *= np.diag(block)
        return kept, T
    middle = np.eye(len(T0))
    middle[np.ix_(flagged, flagged)] = block
    half = root(T0)
    return kept, half @ middle @ half


def _converged(found: RobustMean, notes: Notes) -> None:
    if found.converged:
        return
    (notes.warn if found.step > _FAR_FROM_SETTLED else notes.info)(
        f"the robust mean changed by {found.step:.1g} standard deviations in its last step "
        f"({found.iterations} steps)"
    )


def _classical(ls: LeastSquares, choices: Choices, rng: np.random.Generator) -> _Fit:
    """The covariance of ``c`` by a classical robust estimator, for comparison."""
    sigma2 = residual_variance(ls)
    if choices.covariance == "mcd":
        from sklearn.covariance import MinCovDet

        robust = MinCovDet(
            support_fraction=max(1 - choices.trim, 0.5), random_state=int(rng.integers(2**31))
        ).fit(ls.c)
        T, centre = robust.covariance_, robust.location_
    else:
        from statsmodels.robust.covariance import cov_ogk

        robust = cov_ogk(ls.c)
        T, centre = np.asarray(robust.cov), np.asarray(robust.mean)
    Psi = _floored(T - sigma2 * ls.Vz, sigma2, choices.diagonal)
    fixed = _fixed(ls, np.ones(len(ls.c), dtype=bool), centre, Psi, sigma2)
    return _Fit(fixed, Psi, sigma2, np.ones(len(ls.mean)), {"flagged": []})


def _finish(ls: LeastSquares, used: LeastSquares, fit: _Fit, choices: Choices) -> Estimate:
    """Predictions for all genes, from estimates based on the genes used."""
    m, n_columns = used.b.shape
    if choices.df == "residual":
        df = np.full(n_columns, float(max(min(m, ls.df + n_columns) - n_columns - 1, 1)))
    else:
        df = np.full(n_columns, float(m * ls.df))  # of the residual variance
        df[ls.random] = float(m - 1)
        if fit.trimmed is not None:
            count = int(fit.trimmed.sum())
            df[ls.random[fit.trimmed]] = trimmed_variance_df(count, choices.trim, m)
    last = predict(ls, fit.fixed.beta, fit.fixed.cov, fit.Psi, np.array([fit.sigma2]))
    z = statistics(last, fit.Psi, choices.statistic)
    sd = np.broadcast_to(np.sqrt(last.variance), last.gamma.shape)
    return Estimate(
        fit.fixed.beta,
        fit.fixed.cov,
        df,
        fit.inflation,
        fit.Psi,
        np.array([fit.sigma2]),
        last.gamma,
        sd,
        z,
        p_values(z, sided=choices.sided),
        fit.record,
    )
