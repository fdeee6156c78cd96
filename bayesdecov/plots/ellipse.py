"""The ellipse that contains a given share of a bivariate normal."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.patches import Ellipse
from scipy.stats import chi2

from bayesdecov.algebra.terms import Array


def normal_ellipse(centre: Array, covariance: Array, prob: float = 0.95, **style: Any) -> Ellipse:
    """A patch around ``centre`` (2,) for a ``covariance`` (2, 2), not filled."""
    radius = np.sqrt(chi2.ppf(prob, 2))
    values, vectors = np.linalg.eigh(covariance)
    angle = float(np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])))
    width, height = 2 * radius * np.sqrt(values[1]), 2 * radius * np.sqrt(values[0])
    return Ellipse(
        (float(centre[0]), float(centre[1])), width, height, angle=angle, fill=False, **style
    )
