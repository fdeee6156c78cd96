"""Published methods to compare with: one file each, one signature, one record."""

from __future__ import annotations

from bayesdecov.baselines import epic, fardeep, nnls, nusvr, ols, quantiseq, rlm, simplex
from bayesdecov.baselines.answer import Answer, Baseline

BASELINES: dict[str, Baseline] = {
    module.BASELINE.name: module.BASELINE
    for module in (nnls, simplex, ols, rlm, fardeep, nusvr, epic, quantiseq)
}

__all__ = ["BASELINES", "Answer", "Baseline"]
