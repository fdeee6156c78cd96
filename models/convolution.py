r"""The convolution model (DeCovarT, arXiv:2309.09557) in PyMC.

.. math::
    p_i &\sim \mathrm{Dirichlet}(\alpha) \quad\text{or softmax of a zero-sum normal} \\
    y_i &\sim N_G\big(s_i \mu p_i,\; V_i\big), \qquad
    V_i = s_i^2 \sum_j p_{ij}^2 \Sigma_j + \mathrm{diag}(\varphi_i s_i \mu p_i + c \varphi_i^2)
    \tag{DeCovarT Eq. 7}

``prior="decovart"`` multiplies the likelihood by :math:`|V_i|^{-1/2}`, which gives
DeCovarT Eq. 8. All samples form one batch; they are independent given the reference.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt

from bayesdecov.algebra.counting import counting_variance
from bayesdecov.algebra.priors import Dirichlet, Prior, SoftmaxNormal


def convolution(
    mean: pd.DataFrame,
    covariances: np.ndarray,
    bulk: pd.DataFrame,
    *,
    prior: str | Prior = "flat",
    counting_noise: Any = None,
    size_factor: Any = None,
    df: float | None = None,
) -> pm.Model:
    r"""Build the model for all samples of a bulk table.

    Parameters
    ----------
    mean
        Genes x cell types, linear scale.
    covariances
        (cell_type, gene, gene), in the order of ``mean``.
    bulk
        Genes x samples, on the scale of ``mean``; aligned to it by gene name.
    prior
        "flat" (Dirichlet(1)), "decovart" (DeCovarT Eq. 8), "normal", or a `Dirichlet` /
        `SoftmaxNormal`.
    counting_noise
        phi: variance per unit of mean expression, one number or one per sample; None for none.
    size_factor
        Prior median of a factor per sample by which bulk and reference may differ (one number or
        one per sample; log-normal, sd 1 on the log scale). None: they share one scale.
    df
        Degrees of freedom of a multivariate t instead of the normal.

    Returns
    -------
    pymc.Model
        Dims ``sample``, ``cell_type``, ``gene``, ``gene_bis``; variables ``proportions`` and
        (observed) ``bulk``. Swap data with ``pm.set_data({"bulk_data": ...})``.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from bayesdecov.models import convolution
    >>> mean = pd.DataFrame({"a": [20.0, 22.0], "b": [22.0, 20.0]}, index=["g1", "g2"])
    >>> bulk = pd.DataFrame({"s1": [21.0, 21.5]}, index=["g1", "g2"])
    >>> model = convolution(mean, np.stack([np.eye(2), np.eye(2)]), bulk)
    >>> sorted(variable.name for variable in model.free_RVs + model.observed_RVs)
    ['bulk', 'proportions']
    """
    genes = [str(name) for name in mean.index]
    coords = {
        "sample": [str(name) for name in bulk.columns],
        "cell_type": [str(name) for name in mean.columns],
        "gene": genes,
        "gene_bis": genes,
    }
    paper = prior == "decovart"
    if isinstance(prior, str):
        prior = SoftmaxNormal() if prior == "normal" else Dirichlet(1.0)
    n_samples, n_types = bulk.shape[1], mean.shape[1]
    with pm.Model(coords=coords) as model:
        mu = pm.Data("mean", mean.to_numpy(dtype=float), dims=("gene", "cell_type"))
        Sigma = pm.Data(
            "covariance", np.asarray(covariances, float), dims=("cell_type", "gene", "gene_bis")
        )
        y = pm.Data(
            "bulk_data", bulk.loc[mean.index].to_numpy(dtype=float).T, dims=("sample", "gene")
        )

        if isinstance(prior, SoftmaxNormal):
            # sigma of a zero-sum normal is that of the normals before projection
            z = pm.ZeroSumNormal(
                "log_ratios", sigma=prior.scale, n_zerosum_axes=1, dims=("sample", "cell_type")
            )
            p = pm.Deterministic(
                "proportions", pm.math.softmax(z, axis=-1), dims=("sample", "cell_type")
            )
        else:
            alpha = np.broadcast_to(np.asarray(prior.alpha, float), (n_samples, n_types))
            p = pm.Dirichlet("proportions", a=alpha, dims=("sample", "cell_type"))
        q = p
        if size_factor is not None:
            centre = np.log(np.broadcast_to(np.asarray(size_factor, float), (n_samples,)))
            q = p * pm.LogNormal("size_factor", centre, 1.0, dims="sample")[:, None]

        V = observe_bulk(q, mu, Sigma, y, counting_noise, df)
        if paper:
            factor = pt.linalg.cholesky(V)
            logdet = 2 * pt.log(pt.diagonal(factor, axis1=-2, axis2=-1)).sum()
            pm.Potential("eq8_prior", -0.5 * logdet)
    return model


def observe_bulk(q: Any, mu: Any, Sigma: Any, y: Any, counting_noise: Any, df: float | None) -> Any:
    """Add the likelihood of bulks ``y`` (sample, gene) to the model; return their covariances V.

    ``q`` (sample, cell_type) is the size factor times the proportions.
    """
    m = pt.dot(q, mu.T)
    V = pt.tensordot(q**2, Sigma, axes=1)
    if counting_noise is not None:
        coords = pm.modelcontext(None).coords
        phi = np.broadcast_to(np.asarray(counting_noise, float), (len(coords["sample"]),))
        V = V + counting_variance(phi, m)[:, :, None] * np.eye(len(coords["gene"]))
    if df is None:
        pm.MvNormal("bulk", mu=m, cov=V, observed=y, dims=("sample", "gene"))
    else:
        pm.MvStudentT("bulk", nu=df, mu=m, scale=V, observed=y, dims=("sample", "gene"))
    return V
