"""Published methods to compare with: one file each, one signature, one record."""

from bayesdecov.baselines.answer import Answer, Baseline, Score
from bayesdecov.baselines.registry import BASELINES, SCORES
from bayesdecov.baselines.scoring import score

__all__ = ["BASELINES", "SCORES", "Answer", "Baseline", "Score", "score"]
