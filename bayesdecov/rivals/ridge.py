"""Gene-wise ridge regression."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import RidgeCV

from bayesdecov.rivals.rival import Effects, Rival, RivalData

_PENALTIES = np.logspace(-6, 3, 91)


def ridge(data: RivalData, rng: np.random.Generator, permutations: int) -> Effects:
    """A separate penalty for every gene, by generalised cross-validation; no tests.

    91 penalties from 1e-6 to 1e3; no intercept in addition to the design's columns.
    """
    model = RidgeCV(_PENALTIES, fit_intercept=False, alpha_per_target=True)
    effects = np.asarray(model.fit(data.X, data.Y.T).coef_, dtype=float)
    nothing = np.full(effects.shape, np.nan)
    return Effects(effects, nothing, nothing)


RIVAL = Rival(
    name="ridge",
    title="Gene-wise ridge regression, penalty by generalised cross-validation (Golub et al. 1979)",
    doi="10.1080/00401706.1979.10489751",
    needs_groups=False,
    estimate=ridge,
)
