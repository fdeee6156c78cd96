"""Robust regression."""

from __future__ import annotations

import warnings

import numpy as np

from bayesdecov.algebra.terms import Array
from bayesdecov.baselines.answer import Answer, Baseline

_STEPS = 100


def rlm(mu: Array, y: Array, variance: Array) -> Answer:
    """Huber's M-estimator without intercept for every sample; negative coefficients are kept.

    Threshold 1.345 and scale by the median absolute deviation of the residuals, as in ABIS.
    """
    import statsmodels.api as sm
    from statsmodels.tools.sm_exceptions import ConvergenceWarning

    unit = np.linalg.norm(mu)
    coefficients, steps = [], []
    for row in y:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fit = sm.RLM(row / unit, mu / unit, M=sm.robust.norms.HuberT()).fit(maxiter=_STEPS)
        coefficients.append(fit.params)
        steps.append(float(fit.fit_history["iteration"]))
    return Answer(np.array(coefficients), facts={"iterations": np.array(steps)})


BASELINE = Baseline(
    name="rlm",
    title="Robust linear regression, Huber's M-estimator (ABIS, Monaco et al. 2019)",
    doi="10.1016/j.celrep.2019.01.041",
    scale="linear",
    returns="fractions of the known cell types, some possibly negative",
    estimate=rlm,
)
