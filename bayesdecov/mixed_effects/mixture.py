r"""The contaminated normal model by EM: probabilities of differential expression.

Every effect starts with a component of shifted genes. Components that the data do not support are
removed, those with the smallest loss of log-likelihood first, with EM in between. A component is
kept if the loss exceeds half the upper ``0.05 / q`` quantile of :math:`\chi^2_4` (four parameters
each, Bonferroni over the ``q`` effects); the second moment of a removed one is added to ``Psi``.
Without differentially expressed genes the estimate is that of the plain normal.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.stats import chi2

from bayesdecov.algebra.moderation import SMALLEST, moderated, variance_prior
from bayesdecov.algebra.shared_design import LeastSquares, embed, without_noise
from bayesdecov.algebra.terms import Array
from bayesdecov.algebra.truncation import central
from bayesdecov.errors import Notes
from bayesdecov.mixed_effects.contamination import Expectation, expectation, maximisation
from bayesdecov.mixed_effects.estimate import Estimate
from bayesdecov.mixed_effects.information import averaged, draws
from bayesdecov.mixed_effects.parameters import Contamination, extrapolated, without
from bayesdecov.mixed_effects.posterior import posterior
from bayesdecov.mixed_effects.shift_test import shift_p_values

_NULL_GENES = 10.0  # pseudo-genes without a shift
_LEVEL = 0.05
_COARSE, _FINE = 0.25, 1e-3  # gain of the log-likelihood at which EM stops
_LONGEST = 1000


class _Run(NamedTuple):
    at: Contamination
    seen: Expectation
    iterations: int
    converged: bool


def fit_mixture(
    ls: LeastSquares, variance: str, names: list[str], notes: Notes, rng: np.random.Generator
) -> Estimate:
    """Fit by EM; ``variance`` is "common" or "gene", ``rng`` draws the parameters' uncertainty."""
    s2 = ls.rss / ls.df
    prior_df = np.inf
    facts: dict[str, Any] = {}
    if variance == "gene":
        prior = variance_prior(s2, ls.df)
        prior_df = prior.df
        facts |= {"variance_prior_df": prior.df, "variance_prior": prior.location}
        tiny = int((s2 < SMALLEST * np.median(s2)).sum())
        if tiny:
            notes.info(
                f"{tiny} genes are fitted (almost) exactly; their residual variance is "
                "shrunk towards those of the others"
            )
    if np.isinf(prior_df):
        sigma2 = np.array([s2.mean()])
        if variance == "gene":
            notes.info("residual variances do not differ between genes: a common one is used")
    else:
        sigma2 = moderated(s2, ls.df, prior)
    run = _select(ls, sigma2, _start(ls, float(np.mean(sigma2))))
    if not run.converged:
        notes.warn(f"EM did not converge within {_LONGEST} iterations")
    at, seen = run.at, run.seen
    for k in at.active:
        notes.info(
            f"{names[k]}: {at.up[k]:.1%} of the genes shifted up and {at.down[k]:.1%} down, by "
            f"{at.delta[k]:.3g} (sd {np.sqrt(at.tau2[k]):.2g})"
        )
    if not len(at.active):
        notes.info("no effect has a component of differentially expressed genes")
    facts |= {
        "log_likelihood_of_coefficients": seen.log_likelihood,
        "iterations": run.iterations,
        "converged": run.converged,
        "components": {
            names[k]: {
                "up": float(at.up[k]),
                "down": float(at.down[k]),
                "delta": float(at.delta[k]),
                "tau": float(np.sqrt(at.tau2[k])),
            }
            for k in at.active
        },
    }
    drawn, cov = draws(seen, at, rng)
    if not drawn:
        notes.warn(
            f"{len(ls.c)} genes are too few to quantify the uncertainty of the mixture's "
            "parameters: prob_deg, q_value and std_error ignore it"
        )
        drawn = [at]
    return judge(ls, sigma2, prior_df, at, drawn, cov, facts)


