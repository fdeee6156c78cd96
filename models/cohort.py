r"""The cohort model in PyMC: proportions regressed on covariates, all bulks jointly.

.. math::
    z_i &\sim N(B^\top x_i, \Omega), \qquad p_i = \mathrm{softmax}(V z_i) \\
    y_i &\sim N_G\big(s_i\mu p_i,\; s_i^2 \textstyle\sum_j p_{ij}^2 \Sigma_j
           + \mathrm{diag}(\varphi_i s_i\mu p_i + c\varphi_i^2)\big) \\
    B_{lj} &\sim N(0, \tau_l^2), \qquad \Omega = a (A A^\top)^{-1},
    \quad A A^\top \sim \mathrm{Wishart}(d + 1, I), \quad a \sim \mathrm{Gamma}(1, 1)

with log-ratios :math:`z` in an orthonormal basis :math:`V`, which treats all cell types alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt

from bayesdecov.algebra.simplex import log_ratio_basis
from bayesdecov.models.convolution import observe_bulk


def cohort(
    mean: pd.DataFrame,
    covariances: np.ndarray,
    bulk: pd.DataFrame,
    design: pd.DataFrame,
    *,
    slope_sd: float = 1.0,
    intercept_sd: float = 5.0,
    counting_noise: Any = None,
    df: float | None = None,
) -> pm.Model:
    r"""Build the model.

    Parameters
    ----------
    mean
        Genes x cell types, linear scale.
    covariances
        (cell_type, gene, gene), in the order of ``mean``.
    bulk
        Genes x samples, on the scale of ``mean``; aligned to it by gene name.
    design
        Samples x columns, without an intercept, preferably standardised; aligned to the bulk by
        name.
    slope_sd, intercept_sd
        Standard deviations of the coefficients of log-ratios.
    counting_noise
        phi: variance per unit of mean expression, one number or one per sample; None for none.
    df
        Degrees of freedom of a multivariate t instead of the normal.

    Returns
    -------
    pymc.Model
        Variables ``coefficients`` (column, part), ``log_ratios`` (sample, part), ``proportions``
        and ``effects`` (column, cell_type), the coefficients as centred log-ratios.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from bayesdecov.models import cohort
    >>> mean = pd.DataFrame({"a": [20.0, 22.0], "b": [22.0, 20.0]}, index=["g1", "g2"])
    >>> bulk = pd.DataFrame({"s1": [21.0, 21.5], "s2": [21.0, 21.0]}, index=["g1", "g2"])
    >>> design = pd.DataFrame({"group": [-1.0, 1.0]}, index=["s1", "s2"])
    >>> model = cohort(mean, np.stack([np.eye(2), np.eye(2)]), bulk, design)
    >>> [variable.name for variable in model.observed_RVs]
    ['bulk']
    """
    genes = [str(name) for name in mean.index]
    n_types = mean.shape[1]
    d = n_types - 1
    X = np.column_stack([np.ones(bulk.shape[1]), design.loc[bulk.columns].to_numpy(dtype=float)])
    sd = np.full((X.shape[1], d), slope_sd)
    sd[0] = intercept_sd
    coords = {
        "sample": [str(name) for name in bulk.columns],
        "cell_type": [str(name) for name in mean.columns],
        "gene": genes,
        "column": ["Intercept", *map(str, design.columns)],
        "part": [f"ilr{j + 1}" for j in range(d)],
    }
    V = log_ratio_basis(n_types)
    with pm.Model(coords=coords) as model:
        B = pm.Normal("coefficients", 0.0, sd, dims=("column", "part"))
        a = pm.Gamma("scale", 1.0, 1.0)
        squares = pm.ChiSquared("factor_squares", nu=d + 1.0 - np.arange(d), dims="part")
        A = pt.diag(pt.sqrt(squares))
        if d > 1:
            rows, columns = np.tril_indices(d, -1)
            A = A[rows, columns].set(pm.Normal("factor", 0.0, 1.0, shape=len(rows)))
        precision = pt.dot(A, A.T) / a
        pm.Deterministic("covariance", pt.linalg.inv(precision))
        z = pm.MvNormal("log_ratios", mu=pt.dot(X, B), tau=precision, dims=("sample", "part"))
        p = pm.Deterministic(
            "proportions", pm.math.softmax(pt.dot(z, V.T), axis=-1), dims=("sample", "cell_type")
        )
        pm.Deterministic("effects", pt.dot(B, V.T), dims=("column", "cell_type"))
        y = bulk.loc[mean.index].to_numpy(dtype=float).T
        observe_bulk(
            p,
            mean.to_numpy(dtype=float),
            np.asarray(covariances, dtype=float),
            y,
            counting_noise,
            df,
        )
    return model
