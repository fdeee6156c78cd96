"""All baselines and scores by name."""

from __future__ import annotations

from bayesdecov.baselines import (
    epic,
    fardeep,
    mcpcounter,
    nnls,
    nusvr,
    ols,
    quantiseq,
    rlm,
    simplex,
    ssgsea,
)
from bayesdecov.baselines.answer import Baseline, Score

BASELINES: dict[str, Baseline] = {
    module.BASELINE.name: module.BASELINE
    for module in (nnls, simplex, ols, rlm, fardeep, nusvr, epic, quantiseq)
}
SCORES: dict[str, Score] = {module.SCORE.name: module.SCORE for module in (mcpcounter, ssgsea)}