def _start(ls: LeastSquares, sigma2: float) -> Contamination:
    """Median and central covariance; a twentieth of the genes shifted by 2.5 sd."""
    q = len(ls.random)
    beta, T = central(ls.c)
    Psi = without_noise(T, ls.Vz, sigma2, floor=0.01)
    tau2 = 1.0 / np.diag(np.linalg.inv(Psi + sigma2 * ls.Vz))
    share = np.full(q, 0.05 / q)
    return Contamination(
        beta, Psi, 0.9, share, share.copy(), 2.5 * np.sqrt(tau2), tau2, np.arange(q)
    )


def _em(ls: LeastSquares, sigma2: Array, at: Contamination, gain: float, longest: int) -> _Run:
    """Iterate until a step gains less than ``gain`` in the penalised log-likelihood."""

    def look(at: Contamination) -> tuple[Expectation, float]:
        seen = expectation(ls.c, ls.Vz, sigma2, at)
        return seen, seen.log_likelihood + _NULL_GENES * float(np.log(at.null))

    seen, value = look(at)
    steps = 0
    while steps < longest:
        path = [at]
        for _ in range(2):  # two plain steps
            last = value
            at = maximisation(seen, at, _NULL_GENES)
            seen, value = look(at)
            path.append(at)
            steps += 1
            if steps > 3 and abs(value - last) < gain:
                return _Run(at, seen, steps, True)
        further = extrapolated(*path)
        if further is not None:
            seen_further, value_further = look(further)
            steps += 1
            if value_further > value:
                at, seen, value = further, seen_further, value_further
    return _Run(at, seen, steps, False)


def _select(ls: LeastSquares, sigma2: Array, start: Contamination) -> _Run:
    """Remove components while the loss is less than ``needed``, then run EM to convergence."""
    q = len(ls.random)
    needed = 0.5 * float(chi2.isf(_LEVEL / q, 4))
    run = _em(ls, sigma2, start, _COARSE, 100)
    total = run.iterations
    while len(run.at.active):
        here = run.seen.log_likelihood
        reduced = [without(run.at, k) for k in run.at.active]
        cost = np.array(
            [here - expectation(ls.c, ls.Vz, sigma2, at).log_likelihood for at in reduced]
        )
        cheapest = float(cost.min())
        if cheapest >= needed:
            break
        at = run.at
        for k in run.at.active[cost <= max(cheapest, needed / 3)]:
            at = without(at, k)
        run = _em(ls, sigma2, at, _COARSE, 50)
        total += run.iterations
    run = _em(ls, sigma2, run.at, _FINE, _LONGEST)
    return run._replace(iterations=total + run.iterations)


def judge(
    ls: LeastSquares,
    sigma2: Array,
    prior_df: float,
    at: Contamination,
    drawn: list[Contamination],
    cov: Array,
    facts: dict[str, Any],
) -> Estimate:
    """Gene effects at ``at``; probabilities and rates averaged over the draws ``drawn``.

    ``cov`` is the covariance of the fixed effects of the random columns.
    """
    m, n_columns = ls.b.shape
    seen = expectation(ls.c, ls.Vz, sigma2, at)
    mean_s2 = float(np.mean(sigma2))
    beta_cov = mean_s2 * ls.V / m + embed(cov - mean_s2 * ls.Vz / m, ls)
    beta = ls.mean.copy()
    beta[ls.random] += at.beta
    df = np.full(n_columns, float(m * ls.df))
    df[ls.random] = float(m - 1)
    z_df = None
    if np.isfinite(prior_df) and len(sigma2) > 1:
        noise = sigma2[:, None] * np.diag(ls.Vz)
        z_df = (prior_df + ls.df) * np.square((np.diag(at.Psi) + noise) / noise)
    judged = posterior(ls, seen, at, sigma2, beta, beta_cov)
    probability, rate = averaged(ls.c, ls.Vz, sigma2, seen, at, drawn)
    return Estimate(
        beta,
        beta_cov,
        df,
        np.ones(n_columns),
        at.Psi,
        sigma2,
        judged.gamma,
        judged.sd,
        seen.score / np.sqrt(seen.information),
        shift_p_values(seen, at, z_df),
        facts,
        probability,
        rate,
        judged.lfsr,
        judged.low,
        judged.high,
    )
