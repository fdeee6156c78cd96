"""Published methods to compare with: one file each, one signature, one record."""

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
from bayesdecov.baselines.answer import Answer, Baseline, Score
from bayesdecov.baselines.scoring import score

BASELINES: dict[str, Baseline] = {
    module.BASELINE.name: module.BASELINE
    for module in (nnls, simplex, ols, rlm, fardeep, nusvr, epic, quantiseq)
}
SCORES: dict[str, Score] = {module.SCORE.name: module.SCORE for module in (mcpcounter, ssgsea)}

__all__ = ["BASELINES", "SCORES", "Answer", "Baseline", "Score", "score"]
